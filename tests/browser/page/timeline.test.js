import assert from "node:assert/strict";
import { test } from "node:test";

import { enterScale, wholeScale } from "../../../client/forefill_web/page/time_scale.js";
import { Timeline } from "../../../client/forefill_web/page/timeline.js";

const warmed = { computed_tokens: 32, outcome: "warmed", shed_reason: "none" };
const shed = { computed_tokens: 0, outcome: "shed", shed_reason: "load" };

function turn() {
  const timeline = new Timeline();
  [1000, 1100, 1200, 4000].forEach((at) => timeline.addKey(at));
  timeline.addFlush(1250, warmed);
  timeline.addFlush(4050, shed);
  timeline.addGuess(4300, { begun: true });
  timeline.addEnter(4500);
  timeline.addGuess(4501, { begun: false, outcome: "adopted" });
  [4503, 4520, 4540].forEach((at) => timeline.addPart(at));
  timeline.addEnd(4541, 3);
  return timeline;
}

test("a new timeline is empty", () => {
  const timeline = new Timeline();
  assert.equal(timeline.isEmpty, true);
  assert.deepEqual(timeline.rows(), []);
  assert.equal(timeline.summary(), "Nothing has happened in this turn.");
});

test("the table has what the drawing has, in order, from the first event on", () => {
  assert.deepEqual(turn().rows().map(({ at, what, detail }) => [at, what, detail]), [
    [0, "Typing", "3 keystrokes"],
    [250, "Warm", "32 tokens computed; its blocks are cached"],
    [3000, "Typing", "1 keystroke"],
    [3050, "Flush", "not warmed: the engine is busy"],
    [3300, "Answer begun", "before Enter"],
    [3500, "Begun answer", "it became the answer"],
    [3500, "Enter", ""],
    [3503, "First token", "3 ms after Enter"],
    [3541, "End", "3 tokens"],
  ]);
});

test("flushes with the same outcome, one after the other, are one row of the table", () => {
  const timeline = turn();
  timeline.addFlush(4060, shed);
  assert.equal(timeline.events().length, 10);
  assert.deepEqual(timeline.rows()[3], { at: 3050, what: "2 flushes", detail: "not warmed: the engine is busy" });
});

test("totals and summary", () => {
  assert.deepEqual(turn().totals(), { keys: 4, flushes: 2, warmedTokens: 32, guesses: 1, tokens: 3 });
  assert.equal(
    turn().summary(),
    "4 keystrokes, 2 flushes, 32 tokens warmed, 1 answer begun before Enter. This page had the first token 3 ms after Enter.",
  );
});

test("the end of a guess that nobody saw begin is passed over", () => {
  const timeline = new Timeline();
  timeline.addGuess(5, { begun: false, outcome: "edited" });
  assert.deepEqual(timeline.guesses, []);
});

test("a guess that nobody ends is drawn until the end of the answer", () => {
  const timeline = new Timeline();
  timeline.addGuess(5, { begun: true });
  timeline.addEnd(9, 1);
  assert.equal(timeline.guesses[0].end, 9);
});

test("Enter decides a guess, however late its outcome comes", () => {
  const timeline = new Timeline();
  timeline.addGuess(5, { begun: true });
  timeline.addEnter(7);
  timeline.addGuess(90, { begun: false, outcome: "adopted" });
  assert.deepEqual(timeline.guesses, [{ at: 5, end: 7, outcome: "adopted" }]);
});

test("a warm that was not complete says what became of the rest", () => {
  const timeline = new Timeline();
  timeline.addFlush(1, { computed_tokens: 64, outcome: "deferred", shed_reason: "none" });
  assert.equal(timeline.rows()[0].detail, "64 tokens computed; the rest: left to a later flush");
});

test("a scale begins at the first event and grows in steps", () => {
  const scale = wholeScale([1000, 1500, 2500]);
  assert.equal(scale.position(1000), 0);
  assert.equal(scale.position(2000), 0.5);
  assert.equal(wholeScale([1000, 2500, 2900]).position(2000), 0.5);
  assert.equal(wholeScale([1000, 2500, 3100]).position(2000), 0.25);
});

test("a long pause is cut short and said", () => {
  const scale = wholeScale([0, 100, 60_100, 60_200]);
  assert.deepEqual(scale.breaks.map((one) => one.ms), [60_000]);
  assert.ok(scale.position(60_200) <= 1);
  assert.ok(scale.position(60_100) > scale.position(100));
});

test("times are in order on the scale, and found again from their position", () => {
  const times = [0, 50, 3000, 3010, 90_000, 90_500, 200_000];
  const scale = wholeScale(times);
  const positions = times.map(scale.position);
  assert.deepEqual(positions, [...positions].sort((one, other) => one - other));
  for (const at of [...times, 1500, 45_000]) assert.ok(Math.abs(scale.time(scale.position(at)) - at) < 1e-6, String(at));
});

test("around Enter, both Enter and the first token are seen, and ticks count from Enter", () => {
  for (const wait of [0.4, 3, 300, 4000]) {
    const scale = enterScale(10_000, 10_000 + wait);
    assert.ok(scale.position(10_000) > 0 && scale.position(10_000 + wait) < 1);
    assert.ok(scale.ticks.some((tick) => tick.ms === 0));
    assert.ok(scale.ticks.length <= 7);
  }
});
