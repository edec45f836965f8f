import { ForefillError } from "./errors.js";

/** @import { Failure, Finished, Started } from "./messages.js" */

/** @typedef {{ text: string, reasoning: string }} AnswerPart */

/**
 * One answer: iterate over it for its parts as they come. Each iteration begins with the first part.
 *
 * An iteration that is left does not stop the answer; `cancel` does. If the answer fails, the iteration and `finished`
 * throw a ForefillError.
 */
export class Answer {
  /** @type {AnswerPart[]} */
  #parts = [];
  #changed = deferred();
  #finished = deferred();
  /** @type {Finished | null} */
  #end = null;
  /** @type {ForefillError | null} */
  #error = null;
  #cancel;

  /**
   * @internal
   * @param {number} turn
   * @param {string} question
   * @param {(answer: Answer, keepText: boolean) => void} cancel
   */
  constructor(turn, question, cancel) {
    /** The number of what asked for it, in this conversation. */
    this.turn = turn;
    /** The text that was submitted; "" if the conversation was to be answered as it was. */
    this.question = question;
    /** All of its text that has come. */
    this.text = "";
    /** What the model thought, as far as it has come. */
    this.reasoning = "";
    /** @type {Omit<Started, "type"> | null} Its first token, once it has come. */
    this.started = null;
    /** @type {Promise<Finished>} Its end. */
    this.finished = this.#finished.promise;
    this.finished.catch(() => {}); // whoever does not wait for it hears of a failure by the "error" event
    this.#cancel = cancel;
  }

  /** Whether it has ended, or failed. */
  get done() {
    return this.#end !== null || this.#error !== null;
  }

  /** Why it failed; null if it has not. */
  get error() {
    return this.#error;
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
    if (!this.done) this.#cancel(this, keepText);
    return this.finished;
  }

  /** @returns {AsyncGenerator<AnswerPart, void, undefined>} */
  async *[Symbol.asyncIterator]() {
    for (let at = 0; ; ) {
      const part = this.#parts[at];
      if (part !== undefined) {
        at++;
        yield part;
      } else if (this.#error !== null) throw this.#error;
      else if (this.#end !== null) return;
      else await this.#changed.promise;
    }
  }

  /**
   * @internal
   * @param {string} text
   * @param {string} reasoning
   */
  _add(text, reasoning) {
    this.text += text;
    this.reasoning += reasoning;
    this.#parts.push({ text, reasoning });
    this.#wake();
  }

  /**
   * @internal
   * @param {Finished} end
   */
  _finish(end) {
    this.#end = end;
    this.#finished.resolve(end);
    this.#wake();
  }

  /**
   * @internal
   * @param {Failure} failure
   */
  _fail(failure) {
    this.#error = new ForefillError(failure);
    this.#finished.reject(this.#error);
    this.#wake();
  }

  #wake() {
    this.#changed.resolve(undefined);
    this.#changed = deferred();
  }
}

/** @returns {{ promise: Promise<any>, resolve: (value: any) => void, reject: (error: Error) => void }} */
function deferred() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
