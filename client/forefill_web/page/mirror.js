// The text of the box once more, under it, unseen but for its marks. It changes only where the text or a mark does.

import { unitsOfCodePoints } from "./code_points.js";
import { textChange } from "./text_change.js";

export class Mirror {
  #textarea;
  #text;
  /** One for each state: cached, confirmed, pending. @type {Text[]} */
  #nodes;
  #shown = "";

  /**
   * @param {HTMLElement} clip
   * @param {HTMLTextAreaElement} textarea
   */
  constructor(clip, textarea) {
    this.#textarea = textarea;
    this.#text = /** @type {HTMLElement} */ (clip.firstElementChild);
    this.#nodes = [...this.#text.querySelectorAll("span")].map((span) => {
      const node = document.createTextNode("");
      span.append(node);
      return node;
    });
    textarea.addEventListener("scroll", () => this.#followScroll(), { passive: true });
    new ResizeObserver(() => this.#fit()).observe(this.#text);
    new ResizeObserver(() => this.#followWidth()).observe(textarea);
  }

  /**
   * @param {string} text
   * @param {{cached: number, confirmed: number}} parts in code points
   */
  show(text, parts) {
    this.#replace(text);
    const cached = unitsOfCodePoints(text, parts.cached);
    this.#moveBoundary(0, cached);
    this.#moveBoundary(1, unitsOfCodePoints(text, parts.cached + parts.confirmed) - cached);
  }

  /** @param {string} text */
  #replace(text) {
    const change = textChange(this.#shown, text);
    if (!change) return;
    this.#shown = text;
    let offset = 0;
    let inserted = /** @type {boolean} */ (false);
    for (const [index, node] of this.#nodes.entries()) {
      const isLast = index === this.#nodes.length - 1;
      const length = node.length;
      const from = within(change.start - offset, length);
      const to = within(change.end - offset, length);
      const takesText = !inserted && (change.start < offset + length || isLast);
      if (from < to || takesText) node.replaceData(from, to - from, takesText ? change.text : "");
      inserted ||= takesText;
      offset += length;
    }
  }

  /**
   * Give a node so many units, to or from the node after it.
   *
   * @param {number} index
   * @param {number} length
   */
  #moveBoundary(index, length) {
    const [node, next] = [this.#nodes[index], this.#nodes[index + 1]];
    const wanted = length - node.length;
    if (index === 0 && wanted > next.length) this.#moveBoundary(1, wanted);
    if (wanted > 0) {
      node.appendData(next.substringData(0, wanted));
      next.deleteData(0, wanted);
    } else if (wanted < 0) {
      next.insertData(0, node.substringData(length, -wanted));
      node.deleteData(length, -wanted);
    }
  }

  // The mirror's height is that of the text, so the box takes it.
  #fit() {
    this.#textarea.style.height = `${this.#text.offsetHeight}px`;
    this.#followWidth();
    this.#followScroll();
  }

  // A scroll bar makes the textarea's text narrower.
  #followWidth() {
    const width = `${this.#textarea.clientWidth}px`;
    if (this.#text.style.width !== width) this.#text.style.width = width;
  }

  #followScroll() {
    this.#text.style.transform = `translateY(${-this.#textarea.scrollTop}px)`;
  }
}

/**
 * @param {number} at
 * @param {number} length
 */
function within(at, length) {
  return Math.min(Math.max(at, 0), length);
}
