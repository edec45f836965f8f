import { BackOff } from "./back_off.js";
import { isLoopback, isOffline, watchNetwork } from "./network.js";

/** @import { FromBridge } from "./messages.js" */

/** @typedef {"connecting" | "open" | "reconnecting" | "offline" | "closed"} SocketState */

/**
 * What a socket asks of its owner, and reports to it.
 * @typedef {object} SocketOwner
 * @property {() => object} opening The first message on each new connection.
 * @property {(message: FromBridge) => void} received
 * @property {() => void} stateChanged
 * @property {(code: number, reason: string) => void} ended The bridge ended it, and another try would not help.
 */

const SUBPROTOCOL = "forefill.v1";
const OPEN_TIMEOUT_MS = 10_000;
/** A connection that lasted this long was good: the next wait is short again. */
const GOOD_AFTER_MS = 5_000;
/** With more bytes than this on their way out, edits wait. */
const CONGESTED_BYTES = 65_536;
const TRY_LATER = 1013;
/** Ended; refused; too large; taken over by another socket. */
const FINAL_CODES = new Set([1000, 1008, 1009, 4001]);

/**
 * A connection to the bridge that makes itself anew when it breaks, until it is closed.
 *
 * It is ready once the bridge has answered its first message. What is sent before is not kept: the owner knows what
 * the bridge lacks when it is ready.
 */
export class Socket {
  #url;
  #WebSocket;
  #owner;
  /** @type {SocketState} */
  #state = "connecting";
  /** @type {WebSocket | null} */
  #link = null;
  #ready = false;
  /** @type {number | null} When it was last ready, in milliseconds. */
  #openedAt = null;
  #retryAfterMs = 0;
  #backOff = new BackOff();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {(() => void) | null} */
  #unwatch = null;

  /**
   * @param {string} url
   * @param {typeof WebSocket} WebSocketClass
   * @param {SocketOwner} owner
   */
  constructor(url, WebSocketClass, owner) {
    this.#url = url;
    this.#WebSocket = WebSocketClass;
    this.#owner = owner;
  }

  get state() {
    return this.#state;
  }

  get ready() {
    return this.#ready;
  }

  get congested() {
    return (this.#link?.bufferedAmount ?? 0) > CONGESTED_BYTES;
  }

  /** Connect if nothing has connected yet. */
  begin() {
    if (this.#unwatch === null && this.#state !== "closed") this.connect();
  }

  /** Connect, at once if it waits for the next try; nothing happens if it is connected or about to be. */
  connect() {
    if (this.#link !== null) return;
    this.#unwatch ??= watchNetwork({
      gone: () => this.#networkGone(),
      came: () => this.#networkCame(),
      shown: () => this.connect(),
    });
    if (this.#state === "closed") this.#become("connecting");
    this.#open();
  }

  /** @param {object} message */
  send(message) {
    if (this.#ready) this.#link?.send(JSON.stringify(message));
  }

  /** End for good: nothing connects again unless it is asked to. */
  close() {
    this.#drop(1000);
    this.#end();
  }

  #open() {
    const link = new this.#WebSocket(this.#url, SUBPROTOCOL);
    this.#link = link;
    this.#after(OPEN_TIMEOUT_MS, () => this.#lost());
    link.onopen = () => this.#link === link && link.send(JSON.stringify(this.#owner.opening()));
    link.onmessage = ({ data }) => this.#link === link && this.#hear(data);
    link.onclose = ({ code, reason }) => this.#link === link && this.#closed(code, reason);
  }

  /** @param {unknown} data */
  #hear(data) {
    const message = parsed(data);
    if (message === null) return;
    if (message.type === "error" && !message.continues) this.#retryAfterMs = message.retry_after_ms ?? 0;
    if (message.type !== "opened" || this.#ready) return this.#owner.received(message);
    clearTimeout(this.#timer);
    this.#ready = true;
    this.#openedAt = Date.now();
    const opening = this.#state !== "open";
    this.#state = "open";
    this.#owner.received(message);
    if (opening && this.#ready) this.#owner.stateChanged();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    if (!FINAL_CODES.has(code)) return this.#lost(code);
    this.#drop();
    this.#end();
    this.#owner.ended(code, reason);
  }

  #end() {
    clearTimeout(this.#timer);
    this.#unwatch?.();
    this.#unwatch = null;
    this.#become("closed");
  }

  /** @param {number} [code] */
  #lost(code) {
    const lastedMs = this.#ready ? Date.now() - (this.#openedAt ?? 0) : 0;
    if (lastedMs >= GOOD_AFTER_MS && code !== TRY_LATER) this.#backOff.reset();
    this.#drop();
    this.#after(this.#backOff.next(this.#retryAfterMs), () => this.#open());
    this.#retryAfterMs = 0;
    this.#becomeBroken();
  }

  /** @param {number} [code] */
  #drop(code) {
    const link = this.#link;
    this.#link = null;
    this.#ready = false;
    link?.close(code);
  }

  #networkGone() {
    // A TCP connection would notice only minutes later. A bridge on this machine is reached all the same.
    if (this.#link !== null && !isLoopback(this.#url)) this.#lost();
    else if (this.#link === null) this.#becomeBroken();
  }

  #networkCame() {
    if (this.#ready) return;
    this.#drop(); // a try from before may hang
    clearTimeout(this.#timer);
    this.#backOff.reset();
    this.#becomeBroken();
    this.#open();
  }

  #becomeBroken() {
    this.#become(isOffline() ? "offline" : this.#openedAt === null ? "connecting" : "reconnecting");
  }

  /** @param {SocketState} state */
  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#owner.stateChanged();
  }

  /**
   * @param {number} ms
   * @param {() => void} act
   */
  #after(ms, act) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }
}

/**
 * @param {unknown} data
 * @returns {FromBridge | null}
 */
function parsed(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}
