// Code blocks in a text that comes bit by bit. Pure. Lines of ``` or more open and close them; nothing else of Markdown
// is read.

/**
 * @typedef {{kind: "open", language: string} | {kind: "text", text: string} | {kind: "close"}} Piece
 */

const FENCE = /^ {0,3}(`{3,})([^`]*)$/;
const MAY_BECOME_FENCE = /^ {0,3}(`{0,2}$|`{3,}[^`]*$)/;

/** Cuts a text into pieces. Joined, the pieces of a text do not depend on how it was cut when it came. */
export class CodeFences {
  #line = "";
  #shown = 0;
  #fence = 0;
  // Line breaks wait for what follows: those around a block are not part of the text, nor is the last one in it.
  #breaks = "";
  #afterBlock = false;

  /**
   * @param {string} text what came
   * @returns {Piece[]}
   */
  read(text) {
    const pieces = /** @type {Piece[]} */ ([]);
    const lines = text.split("\n");
    lines.forEach((part, index) => {
      this.#line += part;
      if (index < lines.length - 1) this.#endLine(pieces);
      else this.#showLine(pieces);
    });
    return joined(pieces);
  }

  /** @returns {Piece[]} what was held back, at the end of the text */
  end() {
    const pieces = /** @type {Piece[]} */ ([]);
    if (this.#line && !this.#readFence(pieces)) this.#emit(pieces);
    if (this.#fence) pieces.push({ kind: "close" });
    return joined(pieces);
  }

  /** @param {Piece[]} pieces */
  #showLine(pieces) {
    if (this.#shown > 0 || (this.#line && !MAY_BECOME_FENCE.test(this.#line))) this.#emit(pieces);
  }

  /** @param {Piece[]} pieces */
  #endLine(pieces) {
    if (this.#shown > 0 || !this.#readFence(pieces)) {
      if (this.#line) this.#emit(pieces);
      if (!this.#afterBlock) this.#breaks += "\n";
    }
    this.#line = "";
    this.#shown = 0;
  }

  /** @param {Piece[]} pieces */
  #emit(pieces) {
    const text = this.#breaks + this.#line.slice(this.#shown);
    this.#breaks = "";
    this.#shown = this.#line.length;
    if (!text) return;
    this.#afterBlock = false;
    pieces.push({ kind: "text", text });
  }

  /** @param {Piece[]} pieces */
  #readFence(pieces) {
    const found = FENCE.exec(this.#line);
    if (!found) return false;
    const [, ticks, info] = found;
    if (this.#fence === 0) {
      this.#breaks = "";
      this.#fence = ticks.length;
      this.#afterBlock = false;
      pieces.push({ kind: "open", language: info.trim().split(/\s+/)[0] });
    } else if (ticks.length >= this.#fence && !info.trim()) {
      this.#dropLastBreak(pieces);
      this.#fence = 0;
      this.#afterBlock = true;
      pieces.push({ kind: "close" });
    } else {
      return false;
    }
    return true;
  }

  /** @param {Piece[]} pieces */
  #dropLastBreak(pieces) {
    const text = this.#breaks.slice(1);
    this.#breaks = "";
    if (text) pieces.push({ kind: "text", text });
  }
}

/**
 * @param {Piece[]} pieces
 * @returns {Piece[]}
 */
function joined(pieces) {
  const result = /** @type {Piece[]} */ ([]);
  for (const piece of pieces) {
    const last = result.at(-1);
    if (piece.kind === "text" && last?.kind === "text") last.text += piece.text;
    else result.push(piece);
  }
  return result;
}
