/** @import { Edit } from "./draft.js" */
/** @import { Delta, Failure, Finished, Flush, Guess, Opened, Started, Twin } from "./messages.js" */
/** @import { SocketState } from "./socket.js" */
/**
 * What the `detail` of each event is. The bridge's messages come as they are, with their names in snake_case.
 * @typedef {object} ConversationEvents
 * @property {Opened} opened The bridge has the conversation; once more after each break.
 * @property {Flush} flush
 * @property {Guess} guess
 * @property {{ state: SocketState, message?: string }} state
 * @property {Edit & { composing: boolean }} edit The draft has changed, whether or not the bridge can be told now.
 * @property {Started} started
 * @property {Delta} delta
 * @property {Finished} finished
 * @property {Failure} error
 * @property {Twin} twin
 */
/** A target of a conversation's events, each with its type. */
export class Events extends EventTarget {
    /**
     * @template {keyof ConversationEvents} K
     * @overload
     * @param {K} type
     * @param {(event: CustomEvent<ConversationEvents[K]>) => void} listener
     * @param {boolean | AddEventListenerOptions} [options]
     * @returns {void}
     */
    override addEventListener<K extends keyof ConversationEvents>(type: K, listener: (event: CustomEvent<ConversationEvents[K]>) => void, options?: boolean | AddEventListenerOptions | undefined): void;
    /**
     * @overload
     * @param {string} type
     * @param {EventListenerOrEventListenerObject | null} listener
     * @param {boolean | AddEventListenerOptions} [options]
     * @returns {void}
     */
    override addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions | undefined): void;
    /**
     * @template {keyof ConversationEvents} K
     * @overload
     * @param {K} type
     * @param {(event: CustomEvent<ConversationEvents[K]>) => void} listener
     * @param {boolean | EventListenerOptions} [options]
     * @returns {void}
     */
    override removeEventListener<K extends keyof ConversationEvents>(type: K, listener: (event: CustomEvent<ConversationEvents[K]>) => void, options?: boolean | EventListenerOptions | undefined): void;
    /**
     * @overload
     * @param {string} type
     * @param {EventListenerOrEventListenerObject | null} listener
     * @param {boolean | EventListenerOptions} [options]
     * @returns {void}
     */
    override removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions | undefined): void;
}
/**
 * What the `detail` of each event is. The bridge's messages come as they are, with their names in snake_case.
 */
export type ConversationEvents = {
    /**
     * The bridge has the conversation; once more after each break.
     */
    opened: Opened;
    flush: Flush;
    guess: Guess;
    state: {
        state: SocketState;
        message?: string;
    };
    /**
     * The draft has changed, whether or not the bridge can be told now.
     */
    edit: Edit & {
        composing: boolean;
    };
    started: Started;
    delta: Delta;
    finished: Finished;
    error: Failure;
    twin: Twin;
};
import type { Opened } from "./messages.js";
import type { Flush } from "./messages.js";
import type { Guess } from "./messages.js";
import type { SocketState } from "./socket.js";
import type { Edit } from "./draft.js";
import type { Started } from "./messages.js";
import type { Delta } from "./messages.js";
import type { Finished } from "./messages.js";
import type { Failure } from "./messages.js";
import type { Twin } from "./messages.js";
