import { countCodePoints, wellFormed } from "./code_points.js";
import { difference } from "./difference.js";

/**
 * A change of a draft; positions and lengths count code points. The draft then has `length` of them.
 * @typedef {{ start: number, end: number, text: string, length: number }} Edit
 */

/**
 * A text and its length in code points, kept up to date by what changes alone.
 *
 * Nothing is counted in a text without surrogate pairs. In others, the next change is mostly close to the last one, so
 * counting starts from there.
 */
export class Draft {
  #text;
  #length;
  /** The place of the last change, in units and in code points. */
  #place = { units: 0, codePoints: 0 };

  /** @param {string} [text] */
  constructor(text = "") {
    this.#text = wellFormed(text);
    this.#length = countCodePoints(this.#text);
  }

  get text() {
    return this.#text;
  }

  /** The number of code points. */
  get length() {
    return this.#length;
  }

  /**
   * Become another text, and return the change; null if it is the same.
   * @param {string} text
   * @returns {Edit | null}
   */
  become(text) {
    const after = wellFormed(text);
    const change = difference(this.#text, after);
    if (change === null) return null;
    const start = this.#codePointsBefore(change.start);
    const end = start + countCodePoints(this.#text, change.start, change.end);
    this.#length += countCodePoints(change.text) - (end - start);
    this.#text = after;
    this.#place = { units: change.start, codePoints: start };
    return { start, end, text: change.text, length: this.#length };
  }

  /** @param {number} units */
  #codePointsBefore(units) {
    if (this.#length === this.#text.length) return units;
    const place = this.#place;
    return units < place.units
      ? place.codePoints - countCodePoints(this.#text, units, place.units)
      : place.codePoints + countCodePoints(this.#text, place.units, units);
  }
}
