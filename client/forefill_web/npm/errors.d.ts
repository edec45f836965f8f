/** @import { Failure } from "./messages.js" */
/** Raised when an answer fails: by iterating over it, and by its `finished`. */
export class ForefillError extends Error {
    /** @param {Failure} failure */
    constructor({ reason, message, turn, retry_after_ms, continues }: Failure);
    /** The cause as a name in upper case, such as "DRAFT_TOO_LONG". */
    reason: string;
    /** The turn whose answer failed, if it was one. */
    turn: number | undefined;
    /** After how many milliseconds another try makes sense; 0 if that is not known. */
    retryAfterMs: number;
    /** Whether the conversation goes on. */
    continues: boolean;
}
import type { Failure } from "./messages.js";
