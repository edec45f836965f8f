// What of the draft is confirmed, what is cached, and whether its answer is begun. Pure. Lengths are in code points, as
// on the wire.

/**
 * @typedef {object} DraftMarks
 * @property {number} confirmed code points from the start that the server has confirmed
 * @property {number} cached code points from the start that the engine has in its cache
 * @property {boolean} begun whether an answer to exactly this draft was begun
 */

/** @type {Readonly<DraftMarks>} */
export const NO_MARKS = Object.freeze({ confirmed: 0, cached: 0, begun: false });

/**
 * @param {DraftMarks} marks
 * @param {number} start the first code point that changed
 * @returns {DraftMarks}
 */
export function afterEdit(marks, start) {
  return {
    confirmed: Math.min(marks.confirmed, start),
    cached: Math.min(marks.cached, start),
    begun: false,
  };
}

/**
 * Take in the result of a flush; if it cannot tell how much is cached, what was cached before still is.
 *
 * @param {DraftMarks} marks
 * @param {{confirmed_code_points: number, cached_code_points: number | null}} flush
 * @returns {DraftMarks}
 */
export function afterFlush(marks, flush) {
  return { ...marks, confirmed: flush.confirmed_code_points, cached: flush.cached_code_points ?? marks.cached };
}

/**
 * @param {DraftMarks} marks
 * @param {{begun: boolean}} guess
 * @returns {DraftMarks}
 */
export function afterGuess(marks, guess) {
  return { ...marks, begun: guess.begun };
}

/**
 * Cut a draft at its marks.
 *
 * @param {DraftMarks} marks
 * @param {number} length code points of the draft
 * @returns {{cached: number, confirmed: number, pending: number}} the code points in each state; they add up to `length`
 */
export function draftParts(marks, length) {
  const cached = Math.min(marks.cached, length);
  const confirmed = Math.min(Math.max(marks.confirmed, cached), length);
  return { cached, confirmed: confirmed - cached, pending: length - confirmed };
}

/**
 * Say in words what the colours show.
 *
 * @param {DraftMarks} marks
 * @param {number} length code points of the draft
 * @returns {string}
 */
export function draftWords(marks, length) {
  if (length === 0) return "";
  if (marks.begun) return "The answer is begun. Send to see it.";
  const { cached, confirmed } = draftParts(marks, length);
  if (cached === length) return "All of it is cached.";
  if (cached > 0) return `${cached} of ${length} characters are cached.`;
  if (confirmed > 0) return `${confirmed} of ${length} characters are confirmed.`;
  return "Nothing is confirmed yet.";
}
