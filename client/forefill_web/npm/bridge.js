import { endingOf, forgetsToken } from "./endings.js";
import { exchange, withoutQuestion } from "./history.js";

/** @import { ConversationEvents } from "./events.js" */
/** @import { History } from "./history.js" */
/** @import { Delta, Failure, Finished, FromBridge, Opened, Started } from "./messages.js" */
/** @import { TokenStore } from "./token_store.js" */
/** @import { Turns } from "./turns.js" */
/** @import { Twins } from "./twins.js" */
/** @import { TypedDraft } from "./typed_draft.js" */

/**
 * What the bridge's messages are about.
 * @typedef {object} BridgeSubjects
 * @property {TypedDraft} draft
 * @property {History} history
 * @property {Turns} turns
 * @property {Twins} twins
 * @property {TokenStore} token
 */

/**
 * @typedef {object} BridgeOwner
 * @property {(message: object) => void} send
 * @property {<K extends keyof ConversationEvents>(type: K, detail: ConversationEvents[K]) => void} tell
 * @property {(message?: string) => void} stateChanged
 */

const PROTOCOL = 1;

/** The bridge, as the conversation knows it: what it is told when a connection opens, and what its messages mean. */
export class Bridge {
  #draft;
  #history;
  #turns;
  #twins;
  #token;
  #owner;
  /** @type {Opened | null} What it last said of itself and the conversation; null before it is open. */
  opened = null;
  /** @type {"open" | "reconnecting"} The state of its own connection to the server. */
  state = "open";
  /** @type {Failure | null} What it has ended the conversation with. */
  #last = null;

  /**
   * @param {BridgeSubjects} subjects
   * @param {BridgeOwner} owner
   */
  constructor({ draft, history, turns, twins, token }, owner) {
    this.#draft = draft;
    this.#history = history;
    this.#turns = turns;
    this.#twins = twins;
    this.#token = token;
    this.#owner = owner;
  }

  /** Return the first message of a connection. */
  opening() {
    this.#draft.sync();
    const { token } = this.#token;
    const { running } = this.#turns;
    const begun = running !== null && running.text !== "" ? exchange(running) : [];
    const messages = [...this.#history.messages, ...begun];
    const draft = this.#draft.opening(this.#turns.waitingText);
    return { type: "open", protocol: PROTOCOL, ...(token && { token }), messages, draft };
  }

  /** @param {FromBridge} message */
  hear(message) {
    switch (message.type) {
      case "opened":
        return this.#open(message);
      case "resync":
        this.#draft.diverged();
        return this.#draft.flush();
      case "state":
        this.state = message.state;
        return this.#owner.stateChanged(message.message);
      case "flush":
      case "guess":
        return this.#owner.tell(message.type, message);
      case "started":
      case "delta":
      case "finished":
        return this.#hearTurn({ ...message, turn: this.#turns.numbers.turnOf(message.turn) });
      case "twin":
        return this.#owner.tell("twin", this.#twins.hear({ ...message, turn: this.#turns.numbers.turnOf(message.turn) }));
      case "error":
        return this.#hearFailure(message);
    }
  }

  /**
   * Hear that the connection was closed for good.
   * @param {number} code
   * @param {string} detail
   */
  ended(code, detail) {
    if (forgetsToken(code)) this.#token.token = null;
    const failure = this.#last ?? endingOf(code, detail);
    this.fail(failure);
    if (this.#last === null) this.#owner.tell("error", failure);
  }

  /**
   * Fail what the bridge was asked for.
   * @param {Failure} failure
   */
  fail(failure) {
    this.#turns.fail(failure);
    this.#twins.fail(failure.message);
  }

  /** @param {Opened} message */
  #open(message) {
    this.state = "open";
    this.#last = null;
    this.#turns.match(message);
    const missed = this.#history.become(withoutQuestion(message), message.resumed);
    this.#token.token = message.token;
    this.#draft.begin(message);
    this.opened = { ...message, turn: this.#turns.numbers.turnOf(message.turn) };
    this.#owner.tell("opened", this.opened);
    this.#draft.sync();
    if (missed !== null) this.#owner.send({ type: "rewrite", ...missed });
    this.#turns.proceed();
    this.#draft.begun();
    this.#twins.resume((turn) => this.#turns.numbers.numberOf(turn));
  }

  /** @param {Failure} failure */
  #hearFailure(failure) {
    if (!failure.continues) this.#last = failure;
    if (failure.turn === undefined) return this.#owner.tell("error", failure);
    this.#draft.diverged(); // the bridge may have put the text of a refused submit back
    this.#hearTurn({ ...failure, type: "error", turn: this.#turns.numbers.turnOf(failure.turn) });
  }

  /** @param {Started | Delta | Finished | Failure} message */
  #hearTurn(message) {
    this.#turns.hear(message);
    this.#draft.flush(); // if the next submit has waited for this end, the bridge's draft is empty now
  }
}
