/**
 * What a key costs the browser with a draft of 20,000 characters: run by `python -m tests.benchmarks.key_cost`.
 *
 * Chromium counts the time on the processor in script, style and layout of the whole page (Performance.getMetrics). A
 * key's cost is what was added from before it until 100 ms after it, so it includes what the page draws, and the answers
 * of the server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { launch } from "./chromium.js";
import { opens } from "./opens.js";

const CHARACTERS = 20_000;
const KEYS = Number(process.env.FOREFILL_KEYS ?? 60);
const WARM_UP_KEYS = 10;
const AFTER_MS = 100;

const TEXTS = {
  English: "Show me all patients who were admitted to cardiology last year, by ward. ",
  "emoji and CJK": "患者 👨‍👩‍👧 𝔘𝔫𝔦 是谁 été 🚑 ",
};

/** @param {import("playwright-core").CDPSession} cdp */
async function spent(cdp) {
  const { metrics } = await cdp.send("Performance.getMetrics");
  const ms = (name) => 1000 * (metrics.find((one) => one.name === name)?.value ?? NaN);
  return { script: ms("ScriptDuration"), layout: ms("LayoutDuration") + ms("RecalcStyleDuration"), task: ms("TaskDuration") };
}

/** @param {number[]} values */
function quantiles(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (share) => Number(sorted[Math.floor(share * (sorted.length - 1))].toFixed(3));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { p50: at(0.5), mean: Number(mean.toFixed(3)), p95: at(0.95), max: at(1) };
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {"page" | "textarea" | "editable"} box
 * @param {string} text
 * @param {"end" | "middle"} where
 */
async function cost(browser, box, text, where) {
  const context = await browser.newContext();
  const user = await opens(context, box);
  await user.box.focus();
  await user.inserts(text.repeat(Math.ceil(CHARACTERS / text.length)).slice(0, CHARACTERS).toWellFormed());
  if (where === "middle") for (let lines = 0; lines < 20; lines += 1) await user.presses("ArrowUp");
  await user.settled();
  const cdp = await user.cdp();
  // The processor's time, so that other work on the machine does not count.
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  const costs = [];
  for (let key = 0; key < WARM_UP_KEYS + KEYS; key += 1) {
    const before = await spent(cdp);
    await user.presses(key % 6 === 5 ? "Space" : "a");
    await sleep(AFTER_MS);
    const after = await spent(cdp);
    if (key >= WARM_UP_KEYS) costs.push(Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]])));
  }
  await user.settled();
  await context.close();
  return Object.fromEntries(["script", "layout", "task"].map((name) => [name, quantiles(costs.map((one) => one[name]))]));
}

const browser = await launch();
try {
  for (const box of /** @type {const} */ (["page", "textarea", "editable"]))
    for (const [text, sample] of Object.entries(TEXTS))
      for (const where of /** @type {const} */ (["end", "middle"]))
        console.log(JSON.stringify({ box, text, where, keys: KEYS, ms: await cost(browser, box, sample, where) }));
} finally {
  await browser.close();
}
