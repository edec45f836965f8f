// Lengths in Unicode code points of texts that JavaScript measures in UTF-16 units: most emoji are one code point, but
// two units, a surrogate pair.

/**
 * Return whether a unit of UTF-16 is the first half of a surrogate pair.
 * @param {number} unit
 */
export function isHighSurrogate(unit) {
  return (unit & 0xfc00) === 0xd800;
}

/**
 * Return whether a unit of UTF-16 is the second half of a surrogate pair.
 * @param {number} unit
 */
export function isLowSurrogate(unit) {
  return (unit & 0xfc00) === 0xdc00;
}

/**
 * Return a text as it may be sent: each lone half of a surrogate pair becomes U+FFFD.
 * @param {string} text
 */
export function wellFormed(text) {
  return text.isWellFormed() ? text : text.toWellFormed();
}

/**
 * Count the code points of a well-formed text between two positions in units, both at the edge of a code point.
 * @param {string} text
 * @param {number} [from]
 * @param {number} [to]
 */
export function countCodePoints(text, from = 0, to = text.length) {
  let pairs = 0;
  for (let at = from; at < to; at++) {
    if (isHighSurrogate(text.charCodeAt(at))) pairs++;
  }
  return to - from - pairs;
}
