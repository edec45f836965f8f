// Where two texts differ. Pure.

// Pieces of this length are compared at once, which is much faster than unit by unit.
const PIECE = 512;

/**
 * Find the smallest replacement that turns one text into another.
 *
 * @param {string} before
 * @param {string} after
 * @returns {{start: number, end: number, text: string} | null} in UTF-16 units of `before`; null if they are equal
 */
export function textChange(before, after) {
  if (before === after) return null;
  const start = commonStart(before, after);
  const tail = commonEnd(before, after, Math.min(before.length, after.length) - start);
  return { start, end: before.length - tail, text: after.slice(start, after.length - tail) };
}

/**
 * @param {string} before
 * @param {string} after
 */
function commonStart(before, after) {
  const most = Math.min(before.length, after.length);
  let at = 0;
  while (at + PIECE <= most && before.slice(at, at + PIECE) === after.slice(at, at + PIECE)) at += PIECE;
  while (at < most && before.charCodeAt(at) === after.charCodeAt(at)) at++;
  return at;
}

/**
 * @param {string} before
 * @param {string} after
 * @param {number} most
 */
function commonEnd(before, after, most) {
  let tail = 0;
  while (tail + PIECE <= most && endPiece(before, tail) === endPiece(after, tail)) tail += PIECE;
  while (tail < most && before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)) tail++;
  return tail;
}

/**
 * @param {string} text
 * @param {number} tail units after it
 */
function endPiece(text, tail) {
  return text.slice(text.length - tail - PIECE, text.length - tail);
}
