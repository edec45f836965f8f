import assert from "node:assert/strict";
import { test } from "node:test";

import { CodeFences } from "../../../client/forefill_web/page/code_fences.js";

function pieces(...parts) {
  const fences = new CodeFences();
  const all = [...parts.flatMap((part) => fences.read(part)), ...fences.end()];
  return all.reduce((joined, piece) => {
    const last = joined.at(-1);
    if (piece.kind === "text" && last?.kind === "text") last.text += piece.text;
    else joined.push({ ...piece });
    return joined;
  }, []);
}
const text = (value) => ({ kind: "text", text: value });
const open = (language = "") => ({ kind: "open", language });
const close = { kind: "close" };

test("plain text is one piece", () => {
  assert.deepEqual(pieces("one\n\ntwo"), [text("one\n\ntwo")]);
});

test("fences open and close a block, and their line breaks are not part of it", () => {
  assert.deepEqual(pieces("See:\n```sql\nSELECT 1;\n\nSELECT 2;\n```\nDone."), [
    text("See:"),
    open("sql"),
    text("SELECT 1;\n\nSELECT 2;"),
    close,
    text("Done."),
  ]);
});

test("empty lines around a block are not part of the text, those within it are", () => {
  assert.deepEqual(pieces("See:\n\n\n```\n\nx\n\n```\n\n\nDone.\n\nYes."), [
    text("See:"),
    open(),
    text("\nx\n"),
    close,
    text("Done.\n\nYes."),
  ]);
});

test("a block that does not end is closed with the text", () => {
  assert.deepEqual(pieces("```\nx = 1"), [open(), text("x = 1"), close]);
});

test("ticks within a line are text", () => {
  assert.deepEqual(pieces("Use `a` or ```b``` here"), [text("Use `a` or ```b``` here")]);
  assert.deepEqual(pieces("```a``` b"), [text("```a``` b")]);
});

test("a longer fence holds a shorter one", () => {
  assert.deepEqual(pieces("````md\n```\ncode\n```\n````"), [open("md"), text("```\ncode\n```"), close]);
});

test("a fence with a language does not close a block", () => {
  assert.deepEqual(pieces("```\n```js\n```"), [open(), text("```js"), close]);
});

test("HTML stays text", () => {
  assert.deepEqual(pieces("<img src=x onerror=alert(1)>"), [text("<img src=x onerror=alert(1)>")]);
});

test("text is shown as it comes, and only what may become a fence waits", () => {
  const fences = new CodeFences();
  assert.deepEqual(fences.read("Hel"), [text("Hel")]);
  assert.deepEqual(fences.read("lo\n"), [text("lo")]);
  assert.deepEqual(fences.read("``"), []);
  assert.deepEqual(fences.read("x"), [text("\n``x")]);
});

test("the pieces do not depend on how the text was cut", () => {
  const texts = ["a\n```js\nb\n```\nc", "```\n\n\n```", "x\n  ```\n y\n    ```\n```", "``\n`\n```a`\n", "\n\n```py x\n1\n```\n\nz"];
  for (const whole of texts) {
    const expected = pieces(whole);
    for (let first = 0; first <= whole.length; first++) {
      for (let second = first; second <= whole.length; second++) {
        assert.deepEqual(
          pieces(whole.slice(0, first), whole.slice(first, second), whole.slice(second)),
          expected,
          JSON.stringify([whole, first, second]),
        );
      }
    }
    assert.deepEqual(pieces(...whole), expected);
  }
});
