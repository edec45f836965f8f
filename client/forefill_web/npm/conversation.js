import { Bridge } from "./bridge.js";
import { wellFormed } from "./code_points.js";
import { Events } from "./events.js";
import { History } from "./history.js";
import { socketUrl } from "./network.js";
import { Socket } from "./socket.js";
import { TokenStore } from "./token_store.js";
import { Turns } from "./turns.js";
import { Twins } from "./twins.js";
import { TypedDraft } from "./typed_draft.js";

/** @import { Answer } from "./answer.js" */
/** @import { ConversationEvents } from "./events.js" */
/** @import { Failure, Message, Opened, Twin } from "./messages.js" */
/** @import { SocketState } from "./socket.js" */

/**
 * @typedef {object} ConversationOptions
 * @property {Iterable<Message>} [messages] The conversation so far.
 * @property {string} [storage] Keep the token under this name in sessionStorage, so that a reload goes on.
 * @property {(failure: Failure) => void} [onError] Called with each "error" event's detail.
 * @property {typeof WebSocket} [WebSocket] In place of the global one, which Node 20 lacks.
 */

/** @type {(conversation: Conversation, sync: () => void) => () => void} */
let attach;

/**
 * One conversation with the bridge, and the draft of its next message.
 *
 * It connects when it is first used, and goes on by itself after a break: what is typed meanwhile follows, and what was
 * submitted is asked once.
 */
export class Conversation extends Events {
  /** @type {Socket} */
  #socket;
  /** @type {TypedDraft} */
  #draft;
  #history;
  /** @type {Turns} */
  #turns;
  #twins;
  #token;
  /** @type {Bridge} */
  #bridge;
  #onError;

  static {
    attach = (conversation, sync) => conversation.#draft.attach(sync);
  }

  /**
   * @param {string | URL} url That of the bridge's WebSocket; a path such as "/socket" is on the page's own server.
   * @param {ConversationOptions} [options]
   */
  constructor(url, { messages = [], storage, onError, WebSocket = globalThis.WebSocket } = {}) {
    super();
    if (WebSocket === undefined) throw new TypeError("there is no WebSocket here: pass one as the option WebSocket");
    this.#socket = new Socket(socketUrl(url), WebSocket, {
      opening: () => this.#bridge.opening(),
      received: (message) => this.#bridge.hear(message),
      stateChanged: () => this.#tellState(),
      ended: (code, reason) => this.#bridge.ended(code, reason),
    });
    const send = this.#socket.send.bind(this.#socket);
    this.#draft = new TypedDraft(this.#socket, {
      edited: (edit) => this.#tell("edit", edit),
      refuse: (reason, message) => this.#refuse(reason, message),
    });
    this.#history = new History(messages);
    this.#twins = new Twins(send);
    this.#turns = new Turns(this.#history, {
      ready: () => this.#socket.ready,
      send,
      submitted: () => this.#draft.emptied(),
      tell: (type, detail) => this.#tell(type, detail),
    });
    this.#token = new TokenStore(storage);
    const subjects = { draft: this.#draft, history: this.#history, turns: this.#turns, twins: this.#twins };
    this.#bridge = new Bridge({ ...subjects, token: this.#token }, {
      send,
      tell: (type, detail) => this.#tell(type, detail),
      stateChanged: (message) => this.#tellState(message),
    });
    this.#onError = onError;
  }

  /** Names the conversation to the bridge; null before it is open. Whoever has it can read the conversation. */
  get token() {
    return this.#token.token;
  }

  /** The text in the box. */
  get draft() {
    return this.#draft.text;
  }

  /** The messages before the draft. A running answer and its question are not part of it yet. */
  get messages() {
    return this.#history.messages;
  }

  /**
   * What the bridge last said of itself and the conversation; null before it is open.
   * @returns {Opened | null}
   */
  get opened() {
    return this.#bridge.opened;
  }

  /**
   * The answer that is running, or that waits for a connection; null if there is none.
   * @returns {Answer | null}
   */
  get running() {
    return this.#turns.running;
  }

  /** @returns {SocketState} */
  get state() {
    const { state } = this.#socket;
    return state === "open" ? this.#bridge.state : state;
  }

  /** Connect now: at once if it waits for the next try, and again if the conversation went on elsewhere. */
  connect() {
    this.#socket.connect();
  }

  /**
   * Make this the draft. For an editor that `bindTextBox` does not know.
   * @param {string} text
   * @param {{ composing?: boolean }} [options] Whether an input method is composing the text that has changed. Call it
   *   once more without when that ends, even if the text is the same.
   */
  setDraft(text, { composing = false } = {}) {
    this.#draft.become(text, composing);
  }

  /**
   * Say that a submit of the draft is likely soon, or no longer. It holds until the draft changes.
   * @param {boolean} [likely]
   */
  hint(likely = true) {
    this.#draft.hint(likely);
  }

  /**
   * Ask for the answer to a text; default: the draft, which is then empty.
   *
   * Without a connection it is asked when there is one. Return null, after an "error" event, if it is too long, if
   * another answer is running or if the conversation is closed; null alone if it is empty.
   * @param {string} [text]
   * @returns {Answer | null}
   */
  submit(text = this.#draft.text) {
    if (text === "" || !this.#mayAsk()) return null;
    const question = wellFormed(text);
    if (!this.#draft.accepts(question)) return null;
    const isDraft = question === this.#draft.text;
    const answer = this.#turns.ask("submit", question);
    if (isDraft) this.setDraft("");
    this.#draft.flush();
    this.connect();
    return answer;
  }

  /**
   * Ask once more for the last answer, which leaves the conversation. Return null, after an "error" event, if there is
   * none, if another answer is running or if the conversation is closed.
   * @returns {Answer | null}
   */
  regenerate() {
    if (!this.#mayChange()) return null;
    const question = this.#history.lastQuestion;
    if (question === null) return this.#refuse("NO_ANSWER", "there is no last answer: submit a text");
    const answer = this.#turns.ask("regenerate", question);
    this.connect();
    return answer;
  }

  /**
   * Keep the first `keep` of `messages`, and let these follow: for an earlier message that was edited. Return false,
   * after an "error" event, if an answer is running or if the conversation is closed.
   * @param {number} keep
   * @param {Iterable<Message>} [messages]
   */
  rewrite(keep, messages = []) {
    if (!this.#mayChange()) return false;
    const added = [...messages];
    this.#history.rewrite(keep, added);
    this.#socket.send({ type: "rewrite", keep, messages: added });
    this.connect();
    return true;
  }

  /**
   * Measure what the answer to a turn would have waited without forefill. It takes as long as that, and one at a time.
   * @param {number} turn
   * @returns {Promise<Twin>}
   */
  measureTwin(turn) {
    return this.#twins.measure(turn, this.#turns.numbers.numberOf(turn));
  }

  /** End the conversation at the bridge, too. */
  close() {
    this.#socket.send({ type: "end" });
    this.#token.token = null;
    this.#bridge.fail({ reason: "CLOSED", message: "the conversation was closed", continues: false });
    this.#socket.close();
  }

  #mayAsk() {
    if (this.state === "closed") return this.#refuse("CLOSED", "the conversation is closed: connect() opens it again");
    return this.#turns.free || this.#refuse("ANSWER_RUNNING", "an answer is running: wait for it, or cancel it");
  }

  #mayChange() {
    return this.#mayAsk() && (this.running === null || this.#refuse("ANSWER_RUNNING", "an answer is being cancelled"));
  }

  /**
   * @param {string} reason
   * @param {string} message
   */
  #refuse(reason, message) {
    this.#tell("error", { type: "error", reason, message, continues: true });
    return null;
  }

  /** @param {string} [message] */
  #tellState(message) {
    this.#tell("state", { state: this.state, ...(message !== undefined && { message }) });
  }

  /**
   * @template {keyof ConversationEvents} K
   * @param {K} type
   * @param {ConversationEvents[K]} detail
   */
  #tell(type, detail) {
    if (type === "error") this.#onError?.(/** @type {Failure} */ (detail));
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Have a box say what it holds whenever the bridge is about to be told of the draft; return what ends that.
 * @param {Conversation} conversation
 * @param {() => void} sync
 */
export function attachBox(conversation, sync) {
  return attach(conversation, sync);
}
