import assert from "node:assert/strict";
import { test } from "node:test";

import { TurnLog } from "../../../client/forefill_web/page/turn_log.js";

const begun = { begun: true };
const adopted = { begun: false, outcome: "adopted" };
const edited = { begun: false, outcome: "edited" };

test("the draft's turn is shown while it is typed", () => {
  const log = new TurnLog();
  log.key(1);
  assert.deepEqual(log.shown.keys, [1]);
});

test("the submitted turn is shown until its answer has ended, whatever is typed meanwhile", () => {
  const log = new TurnLog();
  log.key(1);
  log.enter(2);
  log.key(3);
  log.part(4);
  assert.deepEqual([log.shown.keys, log.shown.enter, log.shown.parts], [[1], 2, [4]]);
  log.end(5, 1);
  assert.deepEqual([log.shown.keys, log.shown.enter], [[3], null]);
});

test("the last turn stays until something is typed", () => {
  const log = new TurnLog();
  log.key(1);
  log.enter(2);
  log.end(3, 1);
  assert.equal(log.shown.enter, 2);
  log.key(4);
  assert.equal(log.shown.enter, null);
});

test("a guess that becomes the answer ends in the submitted turn, a later one in the draft's", () => {
  const log = new TurnLog();
  log.guess(1, begun);
  log.enter(2);
  log.guess(3, adopted);
  assert.equal(log.shown.guesses[0].outcome, "adopted");
  log.key(4);
  log.guess(4, begun);
  log.guess(5, edited);
  assert.equal(log.shown.guesses.length, 1);
  log.end(6, 1);
  assert.deepEqual(log.shown.guesses, [{ at: 4, end: 5, outcome: "edited" }]);
});

test("what comes late, after Enter, belongs to the submitted turn until something is typed", () => {
  const log = new TurnLog();
  log.key(1);
  log.enter(2);
  log.guess(3, begun);
  log.flush(4, { computed_tokens: 16, outcome: "warmed", shed_reason: "none" });
  log.guess(5, adopted);
  assert.deepEqual(log.shown.guesses, [{ at: 2, end: 2, outcome: "adopted" }]);
  assert.equal(log.shown.flushes.length, 1);
  log.key(6);
  log.flush(7, { computed_tokens: 16, outcome: "warmed", shed_reason: "none" });
  assert.equal(log.shown.flushes.length, 1);
});

test("a flush after the answer does not hide its turn", () => {
  const log = new TurnLog();
  log.key(1);
  log.enter(2);
  log.end(3, 1);
  log.flush(4, { computed_tokens: 0, outcome: "nothing_new", shed_reason: "none" });
  assert.equal(log.shown.enter, 2);
  log.key(5);
  assert.deepEqual([log.shown.flushes.length, log.shown.keys], [1, [5]]);
});

test("a cleared log is empty", () => {
  const log = new TurnLog();
  log.key(1);
  log.enter(2);
  log.clear();
  assert.equal(log.shown.isEmpty, true);
});
