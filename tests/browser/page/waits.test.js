import assert from "node:assert/strict";
import { test } from "node:test";

import { comparisonBars, comparisonList, comparisonWords } from "../../../client/forefill_web/page/comparison.js";
import { formatWait, timesLonger, tokenCount, waitReason } from "../../../client/forefill_web/page/waits.js";

test("waits are rounded as people say them", () => {
  const rounded = { 0: "<1 ms", 0.94: "<1 ms", 0.96: "1 ms", 3.4: "3 ms", 999.4: "999 ms", 999.6: "1.0 s", 1316: "1.3 s", 9949: "9.9 s", 9950: "10 s", 61000: "61 s" };
  for (const [ms, words] of Object.entries(rounded)) assert.equal(formatWait(Number(ms)), words);
});

test("tokens have a plural and separators", () => {
  assert.equal(tokenCount(1), "1 token");
  assert.equal(tokenCount(1184), "1,184 tokens");
});

test("a wait is explained by where the first token came from", () => {
  const started = (source, cached_tokens, prompt_tokens) => waitReason({ source, cached_tokens, prompt_tokens });
  for (const source of ["pre_generated", "pre-generated", "pregenerated"]) {
    assert.equal(started(source, 0, 10), "The answer was begun before Enter.");
  }
  assert.equal(started("warm", 1184, 1205), "1,184 of the prompt’s 1,205 tokens were cached.");
  assert.equal(started("cold", 0, 1205), "Nothing of the prompt was cached.");
  assert.equal(started("cold", 0, 0), "");
});

test("ratios are given if there is a difference to see", () => {
  assert.equal(timesLonger(100, 105), "");
  assert.equal(timesLonger(100, 80), "");
  assert.equal(timesLonger(100, 250), "2.5×");
  assert.equal(timesLonger(3, 1200), "400×");
  assert.equal(timesLonger(0.01, 1200), "1,200×");
});

test("bars share the scale of the longest", () => {
  const bars = comparisonBars({ waited_ms: 3, static_ms: 300, cold_ms: 1200 });
  assert.deepEqual(bars.map(({ kind, share, times }) => [kind, share, times]), [
    ["forefill", 3 / 1200, ""],
    ["static", 0.25, "100×"],
    ["cold", 1, "400×"],
  ]);
});

test("a bar that was not measured is left out", () => {
  assert.deepEqual(comparisonBars({ waited_ms: 3, cold_ms: 6, static_ms: null }).map((bar) => bar.kind), ["forefill", "cold"]);
});

test("without the answer's own wait there is nothing to compare", () => {
  assert.deepEqual(comparisonBars({ cold_ms: 6, static_ms: 5 }), []);
});

test("the comparison is honest if forefill did not help", () => {
  const words = comparisonWords(comparisonBars({ waited_ms: 100, static_ms: 90, cold_ms: 105 }));
  assert.equal(words, "Without forefill, this answer would have started as soon.");
});

test("the comparison names both if forefill helped", () => {
  const bars = comparisonBars({ waited_ms: 3, static_ms: 300, cold_ms: 1200 });
  assert.equal(comparisonWords(bars), "Without forefill, the wait is 100× as long with vLLM’s prefix cache alone, and 400× as long with nothing cached.");
  assert.equal(comparisonList(bars), "This answer: 3 ms. vLLM’s prefix cache alone: 300 ms. Nothing cached: 1.2 s.");
});
