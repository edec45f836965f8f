// The text of an element that a user edits: a textarea, an input, or a contenteditable element.
//
// That of a contenteditable element is what the user sees, as a list of lines:
//
//   - a <br> ends a line, and so does a line feed in the text (as with `white-space: pre-wrap`);
//   - a block, such as <div>, <p> or <li>, begins a line of its own and ends it;
//   - so the <br> that editors leave at the end of a block, or in an empty one, adds no line;
//   - a no-break space is a space: editors insert them where HTML would swallow a space;
//   - scripts, styles and comments are not seen.

const BLOCKS = new Set(
  "ADDRESS ARTICLE ASIDE BLOCKQUOTE DD DIV DL DT FIGCAPTION FIGURE FOOTER H1 H2 H3 H4 H5 H6 HEADER HR LI MAIN NAV OL P PRE SECTION TABLE TR UL".split(" "),
);
const UNSEEN = new Set(["SCRIPT", "STYLE", "TEMPLATE"]);
const TEXT_NODE = 3;
const ELEMENT_NODE = 1;

/** @typedef {HTMLTextAreaElement | HTMLInputElement} Field */

/**
 * @param {HTMLElement} element
 * @returns {element is Field}
 */
function isField(element) {
  return "value" in element;
}

/**
 * Return the text in an element.
 * @param {HTMLElement} element
 */
export function readText(element) {
  return isField(element) ? element.value : seenText(element);
}

/**
 * Empty an element, as if the user had: an "input" event follows, for whatever else listens to it.
 * @param {HTMLElement} element
 */
export function clearText(element) {
  if (isField(element)) element.value = "";
  else element.replaceChildren();
  element.dispatchEvent(new Event("input", { bubbles: true }));
}

/** @param {Node} element */
function seenText(element) {
  const lines = new Lines();
  addChildren(element, lines);
  return lines.text.replaceAll("\u00a0", " ");
}

/**
 * @param {Node} parent
 * @param {Lines} lines
 */
function addChildren(parent, lines) {
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeType === TEXT_NODE) lines.add(/** @type {Text} */ (node).data);
    else if (node.nodeType === ELEMENT_NODE) addElement(node, lines);
  }
}

/**
 * @param {Node} element
 * @param {Lines} lines
 */
function addElement(element, lines) {
  const name = element.nodeName;
  if (UNSEEN.has(name)) return;
  if (name === "BR") return lines.end();
  const isBlock = BLOCKS.has(name);
  if (isBlock) lines.endIfBegun();
  addChildren(element, lines);
  if (isBlock) lines.endIfBegun();
}

class Lines {
  #ended = "";
  #line = "";
  #count = 0;

  /** @param {string} text */
  add(text) {
    const last = text.lastIndexOf("\n");
    if (last < 0) return void (this.#line += text);
    this.#line += text.slice(0, last);
    this.end();
    this.#line = text.slice(last + 1);
  }

  end() {
    this.#ended += this.#count++ === 0 ? this.#line : `\n${this.#line}`;
    this.#line = "";
  }

  endIfBegun() {
    if (this.#line !== "") this.end();
  }

  get text() {
    this.endIfBegun();
    return this.#ended;
  }
}
