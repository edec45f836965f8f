/**
 * The bridge's copy of the draft.
 *
 * As long as it is the same, each change is sent as it is. If changes could not be sent, only what the bridge has is
 * remembered, and the difference follows as one.
 */
export class RemoteDraft {
    /**
     * @param {Socket} socket
     * @param {Draft} draft The draft in the box.
     */
    constructor(socket: Socket, draft: Draft);
    /**
     * @param {Opened} opened
     * @param {string} sent What the connection was opened with.
     */
    begin(opened: Opened, sent: string): void;
    /**
     * Whether the bridge accepts a draft of this length.
     * @param {number} codePoints
     */
    fits(codePoints: number): boolean;
    get maxCodePoints(): number;
    /**
     * Note what the bridge has now; null if that is not known.
     * @param {string | null} text
     */
    is(text: string | null): void;
    /** Note that a submit has emptied it. */
    emptied(): void;
    /**
     * Pass a change of the draft on, or what has gathered.
     * @param {Edit} edit
     * @param {boolean} composing
     * @param {string} before The draft before it.
     */
    edited(edit: Edit, composing: boolean, before: string): void;
    /** Send what the bridge lacks. */
    flush(): void;
    /** End what `begin` began. */
    begun(): void;
    /** @param {boolean} likely */
    hint(likely: boolean): void;
    #private;
}
import type { Opened } from "./messages.js";
import type { Edit } from "./draft.js";
import type { Socket } from "./socket.js";
import { Draft } from "./draft.js";
