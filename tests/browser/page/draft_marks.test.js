import assert from "node:assert/strict";
import { test } from "node:test";

import {
  NO_MARKS,
  afterEdit,
  afterFlush,
  afterGuess,
  draftParts,
  draftWords,
} from "../../../client/forefill_web/page/draft_marks.js";

const flushed = (confirmed, cached, marks = NO_MARKS) =>
  afterFlush(marks, { confirmed_code_points: confirmed, cached_code_points: cached });

test("a new draft has no marks", () => {
  assert.deepEqual(draftParts(NO_MARKS, 5), { cached: 0, confirmed: 0, pending: 5 });
});

test("a flush that cannot tell how much is cached takes nothing back", () => {
  assert.deepEqual(draftParts(flushed(12, null, flushed(9, 6)), 12), { cached: 6, confirmed: 6, pending: 0 });
});

test("a flush marks what it confirmed and what is cached", () => {
  assert.deepEqual(draftParts(flushed(9, 6), 12), { cached: 6, confirmed: 3, pending: 3 });
});

test("a later flush may take marks back, as after an eviction", () => {
  assert.deepEqual(draftParts(flushed(9, 0, flushed(9, 6)), 12), { cached: 0, confirmed: 9, pending: 3 });
});

test("typing at the end leaves the marks", () => {
  assert.deepEqual(afterEdit(flushed(9, 6), 12), { confirmed: 9, cached: 6, begun: false });
});

test("an edit cuts both marks at its start", () => {
  assert.deepEqual(afterEdit(flushed(9, 6), 4), { confirmed: 4, cached: 4, begun: false });
  assert.deepEqual(afterEdit(flushed(9, 6), 7), { confirmed: 7, cached: 6, begun: false });
  assert.deepEqual(afterEdit(flushed(9, 6), 0), { confirmed: 0, cached: 0, begun: false });
});

test("an answer is begun until the guess ends", () => {
  const begun = afterGuess(flushed(9, 6), { begun: true });
  assert.equal(begun.begun, true);
  assert.equal(afterGuess(begun, { begun: false }).begun, false);
});

test("an answer is begun until any edit, even one at the end", () => {
  const begun = afterGuess(flushed(9, 6), { begun: true });
  assert.deepEqual(afterEdit(begun, 12), { confirmed: 9, cached: 6, begun: false });
});

test("a flush leaves a begun answer begun", () => {
  assert.equal(flushed(9, 9, afterGuess(NO_MARKS, { begun: true })).begun, true);
});

test("marks beyond the draft are cut, and cached counts as confirmed", () => {
  assert.deepEqual(draftParts(flushed(20, 15), 10), { cached: 10, confirmed: 0, pending: 0 });
  assert.deepEqual(draftParts(flushed(3, 8), 10), { cached: 8, confirmed: 0, pending: 2 });
});

test("the parts of any draft add up to it", () => {
  for (let length = 0; length < 8; length++) {
    for (let confirmed = 0; confirmed < 10; confirmed++) {
      for (let cached = 0; cached < 10; cached++) {
        const parts = draftParts(flushed(confirmed, cached), length);
        assert.equal(parts.cached + parts.confirmed + parts.pending, length);
        assert.ok(Math.min(parts.cached, parts.confirmed, parts.pending) >= 0);
      }
    }
  }
});

test("words say what the colours show", () => {
  assert.equal(draftWords(NO_MARKS, 0), "");
  assert.equal(draftWords(NO_MARKS, 5), "Nothing is confirmed yet.");
  assert.equal(draftWords(flushed(4, 0), 5), "4 of 5 characters are confirmed.");
  assert.equal(draftWords(flushed(4, 3), 5), "3 of 5 characters are cached.");
  assert.equal(draftWords(flushed(5, 5), 5), "All of it is cached.");
  assert.match(draftWords(afterGuess(NO_MARKS, { begun: true }), 5), /answer is begun/);
});
