import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 20;
const GIVE_UP_MS = 20_000;

/**
 * Wait for what has no event of its own, and return it.
 * @template T
 * @param {string} what what is waited for, for the message
 * @param {() => T | Promise<T>} condition
 * @param {() => unknown} [seen] what there is instead, for the message
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, condition, seen = () => "") {
  const end = Date.now() + GIVE_UP_MS;
  while (Date.now() < end) {
    const value = await condition();
    if (value) return /** @type {NonNullable<T>} */ (value);
    await sleep(POLL_MS);
  }
  throw new Error(`not within ${GIVE_UP_MS} ms: ${what} ${JSON.stringify(await seen())}`);
}
