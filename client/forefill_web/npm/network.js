// Addresses, and what the browser says about its network. Outside of a browser it says nothing.

/** Return whether the browser knows that it has no network. */
export function isOffline() {
  return globalThis.navigator?.onLine === false;
}

/**
 * Return the absolute address of a WebSocket.
 * @param {string | URL} url
 */
export function socketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  absolute.hash = "";
  return absolute.href;
}

/**
 * Return whether an address is on this machine, which needs no network.
 * @param {string} url
 */
export function isLoopback(url) {
  const host = new URL(url).hostname;
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

/**
 * Call back when the network has gone or come, and when the page is shown again; return what ends that.
 * @param {{ gone: () => void, came: () => void, shown: () => void }} on
 * @returns {() => void}
 */
export function watchNetwork(on) {
  if (typeof globalThis.addEventListener !== "function") return () => {};
  const ending = new AbortController();
  const { signal } = ending;
  addEventListener("offline", on.gone, { signal });
  addEventListener("online", on.came, { signal });
  addEventListener("pageshow", on.shown, { signal });
  globalThis.document?.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") on.shown();
  }, { signal });
  return () => ending.abort();
}
