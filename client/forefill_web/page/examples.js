// Questions that type themselves at a human pace, so that one sees what happens meanwhile. Enter stays with the user.

import { byId, fromTemplate } from "./template.js";

const EXAMPLES = [
  "Explain how a bicycle stays upright, in three short sentences.",
  "Write a SQL query for the ten customers who spent the most last year.",
  "What should I ask before I sign the lease of a flat?",
  "Suggest a name for a small bakery by the sea, and say why.",
];
const KEY_MS = 45;

/**
 * @param {HTMLTextAreaElement} textarea
 */
export function showExamples(textarea) {
  const typist = new Typist(textarea);
  for (const text of EXAMPLES) {
    const { element, button } = fromTemplate("example");
    button.textContent = text;
    button.addEventListener("click", () => typist.type(text));
    byId("examples").append(element);
  }
}

class Typist {
  #textarea;
  #timer = 0;

  /** @param {HTMLTextAreaElement} textarea */
  constructor(textarea) {
    this.#textarea = textarea;
    // Somebody who types, clicks or submits has taken over.
    for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, () => clearTimeout(this.#timer));
    byId("composer").addEventListener("submit", () => clearTimeout(this.#timer));
  }

  /** @param {string} text */
  type(text) {
    clearTimeout(this.#timer);
    this.#textarea.focus();
    this.#textarea.select();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.#insert(text);
    else this.#typeRest([...text]);
  }

  /** @param {string[]} letters */
  #typeRest([letter, ...rest]) {
    this.#insert(letter);
    // Hands are slower at the end of a word.
    if (rest.length) this.#timer = setTimeout(() => this.#typeRest(rest), letter === " " ? KEY_MS * 2 : KEY_MS);
  }

  /** @param {string} text */
  #insert(text) {
    const { selectionStart, selectionEnd } = this.#textarea;
    this.#textarea.setRangeText(text, selectionStart, selectionEnd, "end");
    this.#textarea.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertText", data: text }));
  }
}
