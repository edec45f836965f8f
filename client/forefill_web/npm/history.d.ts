/**
 * Return what an answer adds to the conversation.
 * @param {Pick<AnswerState, "question" | "text">} answer
 * @returns {Message[]}
 */
export function exchange({ question, text }: Pick<AnswerState, "question" | "text">): Message[];
/**
 * Return the answer to a question that the conversation ends with; null if it does not.
 * @param {readonly Message[]} messages
 * @param {string} question
 */
export function lastAnswerTo(messages: readonly Message[], question: string): string | null;
/**
 * Return the messages before the running answer's question.
 * @param {Opened} opened
 */
export function withoutQuestion({ messages, answer }: Opened): Message[];
/** @import { AnswerState } from "./answer_state.js" */
/** @import { Message, Opened } from "./messages.js" */
/**
 * The conversation before the draft, as the bridge has it: a running answer and its question are not part of it yet.
 *
 * It is kept here for a bridge that has lost it.
 */
export class History {
    /** @param {Iterable<Message>} messages */
    constructor(messages: Iterable<Message>);
    /** @type {readonly Message[]} */
    messages: readonly Message[];
    /** Whether it was rewritten since the bridge last showed its own. */
    rewritten: boolean;
    /**
     * Add an answer that has ended, and its question.
     * @param {Pick<AnswerState, "question" | "text">} answer
     */
    add(answer: Pick<AnswerState, "question" | "text">): void;
    /** The question of the last answer: "" if it had none, null if the conversation does not end with an answer. */
    get lastQuestion(): string | null;
    /** Remove the last answer and its question. */
    takeLast(): void;
    /**
     * @param {number} keep
     * @param {Iterable<Message>} messages
     */
    rewrite(keep: number, messages: Iterable<Message>): void;
    /**
     * Become the bridge's, and return what it has to be told of a rewriting that it may have missed.
     * @param {readonly Message[]} theirs
     * @param {boolean} resumed Whether it still had the conversation.
     * @returns {{ keep: number, messages: readonly Message[] } | null}
     */
    become(theirs: readonly Message[], resumed: boolean): {
        keep: number;
        messages: readonly Message[];
    } | null;
}
import type { AnswerState } from "./answer_state.js";
import type { Message } from "./messages.js";
import type { Opened } from "./messages.js";
