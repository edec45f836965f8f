/** @import { AnswerPart, AnswerState } from "./answer_state.js" */
/** @import { Finished } from "./messages.js" */
/**
 * One answer: iterate over it for its parts as they come. Each iteration begins with the first part.
 *
 * An iteration that is left does not stop the answer; `cancel` does. If the answer fails, the iteration and `finished`
 * throw a ForefillError.
 */
export class Answer {
    /**
     * @internal
     * @param {AnswerState} state
     * @param {(keepText: boolean) => void} cancel
     */
    constructor(state: AnswerState, cancel: (keepText: boolean) => void);
    /** The number of what asked for it, in this conversation. */
    get turn(): number;
    /** The text that was submitted; "" if the conversation was to be answered as it was. */
    get question(): string;
    /** All of its text that has come. */
    get text(): string;
    /** What the model thought, as far as it has come. */
    get reasoning(): string;
    /** Its first token; null if that has not come. */
    get started(): Omit<import("./messages.js").Started, "type"> | null;
    /** Whether it has ended, or failed. */
    get done(): boolean;
    /** Why it failed; null if it has not. */
    get error(): import("./errors.js").ForefillError | null;
    /** Its end, with what it cost. */
    get finished(): Promise<Finished>;
    /**
     * Stop it, and return its end.
     *
     * With `keepText`, what came of it stays in the conversation, as the answer to its question; without, or if nothing
     * came, the conversation is as it was before.
     * @param {{ keepText?: boolean }} [options]
     * @returns {Promise<Finished>}
     */
    cancel({ keepText }?: {
        keepText?: boolean;
    }): Promise<Finished>;
    /** @returns {AsyncGenerator<AnswerPart, void, undefined>} */
    [Symbol.asyncIterator](): AsyncGenerator<AnswerPart, void, undefined>;
    #private;
}
import type { Finished } from "./messages.js";
import type { AnswerPart } from "./answer_state.js";
import type { AnswerState } from "./answer_state.js";
