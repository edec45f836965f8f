import { attachBox } from "./conversation.js";
import { clearText, readText } from "./element_text.js";
import { SendHint } from "./send_hint.js";

/** @import { Answer } from "./answer.js" */
/** @import { Conversation } from "./conversation.js" */

/**
 * @typedef {object} TextBoxOptions
 * @property {HTMLElement} [sendButton] While it is hovered, focused or touched, a submit is likely.
 * @property {(answer: Answer) => void} [onSubmit] With this, the send button and Enter submit, and it is called with
 *   the answer.
 * @property {"enter" | "ctrl+enter" | "never"} [submitOn] The key that submits: Enter (Shift+Enter is a new line), or
 *   Enter with Ctrl or Cmd. Default: Enter if there is `onSubmit`, else never: call `submit()` yourself.
 * @property {boolean} [lazy] Connect only when the box is first used. Otherwise at once, so that what comes before the
 *   draft is cached by then.
 */

/** The keyCode of a key that an input method has taken, also if it no longer composes: Safari's Enter that ended it. */
const TAKEN_BY_INPUT_METHOD = 229;

/**
 * Bind a text box to a conversation: its text is the draft.
 * @param {Conversation} conversation
 * @param {HTMLElement} element A textarea, a text input, or a contenteditable element.
 * @param {TextBoxOptions} [options]
 */
export function bindTextBox(conversation, element, options = {}) {
  return new TextBox(conversation, element, options);
}

/** A text box that is bound to a conversation; made by `bindTextBox`. */
export class TextBox {
  #conversation;
  #element;
  #hint;
  #onSubmit;
  #submitOn;
  #composing = false;
  /** Whether the last key was one that its keyboard does not name, as those of Android do not. */
  #keyUnnamed = false;
  #binding = new AbortController();

  /**
   * @internal
   * @param {Conversation} conversation
   * @param {HTMLElement} element
   * @param {TextBoxOptions} options
   */
  constructor(conversation, element, { sendButton, onSubmit, submitOn = onSubmit ? "enter" : "never", lazy = false }) {
    this.#conversation = conversation;
    this.#element = element;
    this.#onSubmit = onSubmit;
    this.#submitOn = submitOn;
    this.#hint = new SendHint(conversation, () => this.sync());
    this.#listen();
    if (sendButton !== undefined) this.#listenToButton(sendButton);
    const detach = attachBox(conversation, () => this.sync());
    this.#binding.signal.addEventListener("abort", detach);
    this.sync();
    if (!lazy) conversation.connect();
  }

  /** The text in the box. */
  get text() {
    return readText(this.#element);
  }

  /** Read the box. Call it after you have changed the text by a script, or leave it to the next event. */
  sync() {
    this.#conversation.setDraft(this.text, { composing: this.#composing });
  }

  /**
   * Submit the text and empty the box. Return null if there is nothing but space, or as `Conversation.submit` does; the
   * text then stays.
   * @returns {Answer | null}
   */
  submit() {
    this.#composing = false;
    this.sync();
    if (this.text.trim() === "") return null;
    const answer = this.#conversation.submit();
    if (answer !== null) clearText(this.#element);
    return answer;
  }

  /** Unbind the box. The conversation keeps the draft. */
  detach() {
    this.#binding.abort();
  }

  #listen() {
    const sync = () => this.sync();
    this.#on("input", (event) => this.#input(event));
    this.#on("compositionstart", () => (this.#composing = true));
    this.#on("compositionend", () => this.#compositionEnded());
    this.#on("keydown", (event) => this.#keyDown(event));
    this.#on("keyup", (event) => this.#keyUp(event));
    this.#on("beforeinput", (event) => this.#beforeInput(event));
    this.#on("blur", () => this.#left());
    for (const type of ["change", "focus"]) this.#on(type, sync);
    const form = this.#element.closest("form");
    if (form === null) return;
    this.#on("submit", sync, form);
    // The box is reset only after the event.
    this.#on("reset", () => setTimeout(() => this.#binding.signal.aborted || this.sync()), form);
  }

  /** @param {HTMLElement} button */
  #listenToButton(button) {
    this.#hint.watch(button, this.#binding.signal);
    if (this.#onSubmit === undefined) return;
    this.#on("click", (event) => {
      event.preventDefault();
      this.#submitted();
    }, button);
  }

  /**
   * @param {string} type
   * @param {(event: any) => void} listener
   * @param {EventTarget} [target]
   */
  #on(type, listener, target = this.#element) {
    // Before the page's own listeners, which may ask for the draft.
    target.addEventListener(type, listener, { signal: this.#binding.signal, capture: true });
  }

  /** @param {InputEvent} event */
  #input(event) {
    if (typeof event.isComposing === "boolean") this.#composing = event.isComposing;
    this.sync();
  }

  #compositionEnded() {
    this.#composing = false;
    this.sync();
  }

  #left() {
    this.#compositionEnded();
    this.#hint.off("key");
  }

  /** @param {KeyboardEvent} event */
  #keyDown(event) {
    this.#keyUnnamed = event.key === "Unidentified";
    if (event.isComposing || event.keyCode === TAKEN_BY_INPUT_METHOD) return;
    if (this.#submits(event)) {
      event.preventDefault();
      if (!event.repeat) this.#submitted();
    } else if (this.#announcesSubmit(event)) this.#hint.on("key");
  }

  /** @param {KeyboardEvent} event */
  #keyUp({ key }) {
    if (key === "Control" || key === "Meta" || key === "Enter") this.#hint.off("key");
  }

  /** @param {InputEvent} event */
  #beforeInput(event) {
    const isEnter = event.inputType === "insertLineBreak" || event.inputType === "insertParagraph";
    if (!isEnter || !this.#keyUnnamed || event.isComposing || this.#submitOn !== "enter") return;
    event.preventDefault();
    this.#submitted();
  }

  /** @param {KeyboardEvent} event */
  #submits({ key, shiftKey, altKey, ctrlKey, metaKey }) {
    if (key !== "Enter" || shiftKey || altKey || this.#submitOn === "never") return false;
    return this.#submitOn === "enter" || ctrlKey || metaKey;
  }

  /** @param {KeyboardEvent} event */
  #announcesSubmit({ key, shiftKey }) {
    if (this.#submitOn === "ctrl+enter") return key === "Control" || key === "Meta";
    return this.#submitOn === "never" && key === "Enter" && !shiftKey;
  }

  #submitted() {
    const answer = this.submit();
    if (answer !== null) this.#onSubmit?.(answer);
  }
}
