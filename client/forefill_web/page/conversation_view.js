// The list of messages, and the first page while there are none.

import { AnswerView } from "./answer_view.js";
import { QuestionView } from "./question_view.js";
import { byId } from "./template.js";

/** @typedef {import("../npm/forefill.js").Message} Message */

export class ConversationView {
  /** @type {(QuestionView | AnswerView)[]} */ #views = [];
  #list = byId("messages");
  #actions;

  /**
   * @param {{onEdit: (index: number) => void, onRegenerate: () => void, onMeasure: (turn: number) => void}} actions
   */
  constructor(actions) {
    this.#actions = actions;
  }

  get length() {
    return this.#views.length;
  }

  /** @returns {Message[]} */
  get messages() {
    return this.#views.map(({ role, content }) => ({ role, content }));
  }

  /** @returns {AnswerView | null} the last message if it is an answer */
  get lastAnswer() {
    const last = this.#views.at(-1);
    return last instanceof AnswerView ? last : null;
  }

  /**
   * Show these messages; those that are shown already stay as they are.
   *
   * @param {readonly Message[]} messages
   */
  show(messages) {
    const shown = this.messages;
    let same = 0;
    while (same < messages.length && isSame(shown[same], messages[same])) same++;
    this.cut(same);
    for (const { role, content } of messages.slice(same)) {
      if (role === "user") this.addQuestion(content);
      else this.addAnswer().showWhole(content);
    }
  }

  /** @param {number} keep messages */
  cut(keep) {
    for (const view of this.#views.splice(keep)) view.element.remove();
    this.#showWelcome();
  }

  /**
   * Show messages as about to leave: they can be read, but nothing can be done with them.
   *
   * @param {number} keep messages; all of them if none is to leave
   */
  dim(keep) {
    for (const [index, { element }] of this.#views.entries()) {
      element.classList.toggle("leaving", index >= keep);
      element.inert = index >= keep;
    }
  }

  /** @param {string} content */
  addQuestion(content) {
    const onEdit = (/** @type {QuestionView} */ view) => this.#actions.onEdit(this.#views.indexOf(view));
    return this.#add(new QuestionView(content, onEdit));
  }

  /** @returns {AnswerView} */
  addAnswer() {
    return this.#add(new AnswerView(this.#actions));
  }

  /**
   * @template {QuestionView | AnswerView} View
   * @param {View} view
   */
  #add(view) {
    this.#views.push(view);
    this.#list.append(view.element);
    this.#showWelcome();
    return view;
  }

  #showWelcome() {
    byId("welcome").hidden = this.length > 0;
    byId("new-conversation").hidden = this.length === 0;
  }
}

/**
 * @param {Message | undefined} shown
 * @param {Message} message
 */
function isSame(shown, message) {
  return shown?.role === message.role && shown.content === message.content;
}
