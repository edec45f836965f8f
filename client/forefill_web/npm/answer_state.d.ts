/** @import { Failure, Finished, Started } from "./messages.js" */
/** @typedef {{ text: string, reasoning: string }} AnswerPart */
/** What has come of an answer, for its reader to wait on. */
export class AnswerState {
    /**
     * @param {number} turn
     * @param {string} question
     */
    constructor(turn: number, question: string);
    /** @type {AnswerPart[]} */
    parts: AnswerPart[];
    text: string;
    reasoning: string;
    /** @type {Omit<Started, "type"> | null} */
    started: Omit<Started, "type"> | null;
    /** @type {Finished | null} */
    end: Finished | null;
    /** @type {ForefillError | null} */
    error: ForefillError | null;
    turn: number;
    question: string;
    /** @returns {Promise<Finished>} */
    get finished(): Promise<Finished>;
    /** Settles when more has come.
     * @returns {Promise<void>} */
    get changed(): Promise<void>;
    /** @param {AnswerPart} part */
    add(part: AnswerPart): void;
    /** @param {Finished} end */
    finish(end: Finished): void;
    /** @param {Failure} failure */
    fail(failure: Failure): void;
    #private;
}
export type AnswerPart = {
    text: string;
    reasoning: string;
};
import type { Started } from "./messages.js";
import type { Finished } from "./messages.js";
import { ForefillError } from "./errors.js";
import type { Failure } from "./messages.js";
