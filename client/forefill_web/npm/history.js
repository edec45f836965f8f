/** @import { AnswerState } from "./answer_state.js" */
/** @import { Message, Opened } from "./messages.js" */

/**
 * The conversation before the draft, as the bridge has it: a running answer and its question are not part of it yet.
 *
 * It is kept here for a bridge that has lost it.
 */
export class History {
  /** @type {readonly Message[]} */
  messages;
  /** Whether it was rewritten since the bridge last showed its own. */
  rewritten = false;

  /** @param {Iterable<Message>} messages */
  constructor(messages) {
    this.messages = [...messages];
  }

  /**
   * Add an answer that has ended, and its question.
   * @param {Pick<AnswerState, "question" | "text">} answer
   */
  add(answer) {
    this.messages = [...this.messages, ...exchange(answer)];
  }

  /** The question of the last answer: "" if it had none, null if the conversation does not end with an answer. */
  get lastQuestion() {
    const [answer, question] = [...this.messages].reverse();
    if (answer?.role !== "assistant") return null;
    return question?.role === "user" ? question.content : "";
  }

  /** Remove the last answer and its question. */
  takeLast() {
    if (this.lastQuestion !== null) this.messages = this.messages.slice(0, this.lastQuestion === "" ? -1 : -2);
  }

  /**
   * @param {number} keep
   * @param {Iterable<Message>} messages
   */
  rewrite(keep, messages) {
    this.messages = [...this.messages.slice(0, keep), ...messages];
    this.rewritten = true;
  }

  /**
   * Become the bridge's, and return what it has to be told of a rewriting that it may have missed.
   * @param {readonly Message[]} theirs
   * @param {boolean} resumed Whether it still had the conversation.
   * @returns {{ keep: number, messages: readonly Message[] } | null}
   */
  become(theirs, resumed) {
    const ours = this.messages;
    const missed = this.rewritten && resumed;
    this.rewritten = false;
    if (missed) {
      const keep = commonLength(ours, theirs);
      if (keep < ours.length || keep < theirs.length) return { keep, messages: ours.slice(keep) };
    }
    this.messages = [...theirs];
    return null;
  }
}

/**
 * Return what an answer adds to the conversation.
 * @param {Pick<AnswerState, "question" | "text">} answer
 * @returns {Message[]}
 */
export function exchange({ question, text }) {
  /** @type {Message} */
  const answered = { role: "assistant", content: text };
  return question ? [{ role: "user", content: question }, answered] : [answered];
}

/**
 * Return the answer to a question that the conversation ends with; null if it does not.
 * @param {readonly Message[]} messages
 * @param {string} question
 */
export function lastAnswerTo(messages, question) {
  const history = new History(messages);
  return history.lastQuestion === question ? (messages.at(-1)?.content ?? null) : null;
}

/**
 * @param {readonly Message[]} one
 * @param {readonly Message[]} other
 */
function commonLength(one, other) {
  const differs = one.findIndex((message, at) => message.role !== other[at]?.role || message.content !== other[at]?.content);
  return differs < 0 ? one.length : differs;
}

/**
 * Return the messages before the running answer's question.
 * @param {Opened} opened
 */
export function withoutQuestion({ messages, answer }) {
  const last = messages.at(-1);
  const asked = answer !== undefined && last?.role === "user" && last.content === answer.submitted_text;
  return asked ? messages.slice(0, -1) : messages;
}
