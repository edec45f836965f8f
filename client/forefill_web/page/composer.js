// The box: its growth, its marks, and its buttons.

import { countCodePoints } from "/forefill/code_points.js";

import { NO_MARKS, afterEdit, afterFlush, afterGuess, draftParts, draftWords } from "./draft_marks.js";
import { Mirror } from "./mirror.js";
import { byId } from "./template.js";

// To show the marks of a long draft is dear, so they follow now and then, not each key. Its box has its full height.
const LONG_UNITS = 4000;
const LONG_EVERY_MS = 400;

export class Composer {
  #textarea = byId("draft");
  #mirror = new Mirror(byId("mirror"), this.#textarea);
  #words = byId("draft-words");
  #marks = NO_MARKS;
  #running = false;
  #frame = 0;
  #timer = 0;
  #shownUnits = 0;

  /** @param {() => void} onStop */
  constructor(onStop) {
    this.#textarea.addEventListener("input", () => this.#change());
    byId("box").addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#focusFrom(event));
    byId("stop").addEventListener("click", onStop);
    // bindTextBox submits; a form must not.
    byId("composer").addEventListener("submit", (/** @type {SubmitEvent} */ event) => event.preventDefault());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#running && !event.isComposing) onStop();
      if (isTyping(event)) this.focus();
    });
    this.#change();
  }

  get element() {
    return this.#textarea;
  }

  get text() {
    return this.#textarea.value;
  }

  /**
   * Put another text into the box, as if it had been typed.
   *
   * @param {string} text
   */
  set text(text) {
    this.#textarea.value = text;
    this.#textarea.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertReplacementText" }));
  }

  focus() {
    this.#textarea.focus();
  }

  /** @param {boolean} running whether an answer is being written */
  set running(running) {
    this.#running = running;
    const hadFocus = document.activeElement === byId("stop") || document.activeElement === byId("send");
    byId("stop").hidden = !running;
    byId("send").hidden = running;
    if (hadFocus) this.focus();
    this.#change();
  }

  /** @param {number} start the first code point that changed */
  edited(start) {
    this.#mark(afterEdit(this.#marks, start));
  }

  /** @param {{confirmed_code_points: number, cached_code_points: number | null}} flush */
  flushed(flush) {
    this.#mark(afterFlush(this.#marks, flush));
  }

  /** @param {{begun: boolean}} guess */
  guessed(guess) {
    this.#mark(afterGuess(this.#marks, guess));
  }

  submitted() {
    this.#mark(NO_MARKS);
  }

  /** @param {import("./draft_marks.js").DraftMarks} marks */
  #mark(marks) {
    const changesAll = marks.begun !== this.#marks.begun;
    this.#marks = marks;
    if (changesAll) this.#changeNow();
    else this.#change();
  }

  #change() {
    const isLong = Math.min(this.#textarea.textLength, this.#shownUnits) >= LONG_UNITS;
    if (isLong) this.#timer ||= setTimeout(() => this.#changeNow(), LONG_EVERY_MS);
    else this.#changeNow();
  }

  #changeNow() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#show();
    });
  }

  #show() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const text = this.text;
    this.#shownUnits = text.length;
    const length = countCodePoints(text);
    const begun = this.#marks.begun && length > 0;
    this.#mirror.show(text, draftParts(this.#marks, length));
    byId("box").classList.toggle("begun", begun);
    const words = draftWords(this.#marks, length);
    if (this.#words.textContent !== words) this.#words.textContent = words;
    byId("send").disabled = !/\S/.test(text);
  }

  /** @param {PointerEvent} event on the box around the textarea */
  #focusFrom(event) {
    const target = /** @type {Element} */ (event.target);
    if (target === this.#textarea || target.closest("button")) return;
    event.preventDefault();
    this.focus();
  }
}

/**
 * Whether a key was meant for the box though nothing that takes text has the focus: as after a click on a button.
 *
 * @param {KeyboardEvent} event
 */
function isTyping({ key, ctrlKey, metaKey, altKey, target }) {
  const takesText = /** @type {Element} */ (target).matches("textarea, input");
  return !takesText && [...key].length === 1 && key !== " " && !ctrlKey && !metaKey && !altKey;
}
