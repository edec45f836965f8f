import { ForefillError } from "./errors.js";

/** @import { Failure, Finished, Started } from "./messages.js" */

/** @typedef {{ text: string, reasoning: string }} AnswerPart */

/** What has come of an answer, for its reader to wait on. */
export class AnswerState {
  /** @type {AnswerPart[]} */
  parts = [];
  text = "";
  reasoning = "";
  /** @type {Omit<Started, "type"> | null} */
  started = null;
  /** @type {Finished | null} */
  end = null;
  /** @type {ForefillError | null} */
  error = null;
  #changed = deferred();
  #finished = deferred();

  /**
   * @param {number} turn
   * @param {string} question
   */
  constructor(turn, question) {
    this.turn = turn;
    this.question = question;
    this.finished.catch(() => {}); // whoever does not wait for it hears of a failure by the "error" event
  }

  /** @returns {Promise<Finished>} */
  get finished() {
    return this.#finished.promise;
  }

  /** Settles when more has come.
   * @returns {Promise<void>} */
  get changed() {
    return this.#changed.promise;
  }

  /** @param {AnswerPart} part */
  add(part) {
    this.text += part.text;
    this.reasoning += part.reasoning;
    this.parts.push(part);
    this.#wake();
  }

  /** @param {Finished} end */
  finish(end) {
    this.end = end;
    this.#finished.resolve(end);
    this.#wake();
  }

  /** @param {Failure} failure */
  fail(failure) {
    this.error = new ForefillError(failure);
    this.#finished.reject(this.error);
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
