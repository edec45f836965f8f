/** @import { AnswerPart, AnswerState } from "./answer_state.js" */
/** @import { Finished } from "./messages.js" */

/**
 * One answer: iterate over it for its parts as they come. Each iteration begins with the first part.
 *
 * An iteration that is left does not stop the answer; `cancel` does. If the answer fails, the iteration and `finished`
 * throw a ForefillError.
 */
export class Answer {
  #state;
  #cancel;

  /**
   * @internal
   * @param {AnswerState} state
   * @param {(keepText: boolean) => void} cancel
   */
  constructor(state, cancel) {
    this.#state = state;
    this.#cancel = cancel;
  }

  /** The number of what asked for it, in this conversation. */
  get turn() {
    return this.#state.turn;
  }

  /** The text that was submitted; "" if the conversation was to be answered as it was. */
  get question() {
    return this.#state.question;
  }

  /** All of its text that has come. */
  get text() {
    return this.#state.text;
  }

  /** What the model thought, as far as it has come. */
  get reasoning() {
    return this.#state.reasoning;
  }

  /** Its first token; null if that has not come. */
  get started() {
    return this.#state.started;
  }

  /** Whether it has ended, or failed. */
  get done() {
    return this.#state.end !== null || this.#state.error !== null;
  }

  /** Why it failed; null if it has not. */
  get error() {
    return this.#state.error;
  }

  /** Its end, with what it cost. */
  get finished() {
    return this.#state.finished;
  }

  /**
   * Stop it, and return its end.
   *
   * With `keepText`, what came of it stays in the conversation, as the answer to its question; without, or if nothing
   * came, the conversation is as it was before.
   * @param {{ keepText?: boolean }} [options]
   * @returns {Promise<Finished>}
   */
  cancel({ keepText = true } = {}) {
    if (!this.done) this.#cancel(keepText);
    return this.finished;
  }

  /** @returns {AsyncGenerator<AnswerPart, void, undefined>} */
  async *[Symbol.asyncIterator]() {
    const state = this.#state;
    for (let at = 0; ; ) {
      const part = state.parts[at];
      if (part !== undefined) {
        at++;
        yield part;
      } else if (state.error !== null) throw state.error;
      else if (state.end !== null) return;
      else await state.changed;
    }
  }
}
