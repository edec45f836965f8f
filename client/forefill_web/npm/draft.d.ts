/**
 * A change of a draft; positions and lengths count code points. The draft then has `length` of them.
 * @typedef {{ start: number, end: number, text: string, length: number }} Edit
 */
/**
 * A text and its length in code points, kept up to date by what changes alone.
 *
 * Nothing is counted in a text without surrogate pairs. In others, the next change is mostly close to the last one, so
 * counting starts from there.
 */
export class Draft {
    /** @param {string} [text] */
    constructor(text?: string);
    get text(): string;
    /** The number of code points. */
    get length(): number;
    /**
     * Become another text, and return the change; null if it is the same.
     * @param {string} text
     * @returns {Edit | null}
     */
    become(text: string): Edit | null;
    #private;
}
/**
 * A change of a draft; positions and lengths count code points. The draft then has `length` of them.
 */
export type Edit = {
    start: number;
    end: number;
    text: string;
    length: number;
};
