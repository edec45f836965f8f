// One conversation: what is asked, what is answered, what is changed afterwards.

import { ConversationView } from "./conversation_view.js";
import { followEnd, goToEnd } from "./follow.js";
import { Speech } from "./speech.js";
import { byId } from "./template.js";

/**
 * @typedef {import("../npm/forefill.js").Answer} Answer
 * @typedef {import("../npm/forefill.js").Message} Message
 */

export class Chat {
  #conversation;
  #composer;
  #connection;
  #log;
  #timeline;
  #speech = new Speech();
  #view;
  /** @type {Answer | null} the one that is written now */ #running = null;
  /** @type {import("./answer_view.js").AnswerView | null} */ #runningView = null;
  /** @type {Map<number, import("./answer_view.js").AnswerView>} by turn */ #measurable = new Map();
  /** @type {{keep: number, removed: Message[], draft: string} | null} */ #editing = null;
  #offersTwin = false;
  #opened = false;
  /** Settled once nothing is followed. @type {Promise<void>} */ #followed = Promise.resolve();

  /**
   * @param {object} parts
   * @param {import("../npm/forefill.js").Conversation} parts.conversation
   * @param {import("./composer.js").Composer} parts.composer
   * @param {import("./connection_view.js").ConnectionView} parts.connection
   * @param {import("./turn_log.js").TurnLog} parts.log
   * @param {import("./timeline_view.js").TimelineView} parts.timeline
   */
  constructor({ conversation, composer, connection, log, timeline }) {
    this.#conversation = conversation;
    this.#composer = composer;
    this.#connection = connection;
    this.#log = log;
    this.#timeline = timeline;
    this.#view = new ConversationView({
      onEdit: (index) => this.edit(index),
      onRegenerate: () => this.regenerate(),
      onMeasure: (turn) => this.#measure(turn),
    });
  }

  /** @param {{resumed: boolean, draft: string, offers_twin: boolean}} opened */
  open({ resumed, draft, offers_twin: offersTwin }) {
    this.#offersTwin = offersTwin;
    // The page was loaded again: the bridge has what was typed before.
    if (!this.#opened && resumed && !this.#composer.text) this.#composer.text = draft;
    this.#opened = true;
    if (this.#running || this.#editing) return;
    this.#view.show(this.#conversation.messages);
    goToEnd();
    if (this.#conversation.running) this.#follow(this.#conversation.running);
  }

  /** @param {Answer} answer that was submitted */
  ask(answer) {
    this.#log.enter(performance.now());
    if (this.#editing) this.#view.cut(this.#editing.keep);
    this.#endEditing();
    this.#connection.clear();
    this.#composer.submitted();
    this.#follow(answer);
  }

  regenerate() {
    if (this.#running || this.#editing) return;
    const answer = this.#conversation.regenerate();
    if (!answer) return;
    this.#log.enter(performance.now());
    this.#view.cut(this.#view.length - (answer.question ? 2 : 1));
    this.#composer.focus();
    this.#follow(answer);
  }

  stop() {
    this.#running?.cancel({ keepText: true });
  }

  /**
   * Take a message back into the box, and what came after it out of the conversation, so that the model reads the right
   * conversation while the message is edited.
   *
   * @param {number} keep messages before it
   */
  edit(keep) {
    const removed = this.#view.messages.slice(keep);
    if (this.#running || this.#editing || !this.#conversation.rewrite(keep, [])) return;
    this.#editing = { keep, removed, draft: this.#composer.text };
    this.#view.dim(keep);
    byId("editing").hidden = false;
    this.#composer.text = removed[0].content;
    this.#composer.focus();
  }

  cancelEditing() {
    if (!this.#editing) return;
    const { keep, removed, draft } = this.#editing;
    this.#endEditing();
    this.#conversation.rewrite(keep, removed);
    this.#composer.text = draft;
    this.#composer.focus();
  }

  clear() {
    if (this.#running) return;
    this.#endEditing();
    this.#conversation.rewrite(0, []);
    this.#view.cut(0);
    this.#log.clear();
    this.#timeline.change();
    this.#composer.focus();
  }

  /** @param {{turn: number, ttft_ms: number, source: string, cached_tokens: number, prompt_tokens: number}} started */
  started(started) {
    if (this.#running?.turn !== started.turn) return;
    this.#runningView?.showWait(started);
    followEnd();
  }

  /** @param {number} turn */
  async #measure(turn) {
    const twin = await this.#conversation.measureTwin(turn);
    this.#speech.say(this.#measurable.get(turn)?.comparison.show(twin) ?? "");
    followEnd();
  }

  #endEditing() {
    this.#editing = null;
    this.#view.dim(this.#view.length);
    byId("editing").hidden = true;
  }

  // One that was stopped may still come to its end when the next one is asked for.
  #follow(/** @type {Answer} */ answer) {
    this.#followed = this.#followed.then(() => this.#followNow(answer));
  }

  /** @param {Answer} answer */
  async #followNow(answer) {
    if (answer.question) this.#view.addQuestion(answer.question);
    const view = this.#view.addAnswer();
    this.#begin(answer, view);
    try {
      for await (const part of answer) this.#append(view, part);
      this.#end(view, await answer.finished);
    } catch (error) {
      this.#fail(view, error);
    } finally {
      this.#setRunning(null, null);
    }
    if (!view.content) this.#takeBack(answer.question);
  }

  /**
   * @param {Answer} answer
   * @param {import("./answer_view.js").AnswerView} view
   */
  #begin(answer, view) {
    this.#setRunning(answer, view);
    this.#speech.start();
    goToEnd();
    if (answer.started) view.showWait(answer.started);
  }

  /**
   * @param {import("./answer_view.js").AnswerView} view
   * @param {{text: string, reasoning: string}} part
   */
  #append(view, { text, reasoning }) {
    view.append(text, reasoning);
    this.#speech.append(text);
    this.#log.part(performance.now());
    this.#timeline.change();
    followEnd();
  }

  /**
   * @param {import("./answer_view.js").AnswerView} view
   * @param {import("../npm/forefill.js").Finished} finished
   */
  #end(view, finished) {
    this.#log.end(performance.now(), Number(finished.report?.completion_tokens ?? 0));
    view.showEnd(finished);
    this.#speech.end();
    if (!this.#offersTwin) return;
    this.#measurable.set(finished.turn, view);
    view.comparison.offer(finished.turn);
  }

  /**
   * @param {import("./answer_view.js").AnswerView} view
   * @param {any} error
   */
  #fail(view, error) {
    this.#log.end(performance.now(), 0);
    view.showFailure("The answer ends here: it failed.");
    this.#connection.showError(error);
  }

  // An answer of which nothing came leaves the conversation as it was, so the question goes back into the box.
  #takeBack(/** @type {string} */ question) {
    this.#view.show(this.#conversation.messages);
    if (question && !this.#composer.text) this.#composer.text = question;
  }

  /**
   * @param {Answer | null} answer
   * @param {import("./answer_view.js").AnswerView | null} view
   */
  #setRunning(answer, view) {
    this.#running = answer;
    this.#runningView = view;
    this.#composer.running = answer !== null;
    byId("messages").classList.toggle("answering", answer !== null);
    this.#timeline.change();
  }
}
