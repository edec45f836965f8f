import assert from "node:assert/strict";
import { test } from "node:test";

import { clearText, readText } from "../../../client/forefill_web/npm/element_text.js";
import { FakeField, parsedHtml } from "./fake_dom.js";

const SEEN = {
  "nothing": ["", ""],
  "text": ["Show me", "Show me"],
  "text nodes side by side": ["Show| me", "Show me"],
  "inline elements": ["Show <b>me</b> <span>all</span>", "Show me all"],
  "<br> between lines": ["a<br>b", "a\nb"],
  "<br> that an editor leaves at the end": ["a<br>", "a"],
  "an empty line at the end": ["a<br><br>", "a\n"],
  "an empty box with the <br> that is left": ["<br>", ""],
  "a first line that is empty": ["<br>a", "\na"],
  "blocks": ["<div>a</div><div>b</div>", "a\nb"],
  "text, then a block, as Chrome makes it of Enter": ["a<div>b</div>", "a\nb"],
  "a block, then text": ["<p>a</p>b", "a\nb"],
  "an empty line between blocks": ["<div>a</div><div><br></div><div>b</div>", "a\n\nb"],
  "an empty last line, after Enter": ["<div>a</div><div><br></div>", "a\n"],
  "an empty block without <br> has no height": ["<div>a</div><div></div><div>b</div>", "a\nb"],
  "blocks in blocks": ["<div><div>a</div><div><p>b</p></div></div>c", "a\nb\nc"],
  "a list": ["<ul><li>a</li><li>b</li></ul>", "a\nb"],
  "line feeds as white-space: pre-wrap shows them": ["a\nb", "a\nb"],
  "a line feed at the end, which shows no line": ["a\n", "a"],
  "two line feeds at the end, as Chrome makes them of Enter": ["a\n\n", "a\n"],
  "no-break spaces": ["a\u00a0 b\u00a0", "a  b "],
  "what is not seen": ["a<script>x()</script><style>y</style><!-- z -->b", "ab"],
};
for (const [name, [html, text]] of Object.entries(SEEN)) {
  test(`the text of a contenteditable element: ${name}`, () => assert.equal(readText(parsedHtml(html)), text));
}

test("the text of a field is its value, whatever is in it", () => {
  const field = new FakeField("textarea");
  field.value = "<br>\u00a0\n";
  assert.equal(readText(field), "<br>\u00a0\n");
});

for (const [name, element] of [["a field", new FakeField("input")], ["a contenteditable element", parsedHtml("a<br>b")]]) {
  test(`${name} is emptied, and others hear of it`, () => {
    let heard = 0;
    element.addEventListener("input", () => heard++);
    if ("value" in element) element.value = "text";
    clearText(element);
    assert.deepEqual([readText(element), heard], ["", 1]);
  });
}
