// An answer's wait beside what it would have been without forefill. Pure.

import { formatWait, timesLonger } from "./waits.js";

/**
 * @typedef {object} Bar
 * @property {"forefill" | "static" | "cold"} kind
 * @property {string} name
 * @property {number} ms
 * @property {number} share of the longest, from 0 to 1
 * @property {string} times how many times longer than this answer, such as "95×"; "" for the answer itself
 */

const NAMES = /** @type {const} */ ({
  forefill: "This answer",
  static: "vLLM’s prefix cache alone",
  cold: "Nothing cached",
});

/**
 * Make the bars of a `twin` message.
 *
 * @param {{waited_ms?: number | null, static_ms?: number | null, cold_ms?: number | null}} twin
 * @returns {Bar[]} of those that were measured
 */
export function comparisonBars(twin) {
  const waited = twin.waited_ms;
  if (typeof waited !== "number") return [];
  const waits = /** @type {[Bar["kind"], number | null | undefined][]} */ ([
    ["forefill", waited],
    ["static", twin.static_ms],
    ["cold", twin.cold_ms],
  ]);
  const measured = waits.flatMap(([kind, ms]) => (typeof ms === "number" ? [{ kind, ms }] : []));
  const longest = Math.max(1, ...measured.map((wait) => wait.ms));
  return measured.map(({ kind, ms }) => ({
    kind,
    name: NAMES[kind],
    ms,
    share: ms / longest,
    times: kind === "forefill" ? "" : timesLonger(waited, ms),
  }));
}

/**
 * Say in one sentence what the bars show.
 *
 * @param {Bar[]} bars
 * @returns {string}
 */
export function comparisonWords(bars) {
  const longer = bars.filter((bar) => bar.times).map((bar) => `${bar.times} as long with ${PHRASES[bar.kind]}`);
  if (longer.length === 0) return "Without forefill, this answer would have started as soon.";
  return `Without forefill, the wait is ${longer.join(", and ")}.`;
}

const PHRASES = { forefill: "forefill", static: "vLLM’s prefix cache alone", cold: "nothing cached" };

/**
 * @param {Bar[]} bars
 * @returns {string} for those who cannot see the bars
 */
export function comparisonList(bars) {
  return bars.map((bar) => `${bar.name}: ${formatWait(bar.ms)}.`).join(" ");
}
