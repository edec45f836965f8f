/** @import { Edit } from "./draft.js" */
/** @import { Opened } from "./messages.js" */
/** @import { Socket } from "./socket.js" */
/**
 * @typedef {object} TypedDraftOwner
 * @property {(edit: Edit & { composing: boolean }) => void} edited
 * @property {(reason: string, message: string) => void} refuse
 */
/** The draft of the next message: what the box holds, within the bridge's limit, and what the bridge is told of it. */
export class TypedDraft {
    /**
     * @param {Socket} socket
     * @param {TypedDraftOwner} owner
     */
    constructor(socket: Socket, owner: TypedDraftOwner);
    get text(): string;
    /**
     * Have a box say what it holds whenever `sync` is called; return what ends that.
     * @param {() => void} sync
     */
    attach(sync: () => void): () => undefined;
    /** Have each box say what it holds. */
    sync(): void;
    /**
     * @param {string} text
     * @param {boolean} composing
     */
    become(text: string, composing: boolean): void;
    /** @param {boolean} likely */
    hint(likely: boolean): void;
    /**
     * Whether the bridge accepts this text; it is refused if not.
     * @param {string} text
     */
    accepts(text: string): boolean;
    /**
     * What a connection opens with.
     * @param {string | null} waitingText A text that is about to be submitted; it stays the bridge's draft, since its
     *   answer may have begun.
     */
    opening(waitingText: string | null): string;
    /**
     * Begin with a bridge that has what `opening` said. `begun` follows.
     * @param {Opened} opened
     */
    begin(opened: Opened): void;
    /** End what `begin` began: what was typed meanwhile follows. */
    begun(): void;
    /** Send what the bridge lacks. */
    flush(): void;
    /** Note that the bridge may have something else. */
    diverged(): void;
    /** Note that a submit has emptied the bridge's. */
    emptied(): void;
    #private;
}
export type TypedDraftOwner = {
    edited: (edit: Edit & {
        composing: boolean;
    }) => void;
    refuse: (reason: string, message: string) => void;
};
import type { Opened } from "./messages.js";
import type { Socket } from "./socket.js";
import type { Edit } from "./draft.js";
