// Waits in words. Pure.

/**
 * Round a time as people say it.
 *
 * @param {number} ms
 * @returns {{value: string, unit: string}}
 */
export function waitParts(ms) {
  if (ms < 0.95) return { value: "<1", unit: "ms" };
  if (ms < 999.5) return { value: String(Math.round(ms)), unit: "ms" };
  if (ms < 9950) return { value: (ms / 1000).toFixed(1), unit: "s" };
  return { value: String(Math.round(ms / 1000)), unit: "s" };
}

/**
 * @param {number} ms
 * @returns {string}
 */
export function formatWait(ms) {
  const { value, unit } = waitParts(ms);
  return `${value} ${unit}`;
}

const counts = new Intl.NumberFormat("en");

/**
 * @param {number} count
 * @returns {string} with separators
 */
export function formatCount(count) {
  return counts.format(count);
}

/**
 * @param {number} tokens
 * @returns {string}
 */
export function tokenCount(tokens) {
  return `${formatCount(tokens)} ${tokens === 1 ? "token" : "tokens"}`;
}

/**
 * Say why the first token took as long as it did.
 *
 * @param {{source: string, cached_tokens: number, prompt_tokens: number}} started
 * @returns {string}
 */
export function waitReason(started) {
  if (started.source.replace(/[^a-z]/g, "") === "pregenerated") return "The answer was begun before Enter.";
  if (started.prompt_tokens === 0) return "";
  if (started.cached_tokens === 0) return "Nothing of the prompt was cached.";
  return `${formatCount(started.cached_tokens)} of the prompt’s ${tokenCount(started.prompt_tokens)} were cached.`;
}

/**
 * Say how many times longer one wait is than another.
 *
 * @param {number} ms
 * @param {number} longerMs
 * @returns {string} such as "95×"; "" if it is hardly longer
 */
export function timesLonger(ms, longerMs) {
  const ratio = longerMs / Math.max(ms, 1);
  if (ratio < 1.15) return "";
  return ratio < 9.95 ? `${ratio.toFixed(1)}×` : `${formatCount(Math.round(ratio))}×`;
}
