/** @import { Failure } from "./messages.js" */

/** Raised when an answer fails: by iterating over it, and by its `finished`. */
export class ForefillError extends Error {
  /** @param {Failure} failure */
  constructor({ reason, message, turn, retry_after_ms, continues }) {
    super(message);
    this.name = "ForefillError";
    /** The cause as a name in upper case, such as "DRAFT_TOO_LONG". */
    this.reason = reason;
    /** The turn whose answer failed, if it was one. */
    this.turn = turn;
    /** After how many milliseconds another try makes sense; 0 if that is not known. */
    this.retryAfterMs = retry_after_ms ?? 0;
    /** Whether the conversation goes on. */
    this.continues = continues;
  }
}
