/** Return whether the browser knows that it has no network. */
export function isOffline(): boolean;
/**
 * Return the absolute address of a WebSocket.
 * @param {string | URL} url
 */
export function socketUrl(url: string | URL): string;
/**
 * Return whether an address is on this machine, which needs no network.
 * @param {string} url
 */
export function isLoopback(url: string): boolean;
/**
 * Call back when the network has gone or come, and when the page is shown again; return what ends that.
 * @param {{ gone: () => void, came: () => void, shown: () => void }} on
 * @returns {() => void}
 */
export function watchNetwork(on: {
    gone: () => void;
    came: () => void;
    shown: () => void;
}): () => void;
