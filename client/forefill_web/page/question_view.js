// One message of the user.

import { bindCopy } from "./copy_button.js";
import { fromTemplate } from "./template.js";

export class QuestionView {
  role = /** @type {const} */ ("user");

  /**
   * @param {string} content
   * @param {(view: QuestionView) => void} onEdit
   */
  constructor(content, onEdit) {
    const parts = fromTemplate("question");
    this.element = parts.element;
    this.content = content;
    parts.text.textContent = content;
    parts.edit.addEventListener("click", () => onEdit(this));
    bindCopy(parts.copy, parts.copyWords, () => content);
  }
}
