// Copies of the templates in index.html. Text goes in as text, never as HTML.

/**
 * @param {string} id of a template
 * @returns {Record<string, any>} its elements by their data-part, and the outermost as `element`
 */
export function fromTemplate(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const parts = /** @type {Record<string, any>} */ ({ element: copy.firstElementChild });
  for (const element of copy.querySelectorAll("[data-part]")) {
    parts[/** @type {HTMLElement} */ (element).dataset.part ?? ""] = element;
  }
  return parts;
}

/**
 * @param {string} tag
 * @param {string} text
 * @returns {HTMLElement}
 */
export function textElement(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

/**
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}
