// Whose timeline an event belongs to: that of the draft, or that of the answer that runs. Pure.

import { Timeline } from "./timeline.js";

export class TurnLog {
  #draft = new Timeline();
  /** @type {Timeline | null} the turn that was submitted last */ #submitted = null;

  /** @returns {Timeline} the one to show: the draft's, unless an answer runs or nothing was typed after it */
  get shown() {
    return this.#submitted && (this.#submitted.end === null || this.#untyped) ? this.#submitted : this.#draft;
  }

  get #untyped() {
    return this.#draft.keys.length === 0;
  }

  // News of a draft may come after Enter. Nothing is typed after it then, so they can be told from those of the next draft.
  get #current() {
    return this.#submitted?.end === null && this.#untyped ? this.#submitted : this.#draft;
  }

  /** @param {number} at */
  key(at) {
    this.#draft.addKey(at);
  }

  /**
   * @param {number} at
   * @param {{computed_tokens: number, outcome: string, shed_reason: string}} flush
   */
  flush(at, flush) {
    this.#current.addFlush(at, flush);
  }

  /**
   * @param {number} at
   * @param {{begun: boolean, outcome?: string}} guess
   */
  guess(at, guess) {
    const submitted = this.#submitted?.guesses.at(-1);
    const endsSubmitted = !guess.begun && submitted !== undefined && submitted.end === undefined;
    (endsSubmitted && this.#submitted ? this.#submitted : this.#current).addGuess(at, guess);
  }

  /** @param {number} at */
  enter(at) {
    this.#submitted = this.#draft;
    this.#submitted.addEnter(at);
    this.#draft = new Timeline();
  }

  /** @param {number} at */
  part(at) {
    this.#submitted?.addPart(at);
  }

  /**
   * @param {number} at
   * @param {number} completionTokens
   */
  end(at, completionTokens) {
    this.#submitted?.addEnd(at, completionTokens);
  }

  /** Forget the draft's turn: nothing of it was kept. */
  clear() {
    this.#draft = new Timeline();
    this.#submitted = null;
  }
}
