// Lengths in Unicode code points of texts that JavaScript measures in UTF-16 units: most emoji are one code point, but
// two units, a surrogate pair.

// False at once for most texts without any, which engines keep in bytes.
const ANY_SURROGATE = /[\ud800-\udfff]/;

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
 * Count the code points of a text between two positions in units, both at the edge of a code point. A lone half of a
 * surrogate pair is one.
 * @param {string} text
 * @param {number} [from]
 * @param {number} [to]
 */
export function countCodePoints(text, from = 0, to = text.length) {
  const part = text.slice(from, to);
  if (!ANY_SURROGATE.test(part)) return part.length;
  let pairs = 0;
  for (let at = 1; at < part.length; at++) {
    if (isLowSurrogate(part.charCodeAt(at)) && isHighSurrogate(part.charCodeAt(at - 1))) pairs++;
  }
  return part.length - pairs;
}
