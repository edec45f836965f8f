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
    if (long) this.say(long, true);
    else if (byId("notice").classList.contains("calm")) this.clear();
  }

  /** @param {{model: string, warming_inert_reason: string}} opened */
  showModel({ model, warming_inert_reason: reason }) {
    byId("model").textContent = model;
    byId("model").hidden = !model;
    if (reason) this.say(`The model does not read ahead here: ${reason}`, true);
  }

  /** @param {{reason?: string, message?: string, retry_after_ms?: number}} error */
  showError(error) {
    this.say(errorWords(error), false);
  }

  /**
   * @param {string} words
   * @param {boolean} calm whether it is no fault
   */
  say(words, calm) {
    byId("notice").classList.toggle("calm", calm);
    byId("notice").hidden = false;
    byId("notice-words").textContent = words;
  }

  clear() {
    byId("notice").hidden = true;
    byId("notice-words").textContent = "";
  }
}
