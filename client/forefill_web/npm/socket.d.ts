/**
 * A connection to the bridge that makes itself anew when it breaks, until it is closed.
 *
 * It is ready once the bridge has answered its first message. What is sent before is not kept: the owner knows what
 * the bridge lacks when it is ready.
 */
export class Socket {
    /**
     * @param {string} url
     * @param {typeof WebSocket} WebSocketClass
     * @param {SocketOwner} owner
     */
    constructor(url: string, WebSocketClass: typeof WebSocket, owner: SocketOwner);
    get state(): SocketState;
    get ready(): boolean;
    get congested(): boolean;
    /** Connect if nothing has connected yet. */
    begin(): void;
    /** Connect, at once if it waits for the next try; nothing happens if it is connected or about to be. */
    connect(): void;
    /** @param {object} message */
    send(message: object): void;
    /** End for good: nothing connects again unless it is asked to. */
    close(): void;
    #private;
}
export type SocketState = "connecting" | "open" | "reconnecting" | "offline" | "closed";
/**
 * What a socket asks of its owner, and reports to it.
 */
export type SocketOwner = {
    /**
     * The first message on each new connection.
     */
    opening: () => object;
    received: (message: FromBridge) => void;
    stateChanged: () => void;
    /**
     * The bridge ended it, and another try would not help.
     */
    ended: (code: number, reason: string) => void;
};
import type { FromBridge } from "./messages.js";
