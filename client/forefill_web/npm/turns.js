import { Answer } from "./answer.js";
import { AnswerState } from "./answer_state.js";
import { lastAnswerTo } from "./history.js";
import { TurnNumbers } from "./turn_numbers.js";

/** @import { History } from "./history.js" */
/** @import { Delta, Failure, Finished, Message, Opened, RunningAnswer, Started } from "./messages.js" */

/**
 * What was asked for, and whether the bridge was told.
 * @typedef {object} Ask
 * @property {"submit" | "regenerate"} type
 * @property {Answer} answer
 * @property {AnswerState} state What has come of it.
 * @property {number | null} number The bridge's number of the turn; null before it is sent.
 * @property {boolean | null} keepText Whether a cancelled answer's text is to be kept; null if it is not cancelled.
 * @property {readonly Message[] | null} before The conversation before a `regenerate` took its last answer.
 * @property {boolean} listed Whether the conversation, as the bridge last showed it, has the answer already.
 */

/**
 * What became of the answer that ran when the connection broke.
 * @typedef {{ runs: RunningAnswer } | { ended: Opened } | { lost: true } | null} Fate
 */

/**
 * @typedef {object} TurnsOwner
 * @property {() => boolean} ready Whether messages can be sent.
 * @property {(message: object) => void} send
 * @property {() => void} submitted A submit was sent: the bridge's draft is empty.
 * @property {(type: "started" | "delta" | "finished" | "error", detail: any) => void} tell
 */

/**
 * The answers that were asked for and have not ended, in order: the first one is running, or waits for a connection.
 */
export class Turns {
  numbers = new TurnNumbers();
  #history;
  #owner;
  /** @type {Ask[]} */
  #asks = [];
  /** The last turn whose answer has ended here: the bridge says once more how it did whenever a socket opens. */
  #endedTurn = 0;
  /** @type {Fate} */
  #fate = null;

  /**
   * @param {History} history
   * @param {TurnsOwner} owner
   */
  constructor(history, owner) {
    this.#history = history;
    this.#owner = owner;
  }

  /** The answer that is running. */
  get running() {
    return this.#asks[0]?.answer ?? null;
  }

  /** The submitted text that waits for a connection; null if none does. */
  get waitingText() {
    const [ask] = this.#asks;
    return ask?.type === "submit" && ask.number === null ? ask.state.question : null;
  }

  /** Whether another answer can be asked for: every one before was cancelled. */
  get free() {
    return this.#asks.every(({ keepText }) => keepText !== null);
  }

  /**
   * @param {Ask["type"]} type
   * @param {string} question
   */
  ask(type, question) {
    const ask = this.#made(type, this.numbers.begin(), question, null);
    this.#asks.push(ask);
    this.#next();
    return ask.answer;
  }

  /**
   * Hear a message with its turn already ours.
   * @param {Started | Delta | Finished | Failure} message
   */
  hear(message) {
    const ask = this.#asks[0];
    if (ask === undefined || ask.state.turn !== message.turn) return this.#hearOther(message);
    this.#history.rewritten = false; // the bridge does things in order
    if (message.type === "started") ask.state.started ??= message;
    else if (message.type === "delta") ask.state.add({ text: message.text ?? "", reasoning: message.reasoning ?? "" });
    else if (message.type === "finished") this.#finish(ask, message);
    else this.#fail(ask, /** @type {Failure} */ (message));
    this.#tell(message);
    this.#next();
  }

  /**
   * Hear of an answer that does not run here, once.
   * @param {Started | Delta | Finished | Failure} message
   */
  #hearOther(message) {
    const turn = message.turn ?? 0;
    if (turn <= this.#endedTurn) return;
    if (message.type === "finished" || message.type === "error") this.#endedTurn = turn;
    this.#tell(message);
  }

  /**
   * End all with an error.
   * @param {Failure} failure
   */
  fail(failure) {
    for (const ask of [...this.#asks]) this.#fail(ask, { ...failure, turn: ask.state.turn });
  }

  /**
   * Find out what the bridge has of what was asked for. `proceed` follows.
   * @param {Opened} opened
   */
  match(opened) {
    this.numbers.match(opened);
    this.#fate = this.#fateOfRunning(opened);
    const { answer } = opened;
    if (answer !== undefined && this.#asks[0]?.number !== answer.turn) this.#adopt(answer);
  }

  /** Go on after `match`: hear what was missed, and ask again for what the bridge has not heard of. */
  proceed() {
    const [ask] = this.#asks;
    const fate = this.#fate;
    this.#fate = null;
    if (ask !== undefined && fate !== null) {
      if ("runs" in fate) this.#catchUp(ask, fate.runs);
      else if ("ended" in fate) this.#endedMeanwhile(ask, fate.ended);
      else this.#lose(ask, "CONVERSATION_LOST", "the bridge lost the conversation in mid-answer: ask again");
    }
    this.#next();
  }

  /**
   * @param {Ask["type"]} type
   * @param {number} turn
   * @param {string} question
   * @param {number | null} number
   * @returns {Ask}
   */
  #made(type, turn, question, number) {
    const state = new AnswerState(turn, question);
    const answer = new Answer(state, (keepText) => this.#cancel(ask, keepText));
    /** @type {Ask} */
    const ask = { type, state, answer, number, keepText: null, before: null, listed: false };
    return ask;
  }

  /**
   * @param {Opened} opened
   * @returns {Fate}
   */
  #fateOfRunning(opened) {
    const [ask] = this.#asks;
    const { answer } = opened;
    if (ask === undefined || ask.number === null) return null;
    if (!opened.resumed && (ask.state.text || ask.state.reasoning)) return { lost: true };
    const other = answer?.turn === ask.number && ask.type === "submit" && answer.submitted_text !== ask.state.question;
    if (!opened.resumed || ask.number > opened.turn || other) {
      if (!opened.resumed) ask.type = "submit"; // its question has left the conversation that the bridge was given
      else if (ask.before !== null) this.#history.messages = ask.before;
      ask.number = null;
      this.numbers.takeBack(ask.state.turn);
      return null;
    }
    return answer?.turn === ask.number ? { runs: answer } : { ended: opened };
  }

  /**
   * Take on an answer that was asked for before this page was loaded, or by another one.
   * @param {RunningAnswer} running
   */
  #adopt(running) {
    const turn = this.numbers.adopt(running.turn);
    const [overtaken] = this.#asks;
    if (overtaken !== undefined && overtaken.number !== null) this.#lose(overtaken);
    this.#asks.unshift(this.#made("submit", turn, running.submitted_text, running.turn));
    this.#fate = { runs: running };
  }

  /**
   * @param {Ask} ask
   * @param {RunningAnswer} running
   */
  #catchUp({ state, number, keepText }, { started, text, reasoning }) {
    const { turn } = state;
    if (started !== undefined && state.started === null) this.hear({ ...started, type: "started", turn });
    const missed = { text: text.slice(state.text.length), reasoning: reasoning.slice(state.reasoning.length) };
    if (missed.text || missed.reasoning) this.hear({ type: "delta", turn, ...missed });
    if (keepText !== null) this.#owner.send({ type: "cancel", turn: number, keep_text: keepText });
  }

  /**
   * Hear the rest of an answer's text. How it ended follows.
   * @param {Ask} ask
   * @param {Opened} opened
   */
  #endedMeanwhile(ask, { messages }) {
    const { turn, question, text: heard } = ask.state;
    const text = lastAnswerTo(messages, question);
    ask.listed = text !== null;
    if (text !== null && text.length > heard.length) {
      this.hear({ type: "delta", turn, text: text.slice(heard.length) });
    }
  }

  /**
   * @param {Ask} ask
   * @param {string} [reason]
   * @param {string} [message]
   */
  #lose(ask, reason = "ANSWER_LOST", message = "the answer failed while the connection was lost: ask again") {
    const failure = { type: /** @type {const} */ ("error"), reason, message, turn: ask.state.turn, continues: true };
    this.#fail(ask, failure);
    this.#tell(failure);
  }

  /** Ask the bridge for the first answer if it was not told yet. */
  #next() {
    const [ask] = this.#asks;
    if (ask === undefined || ask.number !== null || !this.#owner.ready()) return;
    if (ask.keepText !== null) return this.#hearCancelled(ask);
    const turn = (ask.number = this.numbers.give(ask.state.turn));
    if (ask.type === "regenerate") {
      ask.before = this.#history.messages;
      this.#history.takeLast();
      this.#owner.send({ type: "regenerate", turn });
    } else {
      this.#owner.send({ type: "submit", turn, text: ask.state.question });
      this.#owner.submitted();
    }
  }

  /**
   * @param {Ask} ask
   * @param {boolean} keepText
   */
  #cancel(ask, keepText) {
    if (ask.keepText !== null) return;
    ask.keepText = keepText;
    if (ask.number === null) this.#hearCancelled(ask);
    else this.#owner.send({ type: "cancel", turn: ask.number, keep_text: keepText });
  }

  /**
   * The answer was cancelled before the bridge was told of it.
   * @param {Ask} ask
   */
  #hearCancelled(ask) {
    /** @type {Finished} */
    const message = { type: "finished", turn: ask.state.turn, reason: "cancelled", report: null, ledger: [] };
    this.#finish(ask, message);
    this.#tell(message);
    this.#next();
  }

  /**
   * @param {Ask} ask
   * @param {Finished} message
   */
  #finish(ask, message) {
    const { state } = ask;
    const stays = message.reason !== "cancelled" || (state.text !== "" && ask.keepText !== false);
    if (stays && !ask.listed) this.#history.add(state);
    this.#remove(ask);
    state.finish(message);
  }

  /**
   * @param {Ask} ask
   * @param {Failure} failure
   */
  #fail(ask, failure) {
    this.#remove(ask);
    ask.state.fail(failure);
  }

  /** @param {Ask} ask */
  #remove(ask) {
    this.#endedTurn = Math.max(this.#endedTurn, ask.state.turn);
    this.#asks = this.#asks.filter((one) => one !== ask);
  }

  /** @param {Started | Delta | Finished | Failure} message */
  #tell(message) {
    this.#owner.tell(/** @type {any} */ (message.type), message);
  }
}
