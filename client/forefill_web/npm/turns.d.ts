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
    /**
     * @param {History} history
     * @param {TurnsOwner} owner
     */
    constructor(history: History, owner: TurnsOwner);
    numbers: TurnNumbers;
    /** The answer that is running. */
    get running(): Answer;
    /** The submitted text that waits for a connection; null if none does. */
    get waitingText(): string | null;
    /** Whether another answer can be asked for: every one before was cancelled. */
    get free(): boolean;
    /**
     * @param {Ask["type"]} type
     * @param {string} question
     */
    ask(type: Ask["type"], question: string): Answer;
    /**
     * Hear a message with its turn already ours.
     * @param {Started | Delta | Finished | Failure} message
     */
    hear(message: Started | Delta | Finished | Failure): void;
    /**
     * End all with an error.
     * @param {Failure} failure
     */
    fail(failure: Failure): void;
    /**
     * Find out what the bridge has of what was asked for. `proceed` follows.
     * @param {Opened} opened
     */
    match(opened: Opened): void;
    /** Go on after `match`: hear what was missed, and ask again for what the bridge has not heard of. */
    proceed(): void;
    #private;
}
/**
 * What was asked for, and whether the bridge was told.
 */
export type Ask = {
    type: "submit" | "regenerate";
    answer: Answer;
    /**
     * What has come of it.
     */
    state: AnswerState;
    /**
     * The bridge's number of the turn; null before it is sent.
     */
    number: number | null;
    /**
     * Whether a cancelled answer's text is to be kept; null if it is not cancelled.
     */
    keepText: boolean | null;
    /**
     * The conversation before a `regenerate` took its last answer.
     */
    before: readonly Message[] | null;
    /**
     * Whether the conversation, as the bridge last showed it, has the answer already.
     */
    listed: boolean;
};
/**
 * What became of the answer that ran when the connection broke.
 */
export type Fate = {
    runs: RunningAnswer;
} | {
    ended: Opened;
} | {
    lost: true;
} | null;
export type TurnsOwner = {
    /**
     * Whether messages can be sent.
     */
    ready: () => boolean;
    send: (message: object) => void;
    /**
     * A submit was sent: the bridge's draft is empty.
     */
    submitted: () => void;
    tell: (type: "started" | "delta" | "finished" | "error", detail: any) => void;
};
import { TurnNumbers } from "./turn_numbers.js";
import { Answer } from "./answer.js";
import type { Started } from "./messages.js";
import type { Delta } from "./messages.js";
import type { Finished } from "./messages.js";
import type { Failure } from "./messages.js";
import type { Opened } from "./messages.js";
import type { History } from "./history.js";
import { AnswerState } from "./answer_state.js";
import type { Message } from "./messages.js";
import type { RunningAnswer } from "./messages.js";
