// Where two texts differ. Pure.

/**
 * Find the smallest replacement that turns one text into another.
 *
 * @param {string} before
 * @param {string} after
 * @returns {{start: number, end: number, text: string} | null} in UTF-16 units of `before`; null if they are equal
 */
export function textChange(before, after) {
  if (before === after) return null;
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before.charCodeAt(start) === after.charCodeAt(start)) start++;
  let tail = 0;
  while (
    tail < shorter - start &&
    before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)
  ) {
    tail++;
  }
  return { start, end: before.length - tail, text: after.slice(start, after.length - tail) };
}
