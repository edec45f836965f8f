import { Draft } from "./draft.js";

/** @import { Edit } from "./draft.js" */
/** @import { Opened } from "./messages.js" */
/** @import { Socket } from "./socket.js" */

const CONGESTED_RETRY_MS = 50;

/**
 * The bridge's copy of the draft.
 *
 * As long as it is the same, each change is sent as it is. If changes could not be sent, only what the bridge has is
 * remembered, and the difference follows as one.
 */
export class RemoteDraft {
  #socket;
  #draft;
  #follows = false;
  /** Whether a connection is opening: a submit that has waited comes before what was typed after it. */
  #held = false;
  /** @type {string | null} What the bridge has if it does not follow; null if that is not known. */
  #copy = null;
  #composing = false;
  #hinted = false;
  #acceptsHints = false;
  #maxCodePoints = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /**
   * @param {Socket} socket
   * @param {Draft} draft The draft in the box.
   */
  constructor(socket, draft) {
    this.#socket = socket;
    this.#draft = draft;
  }

  /**
   * @param {Opened} opened
   * @param {string} sent What the connection was opened with.
   */
  begin(opened, sent) {
    this.#acceptsHints = opened.accepts_hints;
    this.#maxCodePoints = opened.max_draft_code_points;
    this.#hinted = false;
    this.is(sent);
    this.#held = true;
  }

  /**
   * Whether the bridge accepts a draft of this length.
   * @param {number} codePoints
   */
  fits(codePoints) {
    return this.#maxCodePoints === 0 || codePoints <= this.#maxCodePoints;
  }

  get maxCodePoints() {
    return this.#maxCodePoints;
  }

  /**
   * Note what the bridge has now; null if that is not known.
   * @param {string | null} text
   */
  is(text) {
    this.#copy = text;
    this.#follows = false;
  }

  /** Note that a submit has emptied it. */
  emptied() {
    this.#hinted = false;
    this.is("");
  }

  /**
   * Pass a change of the draft on, or what has gathered.
   * @param {Edit} edit
   * @param {boolean} composing
   * @param {string} before The draft before it.
   */
  edited(edit, composing, before) {
    this.#hinted = false; // a hint is about one draft
    this.#composing = composing;
    if (!this.#follows) this.flush();
    else if (this.#canSend()) this.#send(edit);
    else {
      this.is(before);
      this.#flushLater();
    }
  }

  /** Send what the bridge lacks. */
  flush() {
    if (this.#follows) return;
    if (!this.#canSend()) return this.#flushLater();
    const copy = this.#copy;
    const edit = copy === null ? null : new Draft(copy).become(this.#draft.text);
    this.#follows = true;
    this.#copy = null;
    if (copy === null) this.#sendWhole();
    else if (edit !== null) this.#send(edit);
  }

  /** End what `begin` began. */
  begun() {
    this.#held = false;
    this.flush();
  }

  /** @param {boolean} likely */
  hint(likely) {
    if (!this.#acceptsHints || !this.#follows || !this.#canSend() || likely === this.#hinted) return;
    this.#hinted = likely;
    this.#socket.send({ type: "hint", likely });
  }

  #canSend() {
    return !this.#held && this.#socket.ready && !this.#socket.congested && this.fits(this.#draft.length);
  }

  /** @param {Edit} edit */
  #send(edit) {
    const keepsNothing = edit.start === 0 && edit.end > 0 && edit.text.length === this.#draft.text.length;
    if (keepsNothing && edit.text !== "") this.#sendWhole();
    else this.#socket.send({ type: "edit", ...edit, composing: this.#composing });
  }

  #sendWhole() {
    this.#socket.send({ type: "draft", text: this.#draft.text, composing: this.#composing });
  }

  /** A socket does not say when its buffer has emptied. */
  #flushLater() {
    clearTimeout(this.#retry);
    if (this.#socket.congested) this.#retry = setTimeout(() => this.flush(), CONGESTED_RETRY_MS);
  }
}
