/**
 * Tells the conversation that a submit is likely while there is a sign of it: the pointer on the send button, the focus
 * on it, or the key held that belongs to Enter.
 */
export class SendHint {
    /**
     * @param {Conversation} conversation
     * @param {() => void} sync Reads the box before a hint about it.
     */
    constructor(conversation: Conversation, sync: () => void);
    /**
     * @param {HTMLElement} button
     * @param {AbortSignal} signal Ends it.
     */
    watch(button: HTMLElement, signal: AbortSignal): void;
    /** @param {string} sign */
    on(sign: string): void;
    /** @param {string} sign */
    off(sign: string): void;
    #private;
}
import type { Conversation } from "./conversation.js";
