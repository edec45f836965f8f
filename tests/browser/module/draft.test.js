import assert from "node:assert/strict";
import { test } from "node:test";

import { countCodePoints, wellFormed } from "../../../client/forefill_web/npm/code_points.js";
import { difference } from "../../../client/forefill_web/npm/difference.js";
import { Draft } from "../../../client/forefill_web/npm/draft.js";
import { edited, Random, randomText } from "./random.js";

test("an emoji is one code point, and so is half of one", () => {
  assert.equal(countCodePoints("a😀b"), 3);
  assert.equal(wellFormed("a\ud83d"), "a\ufffd");
});

test("code points are counted as the wire counts them", () => {
  for (const text of ["", "abc", "a😀b", "😀😀", "e\u0301", "\ud800x", "x\udc00", "\udc00\ud800"]) {
    assert.equal(countCodePoints(text), [...text].length, JSON.stringify(text));
  }
});

test("equal texts have no difference", () => assert.equal(difference("same", "same"), null));

const DIFFERENCES = {
  "typed at the end": ["Show", "Show ", 4, 4, " "],
  "typed in a run of the same letter: the last place is taken": ["aa", "aaa", 2, 2, "a"],
  "typed in the middle": ["ac", "abc", 1, 1, "b"],
  "deleted in a run: prefix and suffix do not overlap": ["aaa", "a", 1, 3, ""],
  "replaced by another emoji with the same first half": ["x😀y", "x😁y", 1, 3, "😁"],
  "replaced by another emoji with the same second half": ["x\u{1f600}y", "x\u{1fa00}y", 1, 3, "\u{1fa00}"],
  "everything dictated anew": ["hello", "WORD", 0, 5, "WORD"],
};
for (const [name, [before, after, start, end, text]] of Object.entries(DIFFERENCES)) {
  test(`the difference: ${name}`, () => assert.deepEqual(difference(before, after), { start, end, text }));
}

test("a draft says its changes in code points", () => {
  const draft = new Draft("😀😀");
  assert.deepEqual(draft.become("😀x😀"), { start: 1, end: 1, text: "x", length: 3 });
  assert.deepEqual(draft.become("😀x😀😀!"), { start: 3, end: 3, text: "😀!", length: 5 });
  assert.deepEqual(draft.become("x😀😀!"), { start: 0, end: 1, text: "", length: 4 });
  assert.equal(draft.become("x😀😀!"), null);
});

test("a half of an emoji that gets its other half becomes the emoji", () => {
  const draft = new Draft("a\ud83d");
  assert.equal(draft.text, "a\ufffd");
  assert.deepEqual(draft.become("a😀"), { start: 1, end: 2, text: "😀", length: 2 });
});

for (let seed = 0; seed < 40; seed++) {
  test(`random edits, applied by code points, give the text: seed ${seed}`, () => {
    const random = new Random(seed);
    let text = randomText(random, 40);
    const draft = new Draft(text);
    let copy = [...draft.text];
    for (let i = 0; i < 100; i++) {
      const before = draft.text;
      text = edited(random, text);
      const edit = draft.become(text);
      assert.equal(edit === null, before === wellFormed(text));
      if (edit === null) continue;
      assert.ok(edit.text.isWellFormed());
      copy = [...copy.slice(0, edit.start), ...edit.text, ...copy.slice(edit.end)];
      assert.deepEqual([copy.join(""), copy.length], [wellFormed(text), edit.length]);
    }
  });
}
