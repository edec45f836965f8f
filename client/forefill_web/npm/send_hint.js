/** @import { Conversation } from "./conversation.js" */

/** After a touch the click comes only when the pointer has left. */
const TOUCH_MS = 300;

/**
 * Tells the conversation that a submit is likely while there is a sign of it: the pointer on the send button, the focus
 * on it, or the key held that belongs to Enter.
 */
export class SendHint {
  #conversation;
  #sync;
  /** @type {Set<string>} */
  #signs = new Set();

  /**
   * @param {Conversation} conversation
   * @param {() => void} sync Reads the box before a hint about it.
   */
  constructor(conversation, sync) {
    this.#conversation = conversation;
    this.#sync = sync;
  }

  /**
   * @param {HTMLElement} button
   * @param {AbortSignal} signal Ends it.
   */
  watch(button, signal) {
    /** @type {(type: string, listener: (event: any) => void) => void} */
    const on = (type, listener) => button.addEventListener(type, listener, { signal });
    on("pointerenter", () => this.on("pointer"));
    on("pointerdown", () => this.on("pointer"));
    on("pointercancel", () => this.off("pointer"));
    on("pointerleave", ({ pointerType }) => {
      if (pointerType === "touch") setTimeout(() => this.off("pointer"), TOUCH_MS);
      else this.off("pointer");
    });
    on("focus", () => this.on("focus"));
    on("blur", () => this.off("focus"));
  }

  /** @param {string} sign */
  on(sign) {
    this.#signs.add(sign);
    this.#sync();
    if (this.#conversation.draft !== "") this.#conversation.hint(true);
  }

  /** @param {string} sign */
  off(sign) {
    if (this.#signs.delete(sign) && this.#signs.size === 0) this.#conversation.hint(false);
  }
}
