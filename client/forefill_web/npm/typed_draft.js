import { Draft } from "./draft.js";
import { RemoteDraft } from "./remote_draft.js";

/** @import { Edit } from "./draft.js" */
/** @import { Opened } from "./messages.js" */
/** @import { Socket } from "./socket.js" */

/**
 * @typedef {object} TypedDraftOwner
 * @property {(edit: Edit & { composing: boolean }) => void} edited
 * @property {(reason: string, message: string) => void} refuse
 */

/** The draft of the next message: what the box holds, within the bridge's limit, and what the bridge is told of it. */
export class TypedDraft {
  #socket;
  #owner;
  #draft = new Draft();
  #remote;
  #composing = false;
  #tooLong = false;
  /** What the bridge was opened with. */
  #sent = "";
  /** @type {Set<() => void>} */
  #boxes = new Set();

  /**
   * @param {Socket} socket
   * @param {TypedDraftOwner} owner
   */
  constructor(socket, owner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#remote = new RemoteDraft(socket, this.#draft);
  }

  get text() {
    return this.#draft.text;
  }

  /**
   * Have a box say what it holds whenever `sync` is called; return what ends that.
   * @param {() => void} sync
   */
  attach(sync) {
    this.#boxes.add(sync);
    return () => void this.#boxes.delete(sync);
  }

  /** Have each box say what it holds. */
  sync() {
    for (const sync of this.#boxes) sync();
  }

  /**
   * @param {string} text
   * @param {boolean} composing
   */
  become(text, composing) {
    const before = this.#draft.text;
    const ended = this.#composing && !composing;
    const { length } = this.#draft;
    const edit = this.#draft.become(text) ?? (ended ? { start: length, end: length, text: "", length } : null);
    this.#composing = composing;
    if (edit === null) return;
    this.#socket.begin();
    this.#checkLength();
    this.#remote.edited(edit, composing, before);
    this.#owner.edited({ ...edit, composing });
  }

  /** @param {boolean} likely */
  hint(likely) {
    this.#remote.hint(likely);
  }

  /**
   * Whether the bridge accepts this text; it is refused if not.
   * @param {string} text
   */
  accepts(text) {
    const fits = this.#remote.fits(new Draft(text).length);
    if (!fits) this.#refuse();
    return fits;
  }

  /**
   * What a connection opens with.
   * @param {string | null} waitingText A text that is about to be submitted; it stays the bridge's draft, since its
   *   answer may have begun.
   */
  opening(waitingText) {
    this.#sent = waitingText ?? (this.#remote.fits(this.#draft.length) ? this.#draft.text : "");
    return this.#sent;
  }

  /**
   * Begin with a bridge that has what `opening` said. `begun` follows.
   * @param {Opened} opened
   */
  begin(opened) {
    this.#remote.begin(opened, this.#sent);
  }

  /** End what `begin` began: what was typed meanwhile follows. */
  begun() {
    this.#checkLength();
    this.#remote.begun();
  }

  /** Send what the bridge lacks. */
  flush() {
    this.#remote.flush();
  }

  /** Note that the bridge may have something else. */
  diverged() {
    this.#remote.is(null);
  }

  /** Note that a submit has emptied the bridge's. */
  emptied() {
    this.#composing = false;
    this.#remote.emptied();
  }

  #checkLength() {
    const fits = this.#remote.fits(this.#draft.length);
    if (!fits && !this.#tooLong) this.#refuse();
    this.#tooLong = !fits;
  }

  #refuse() {
    const message = `the text is longer than ${this.#remote.maxCodePoints} characters: shorten it`;
    this.#owner.refuse("DRAFT_TOO_LONG", message);
  }
}
