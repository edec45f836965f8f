// Text of a model, shown as text, with its code blocks as such. It grows at its end.

import { CodeFences } from "./code_fences.js";
import { bindCopy } from "./copy_button.js";
import { fromTemplate } from "./template.js";

export class RichText {
  #fences = new CodeFences();
  #container;
  /** @type {Text | null} */ #tail = null;
  /** @type {HTMLElement | null} */ #code = null;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
  }

  /** @param {string} text */
  append(text) {
    this.#show(this.#fences.read(text));
  }

  end() {
    this.#show(this.#fences.end());
  }

  /** @param {import("./code_fences.js").Piece[]} pieces */
  #show(pieces) {
    for (const piece of pieces) {
      if (piece.kind === "text") this.#appendText(piece.text);
      else if (piece.kind === "open") this.#openCode(piece.language);
      else this.#code = this.#tail = null;
    }
  }

  /** @param {string} text */
  #appendText(text) {
    if (this.#tail) {
      this.#tail.appendData(text);
    } else {
      this.#tail = document.createTextNode(text);
      (this.#code ?? this.#container).append(this.#tail);
    }
  }

  /** @param {string} language */
  #openCode(language) {
    const { element, language: label, copy, copyWords, text } = fromTemplate("code");
    label.textContent = language || "Code";
    element.querySelector("pre").setAttribute("aria-label", `${language} code`.trim());
    bindCopy(copy, copyWords, () => text.textContent);
    this.#container.append(element);
    this.#code = text;
    this.#tail = null;
  }
}
