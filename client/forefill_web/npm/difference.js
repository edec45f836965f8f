import { isHighSurrogate, isLowSurrogate } from "./code_points.js";

/**
 * A replacement in a text: the position of the first unit to replace, that after the last one, and the new text.
 * @typedef {{ start: number, end: number, text: string }} Difference
 */

/**
 * Return the smallest single replacement that makes one well-formed text of another; null if they are equal.
 *
 * It never splits a surrogate pair. Of several that are equally small it is the last one: what comes before it stays
 * cached.
 * @param {string} before
 * @param {string} after
 * @returns {Difference | null}
 */
export function difference(before, after) {
  if (before === after) return null;
  const start = commonPrefix(before, after);
  const kept = commonSuffix(before, after, Math.min(before.length, after.length) - start);
  return { start, end: before.length - kept, text: after.slice(start, after.length - kept) };
}

/**
 * @param {string} one
 * @param {string} other
 */
function commonPrefix(one, other) {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one.charCodeAt(length) === other.charCodeAt(length)) length++;
  return length > 0 && isHighSurrogate(one.charCodeAt(length - 1)) ? length - 1 : length;
}

/**
 * @param {string} one
 * @param {string} other
 * @param {number} most
 */
function commonSuffix(one, other, most) {
  let length = 0;
  while (length < most && one.charCodeAt(one.length - length - 1) === other.charCodeAt(other.length - length - 1)) length++;
  return length > 0 && isLowSurrogate(one.charCodeAt(one.length - length)) ? length - 1 : length;
}
