// The state of the connection, and what went wrong, where it is seen.

import { errorWords, stateWords } from "./connection_words.js";
import { byId } from "./template.js";

export class ConnectionView {
  constructor() {
    byId("notice-close").addEventListener("click", () => this.clear());
  }

  /** @param {string} state */
  showState(state) {
    const { short, long } = stateWords(state);
    byId("connection").dataset.state = state;
    byId("connection-words").textContent = short;
    byId("state-notice").hidden = !long;
    byId("state-notice").textContent = long;
  }

  /** @param {{model: string, warming_inert_reason: string}} opened */
  showModel({ model, warming_inert_reason: reason }) {
    byId("model").textContent = model;
    byId("model").hidden = !model;
    if (reason) this.#say(`The model does not read ahead here: ${reason}`);
  }

  /** @param {{reason?: string, message?: string, retry_after_ms?: number}} error */
  showError(error) {
    this.#say(errorWords(error));
  }

  /** @param {string} words */
  #say(words) {
    byId("notice").hidden = false;
    byId("notice-words").textContent = words;
  }

  clear() {
    byId("notice").hidden = true;
    byId("notice-words").textContent = "";
  }
}
