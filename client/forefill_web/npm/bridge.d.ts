/** The bridge, as the conversation knows it: what it is told when a connection opens, and what its messages mean. */
export class Bridge {
    /**
     * @param {BridgeSubjects} subjects
     * @param {BridgeOwner} owner
     */
    constructor({ draft, history, turns, twins, token }: BridgeSubjects, owner: BridgeOwner);
    /** @type {Opened | null} What it last said of itself and the conversation; null before it is open. */
    opened: Opened | null;
    /** @type {"open" | "reconnecting"} The state of its own connection to the server. */
    state: "open" | "reconnecting";
    /** Return the first message of a connection. */
    opening(): {
        messages: import("./messages.js").Message[];
        draft: string;
        token?: string;
        type: string;
        protocol: number;
    };
    /** @param {FromBridge} message */
    hear(message: FromBridge): void;
    /**
     * Hear that the connection was closed for good.
     * @param {number} code
     * @param {string} detail
     */
    ended(code: number, detail: string): void;
    /**
     * Fail what the bridge was asked for.
     * @param {Failure} failure
     */
    fail(failure: Failure): void;
    #private;
}
/**
 * What the bridge's messages are about.
 */
export type BridgeSubjects = {
    draft: TypedDraft;
    history: History;
    turns: Turns;
    twins: Twins;
    token: TokenStore;
};
export type BridgeOwner = {
    send: (message: object) => void;
    tell: <K extends keyof ConversationEvents>(type: K, detail: ConversationEvents[K]) => void;
    stateChanged: (message?: string) => void;
};
import type { Opened } from "./messages.js";
import type { FromBridge } from "./messages.js";
import type { Failure } from "./messages.js";
import type { TypedDraft } from "./typed_draft.js";
import type { History } from "./history.js";
import type { Turns } from "./turns.js";
import type { Twins } from "./twins.js";
import type { TokenStore } from "./token_store.js";
import type { ConversationEvents } from "./events.js";
