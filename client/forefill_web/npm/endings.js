/** @import { Failure } from "./messages.js" */

/** @type {Record<number, [reason: string, message: string]>} */
const ENDINGS = {
  1000: ["SESSION_ENDED", "the bridge has ended the conversation: reload the page for another"],
  1008: ["REFUSED", "the bridge refuses this conversation: reload the page for another"],
  1009: ["MESSAGE_TOO_LARGE", "a message was too large for the bridge: shorten the text, then connect() again"],
  4001: ["TAKEN_OVER", "the conversation goes on in another tab: connect() takes it back"],
};
/** @type {[reason: string, message: string]} */
const OTHER = ["REFUSED", "the bridge has closed the conversation"];

/**
 * Return the error that a closing code of the bridge stands for.
 * @param {number} code
 * @param {string} detail
 * @returns {Failure}
 */
export function endingOf(code, detail) {
  const [reason, message] = ENDINGS[code] ?? OTHER;
  return { type: "error", reason, message: detail ? `${message} (${detail})` : message, continues: false };
}

/**
 * Return whether the bridge is done with this conversation, so that its token is of no more use.
 * @param {number} code
 */
export function forgetsToken(code) {
  return code === 1000 || code === 1008;
}
