// What a screen reader says of an answer that comes bit by bit: whole sentences, each once. Pure.

const SENTENCE_END = /[.!?:;](?=\s)|[。！？]|\n/g;
const LEAST = 40;

export class SpokenAnswer {
  #held = "";

  /**
   * @param {string} text what came
   * @returns {string} what can be said now, often ""
   */
  read(text) {
    this.#held += text;
    let end = 0;
    for (const found of this.#held.matchAll(SENTENCE_END)) end = found.index + found[0].length;
    return end < LEAST ? "" : this.#take(end);
  }

  /** @returns {string} what is left, at the end of the answer */
  end() {
    return this.#take(this.#held.length);
  }

  /** @param {number} end */
  #take(end) {
    const said = this.#held.slice(0, end).replace(/```\S*/g, "").trim();
    this.#held = this.#held.slice(end);
    return said;
  }
}
