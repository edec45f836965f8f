const FIRST_MS = 250;
const MOST_MS = 15_000;

/** The waits between tries: each about twice as long as the last, and spread, so that browsers do not come all at once. */
export class BackOff {
  #tries = 0;

  /**
   * Return how long to wait before the next try.
   * @param {number} [atLeastMs]
   */
  next(atLeastMs = 0) {
    const longest = Math.min(MOST_MS, FIRST_MS * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 16);
    return Math.max(atLeastMs, longest * (0.5 + Math.random() / 2));
  }

  reset() {
    this.#tries = 0;
  }
}
