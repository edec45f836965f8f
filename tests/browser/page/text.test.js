import assert from "node:assert/strict";
import { test } from "node:test";

import { unitsOfCodePoints } from "../../../client/forefill_web/page/code_points.js";
import { textChange } from "../../../client/forefill_web/page/text_change.js";

test("a mark in code points is found in the text box", () => {
  const text = "a😀b\ud800c";
  [...text].forEach((_, index, all) => {
    assert.equal(unitsOfCodePoints(text, index), all.slice(0, index).join("").length);
  });
  assert.equal(unitsOfCodePoints(text, 99), text.length);
});

test("equal texts do not differ", () => {
  assert.equal(textChange("same", "same"), null);
});

test("the smallest replacement is found", () => {
  assert.deepEqual(textChange("abc", "abcd"), { start: 3, end: 3, text: "d" });
  assert.deepEqual(textChange("abcd", "ad"), { start: 1, end: 3, text: "" });
  assert.deepEqual(textChange("aa", "aaa"), { start: 2, end: 2, text: "a" });
  assert.deepEqual(textChange("", "x"), { start: 0, end: 0, text: "x" });
  assert.deepEqual(textChange("xyz", ""), { start: 0, end: 3, text: "" });
});

test("every replacement gives the other text", () => {
  const texts = ["", "a", "aa", "ab", "ba", "aba", "bab", "abab", "b😀", "😀b", "😃b"];
  for (const before of texts) {
    for (const after of texts) {
      const change = textChange(before, after) ?? { start: 0, end: 0, text: "" };
      assert.equal(before.slice(0, change.start) + change.text + before.slice(change.end), after);
    }
  }
});

test("long texts are compared to the unit, too", () => {
  for (const at of [0, 1, 511, 512, 513, 1023, 1024, 1500, 2999, 3000]) {
    const before = "x".repeat(at) + "y".repeat(3000 - at);
    for (const [end, text] of [[at, "z"], [Math.min(at + 700, 3000), ""], [Math.min(at + 3, 3000), "zz"]]) {
      const after = before.slice(0, at) + text + before.slice(end);
      const change = textChange(before, after);
      if (before === after) assert.equal(change, null);
      else assert.equal(before.slice(0, change.start) + change.text + before.slice(change.end), after);
      if (text) assert.deepEqual(change, { start: at, end, text });
    }
  }
});
