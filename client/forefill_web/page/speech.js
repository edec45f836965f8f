// Answers for screen readers: sentence by sentence, politely, none twice.

import { SpokenAnswer } from "./spoken_answer.js";
import { byId, textElement } from "./template.js";

export class Speech {
  #answer = new SpokenAnswer();

  start() {
    this.#answer = new SpokenAnswer();
    byId("spoken").replaceChildren();
  }

  /** @param {string} text */
  append(text) {
    this.say(this.#answer.read(text));
  }

  end() {
    this.say(this.#answer.end());
  }

  /** @param {string} words */
  say(words) {
    if (words) byId("spoken").append(textElement("p", words));
  }
}
