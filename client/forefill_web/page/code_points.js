// The place of a code point, which the wire counts in, in UTF-16 units, which the browser counts in. Pure.

// False at once for most texts without any, which the browser keeps in bytes.
const ANY_SURROGATE = /[\ud800-\udfff]/;

/**
 * @param {string} text
 * @param {number} codePoints
 * @returns {number} the UTF-16 units that so many code points take
 */
export function unitsOfCodePoints(text, codePoints) {
  if (!ANY_SURROGATE.test(text)) return Math.min(codePoints, text.length);
  let at = 0;
  for (let count = 0; count < codePoints && at < text.length; count++) {
    at += Number(text.codePointAt(at)) > 0xffff ? 2 : 1;
  }
  return at;
}
