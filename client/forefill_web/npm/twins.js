/** @import { Twin } from "./messages.js" */

/** Measurements that were asked for and have not come. */
export class Twins {
  #send;
  /** @type {Map<number, { promise: Promise<Twin>, resolve: (twin: Twin) => void }>} */
  #asked = new Map();

  /** @param {(message: object) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {number} turn
   * @param {number | undefined} number The bridge's number of it.
   * @returns {Promise<Twin>}
   */
  measure(turn, number) {
    const before = this.#asked.get(turn);
    if (before !== undefined) return before.promise;
    if (number === undefined) return Promise.resolve({ turn, error: "the bridge does not know this turn" });
    /** @type {(twin: Twin) => void} */
    let resolve = () => {};
    /** @type {Promise<Twin>} */
    const promise = new Promise((settle) => (resolve = settle));
    this.#asked.set(turn, { promise, resolve });
    this.#send({ type: "twin", turn: number });
    return promise;
  }

  /** @param {Twin} twin */
  hear(twin) {
    this.#asked.get(twin.turn)?.resolve(twin);
    this.#asked.delete(twin.turn);
    return twin;
  }

  /**
   * Ask again after a break.
   * @param {(turn: number) => number | undefined} numberOf
   */
  resume(numberOf) {
    for (const turn of this.#asked.keys()) {
      const number = numberOf(turn);
      if (number === undefined) this.hear({ turn, error: "the bridge has lost this turn" });
      else this.#send({ type: "twin", turn: number });
    }
  }

  /** @param {string} error */
  fail(error) {
    for (const turn of [...this.#asked.keys()]) this.hear({ turn, error });
  }
}
