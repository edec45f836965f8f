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
  /**
   * @overload
   * @param {string} type
   * @param {EventListenerOrEventListenerObject | null} listener
   * @param {boolean | AddEventListenerOptions} [options]
   * @returns {void}
   */
  /**
   * @param {string} type
   * @param {any} listener
   * @param {boolean | AddEventListenerOptions} [options]
   * @override
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
  }

  /**
   * @template {keyof ConversationEvents} K
   * @overload
   * @param {K} type
   * @param {(event: CustomEvent<ConversationEvents[K]>) => void} listener
   * @param {boolean | EventListenerOptions} [options]
   * @returns {void}
   */
  /**
   * @overload
   * @param {string} type
   * @param {EventListenerOrEventListenerObject | null} listener
   * @param {boolean | EventListenerOptions} [options]
   * @returns {void}
   */
  /**
   * @param {string} type
   * @param {any} listener
   * @param {boolean | EventListenerOptions} [options]
   * @override
   */
  removeEventListener(type, listener, options) {
    super.removeEventListener(type, listener, options);
  }
}
