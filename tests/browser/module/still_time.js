// Conversations in time that only a test lets pass.

import { opened, settled } from "./world.js";

const LONG_MS = 20_000;

/** A conversation that is open, and from now on the clock stands still. */
export async function openedInStillTime(t, options) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  return opened(t, options);
}

/** Let the next try of a connection come. */
export async function later(t) {
  t.mock.timers.tick(LONG_MS);
  await settled();
}
