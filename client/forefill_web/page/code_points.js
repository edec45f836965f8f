// Code points, which the wire counts in, and UTF-16 units, which the browser counts in. Pure.

const isHigh = (/** @type {number} */ unit) => unit >= 0xd800 && unit < 0xdc00;
const isLow = (/** @type {number} */ unit) => unit >= 0xdc00 && unit < 0xe000;

/**
 * @param {string} text
 * @param {number} [end] UTF-16 units to count, all by default
 * @returns {number}
 */
export function codePointCount(text, end = text.length) {
  let pairs = 0;
  for (let at = 1; at < end; at++) {
    if (isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1))) pairs++;
  }
  return end - pairs;
}

/**
 * @param {string} text
 * @param {number} codePoints
 * @returns {number} the UTF-16 units that so many code points take
 */
export function unitsOfCodePoints(text, codePoints) {
  let at = 0;
  for (let count = 0; count < codePoints && at < text.length; count++) {
    at += isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1)) ? 2 : 1;
  }
  return at;
}
