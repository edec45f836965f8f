/**
 * Return the text in an element.
 * @param {HTMLElement} element
 */
export function readText(element: HTMLElement): string;
/**
 * Empty an element, as if the user had: an "input" event follows, for whatever else listens to it.
 * @param {HTMLElement} element
 */
export function clearText(element: HTMLElement): void;
export type Field = HTMLTextAreaElement | HTMLInputElement;
