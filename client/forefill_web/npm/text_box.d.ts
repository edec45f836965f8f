/**
 * Bind a text box to a conversation: its text is the draft.
 * @param {Conversation} conversation
 * @param {HTMLElement} element A textarea, a text input, or a contenteditable element.
 * @param {TextBoxOptions} [options]
 */
export function bindTextBox(conversation: Conversation, element: HTMLElement, options?: TextBoxOptions): TextBox;
/** A text box that is bound to a conversation; made by `bindTextBox`. */
export class TextBox {
    /**
     * @internal
     * @param {Conversation} conversation
     * @param {HTMLElement} element
     * @param {TextBoxOptions} options
     */
    constructor(conversation: Conversation, element: HTMLElement, { sendButton, onSubmit, submitOn, lazy }: TextBoxOptions);
    /** The text in the box. */
    get text(): string;
    /** Read the box. Call it after you have changed the text by a script, or leave it to the next event. */
    sync(): void;
    /**
     * Submit the text and empty the box. Return null if there is nothing but space, or as `Conversation.submit` does; the
     * text then stays.
     * @returns {Answer | null}
     */
    submit(): Answer | null;
    /** Unbind the box. The conversation keeps the draft. */
    detach(): void;
    #private;
}
export type TextBoxOptions = {
    /**
     * While it is hovered, focused or touched, a submit is likely.
     */
    sendButton?: HTMLElement;
    /**
     * With this, the send button and Enter submit, and it is called with
     * the answer.
     */
    onSubmit?: (answer: Answer) => void;
    /**
     * The key that submits: Enter (Shift+Enter is a new line), or
     * Enter with Ctrl or Cmd. Default: Enter if there is `onSubmit`, else never: call `submit()` yourself.
     */
    submitOn?: "enter" | "ctrl+enter" | "never";
    /**
     * Connect only when the box is first used. Otherwise at once, so that what comes before the
     * draft is cached by then.
     */
    lazy?: boolean;
};
import type { Conversation } from "./conversation.js";
import type { Answer } from "./answer.js";
