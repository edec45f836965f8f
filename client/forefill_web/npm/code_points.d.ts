/**
 * Return whether a unit of UTF-16 is the first half of a surrogate pair.
 * @param {number} unit
 */
export function isHighSurrogate(unit: number): boolean;
/**
 * Return whether a unit of UTF-16 is the second half of a surrogate pair.
 * @param {number} unit
 */
export function isLowSurrogate(unit: number): boolean;
/**
 * Return a text as it may be sent: each lone half of a surrogate pair becomes U+FFFD.
 * @param {string} text
 */
export function wellFormed(text: string): string;
/**
 * Count the code points of a text between two positions in units, both at the edge of a code point. A lone half of a
 * surrogate pair is one.
 * @param {string} text
 * @param {number} [from]
 * @param {number} [to]
 */
export function countCodePoints(text: string, from?: number, to?: number): number;
