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
export function difference(before: string, after: string): Difference | null;
/**
 * A replacement in a text: the position of the first unit to replace, that after the last one, and the new text.
 */
export type Difference = {
    start: number;
    end: number;
    text: string;
};
