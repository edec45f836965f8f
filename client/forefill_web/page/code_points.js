// Code points, which the wire counts in, and UTF-16 units, which the browser counts in. Pure.

// Found at once for text without any, since the browser keeps that in bytes.
const ANY_SURROGATE = /[\ud800-\udfff]/;
const isHigh = (/** @type {number} */ unit) => unit >= 0xd800 && unit < 0xdc00;
const isLow = (/** @type {number} */ unit) => unit >= 0xdc00 && unit < 0xe000;

/**
 * @param {string} text
 * @returns {number}
 */
export function codePointCount(text) {
  if (!ANY_SURROGATE.test(text)) return text.length;
  let pairs = 0;
  for (let at = 1; at < text.length; at++) {
    if (isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1))) pairs++;
  }
  return text.length - pairs;
}

/**
 * @param {string} text
 * @param {number} codePoints
 * @returns {number} the UTF-16 units that so many code points take
 */
export function unitsOfCodePoints(text, codePoints) {
  if (!ANY_SURROGATE.test(text)) return Math.min(codePoints, text.length);
  let at = 0;
  for (let count = 0; count < codePoints && at < text.length; count++) {
    at += isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1)) ? 2 : 1;
  }
  return at;
}
