/**
 * Have a box say what it holds whenever the bridge is about to be told of the draft; return what ends that.
 * @param {Conversation} conversation
 * @param {() => void} sync
 */
export function attachBox(conversation: Conversation, sync: () => void): () => void;
/**
 * One conversation with the bridge, and the draft of its next message.
 *
 * It connects when it is first used, and goes on by itself after a break: what is typed meanwhile follows, and what was
 * submitted is asked once.
 */
export class Conversation extends Events {
    /**
     * @param {string | URL} url That of the bridge's WebSocket; a path such as "/socket" is on the page's own server.
     * @param {ConversationOptions} [options]
     */
    constructor(url: string | URL, { messages, storage, onError, WebSocket }?: ConversationOptions);
    /** Names the conversation to the bridge; null before it is open. Whoever has it can read the conversation. */
    get token(): string | null;
    /** The text in the box. */
    get draft(): string;
    /** The messages before the draft. A running answer and its question are not part of it yet. */
    get messages(): readonly Message[];
    /**
     * What the bridge last said of itself and the conversation; null before it is open.
     * @returns {Opened | null}
     */
    get opened(): Opened | null;
    /**
     * The answer that is running, or that waits for a connection; null if there is none.
     * @returns {Answer | null}
     */
    get running(): Answer | null;
    /** @returns {SocketState} */
    get state(): SocketState;
    /** Connect now: at once if it waits for the next try, and again if the conversation went on elsewhere. */
    connect(): void;
    /**
     * Make this the draft. For an editor that `bindTextBox` does not know.
     * @param {string} text
     * @param {{ composing?: boolean }} [options] Whether an input method is composing the text that has changed. Call it
     *   once more without when that ends, even if the text is the same.
     */
    setDraft(text: string, { composing }?: {
        composing?: boolean;
    }): void;
    /**
     * Say that a submit of the draft is likely soon, or no longer. It holds until the draft changes.
     * @param {boolean} [likely]
     */
    hint(likely?: boolean): void;
    /**
     * Ask for the answer to a text; default: the draft, which is then empty.
     *
     * Without a connection it is asked when there is one. Return null, after an "error" event, if it is too long, if
     * another answer is running or if the conversation is closed; null alone if it is empty.
     * @param {string} [text]
     * @returns {Answer | null}
     */
    submit(text?: string): Answer | null;
    /**
     * Ask once more for the last answer, which leaves the conversation. Return null, after an "error" event, if there is
     * none, if another answer is running or if the conversation is closed.
     * @returns {Answer | null}
     */
    regenerate(): Answer | null;
    /**
     * Keep the first `keep` of `messages`, and let these follow: for an earlier message that was edited. Return false,
     * after an "error" event, if an answer is running or if the conversation is closed.
     * @param {number} keep
     * @param {Iterable<Message>} [messages]
     */
    rewrite(keep: number, messages?: Iterable<Message>): boolean;
    /**
     * Measure what the answer to a turn would have waited without forefill. It takes as long as that, and one at a time.
     * @param {number} turn
     * @returns {Promise<Twin>}
     */
    measureTwin(turn: number): Promise<Twin>;
    /** End the conversation at the bridge, too. */
    close(): void;
    #private;
}
export type ConversationOptions = {
    /**
     * The conversation so far.
     */
    messages?: Iterable<Message>;
    /**
     * Keep the token under this name in sessionStorage, so that a reload goes on.
     */
    storage?: string;
    /**
     * Called with each "error" event's detail.
     */
    onError?: (failure: Failure) => void;
    /**
     * In place of the global one, which Node 20 lacks.
     */
    WebSocket?: typeof WebSocket;
};
import { Events } from "./events.js";
import type { Message } from "./messages.js";
import type { Opened } from "./messages.js";
import type { Answer } from "./answer.js";
import type { SocketState } from "./socket.js";
import type { Twin } from "./messages.js";
import type { Failure } from "./messages.js";
