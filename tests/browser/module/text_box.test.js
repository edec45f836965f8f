import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { test } from "node:test";

import { bindTextBox } from "../../../client/forefill_web/npm/forefill.js";
import { FakeElement, FakeField, fire, parsedHtml } from "./fake_dom.js";
import { conversationWith, ModelBridge, settled } from "./world.js";

setMaxListeners(50); // Node's warning of a leak; browsers have none

/** A page with a box in a form, bound to a conversation that is open. */
async function page(t, options = {}, element = new FakeField("textarea")) {
  const bridge = new ModelBridge();
  const conversation = conversationWith(t, bridge);
  const sendButton = new FakeElement("button");
  const form = new FakeElement("form", [element, sendButton]);
  const answers = [];
  const submits = options.submits ? { onSubmit: (answer) => answers.push(answer) } : {};
  const box = bindTextBox(conversation, element, { sendButton, ...submits, ...options });
  await settled();
  return { answers, box, bridge, conversation, element, form, sendButton };
}

/** The element has another text, and says so as browsers do. */
function input(element, value, fields = { isComposing: false }) {
  element.value = value;
  fire(element, "input", fields);
}

const ENTER = { key: "Enter", keyCode: 13, isComposing: false };
const composingEdits = (bridge) => bridge.of("edit").map(({ text, composing }) => [text, composing]);

test("a bound box connects at once, so that what comes before the draft is cached", async (t) => {
  const { bridge } = await page(t);
  assert.equal(bridge.sockets.length, 1);
});

test("a lazy box connects at the first key", async (t) => {
  const { bridge, element } = await page(t, { lazy: true });
  fire(element, "focus");
  assert.equal(bridge.sockets.length, 0);
  input(element, "S");
  await settled();
  assert.equal(bridge.of("open")[0].draft, "S");
});

const CHANGES = {
  "typing": ["Show", "Show "],
  "a paste in the middle": ["Show all", "Show me, please, all"],
  "a cut": ["Show me all", "Show all"],
  "a drop": ["Show all", "all Show"],
  "undo": ["Show me all", "Show"],
  "a selection that is replaced": ["Show all", "Show none"],
  "dictation that replaces everything": ["show me all", "Show me all, please."],
  "an emoji from a picker": ["Show", "Show👨‍👩‍👧"],
};
for (const [name, [before, after]] of Object.entries(CHANGES)) {
  test(`the bridge's draft is the box's text after ${name}`, async (t) => {
    const { bridge, element } = await page(t);
    input(element, before);
    input(element, after);
    assert.equal(bridge.draftText, after);
  });
}

test("text that was in the box before is the draft", async (t) => {
  const element = new FakeField("textarea");
  element.value = "restored by the browser";
  const { bridge } = await page(t, {}, element);
  assert.equal(bridge.of("open")[0].draft, "restored by the browser");
});

for (const [event, target] of [["change", "element"], ["focus", "element"], ["blur", "element"], ["submit", "form"]]) {
  test(`a change by a script, or autofill, is noticed at ${event}`, async (t) => {
    const parts = await page(t);
    parts.element.value = "set by a script";
    fire(parts[target], event);
    assert.equal(parts.bridge.draftText, "set by a script");
  });
}

test("a change by a script is noticed before a hint, before a connection opens, and at submit", async (t) => {
  const { box, bridge, element, sendButton } = await page(t);
  element.value = "one";
  fire(sendButton, "pointerenter");
  assert.deepEqual(bridge.heard.slice(-2).map(({ type }) => type), ["edit", "hint"]);
  bridge.socket.cut();
  element.value = "two";
  box.submit();
  element.value = "three";
  await settled();
  assert.deepEqual(bridge.submitted.map(({ text }) => text), ["two"]);
  assert.equal(bridge.draftText, "three");
});

test("a change by a script is noticed when a connection opens", async (t) => {
  const { bridge, conversation, element } = await page(t);
  bridge.socket.cut();
  element.value = "one";
  conversation.connect();
  await settled();
  assert.equal(bridge.of("open")[1].draft, "one");
});

test("a form that is reset empties the draft", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { bridge, element, form } = await page(t);
  input(element, "Show");
  fire(form, "reset");
  element.value = "";
  t.mock.timers.tick(0);
  assert.equal(bridge.draftText, "");
});

test("a contenteditable element is bound as it is seen, and emptied at submit", async (t) => {
  const element = parsedHtml("");
  const { box, bridge } = await page(t, {}, element);
  element.replaceChildren(...parsedHtml("<div>Show</div><div>me</div>").childNodes);
  fire(element, "input");
  assert.equal(bridge.draftText, "Show\nme");
  assert.equal(box.submit().question, "Show\nme");
  assert.deepEqual([box.text, bridge.draftText], ["", ""]);
});

test("a composition is marked until it ends: Chrome's order of events", async (t) => {
  const { bridge, element } = await page(t);
  fire(element, "compositionstart");
  input(element, "に", { isComposing: true });
  input(element, "日本", { isComposing: true });
  fire(element, "compositionend");
  assert.deepEqual(composingEdits(bridge).at(-1), ["", false]);
  assert.equal(bridge.draftText, "日本");
});

test("a composition is marked until it ends: an input event follows the end, as in Firefox", async (t) => {
  const { bridge, element } = await page(t);
  fire(element, "compositionstart");
  input(element, "に", { isComposing: true });
  fire(element, "compositionend");
  input(element, "に", { isComposing: false });
  assert.deepEqual(composingEdits(bridge), [["に", true], ["", false]]);
});

test("a composition that is cancelled leaves nothing", async (t) => {
  const { bridge, element } = await page(t);
  fire(element, "compositionstart");
  input(element, "に", { isComposing: true });
  input(element, "", { isComposing: true });
  fire(element, "compositionend");
  assert.equal(bridge.draftText, "");
  assert.equal(composingEdits(bridge).at(-1)[1], false);
});

test("a keyboard that composes each word, as those of Android: the words before are not marked", async (t) => {
  const { bridge, element } = await page(t);
  for (const [word, next] of [["Show", "Show "], ["me", "Show me "]]) {
    fire(element, "compositionstart");
    input(element, element.value + word, { isComposing: true });
    fire(element, "compositionend");
    input(element, next, { isComposing: false });
  }
  assert.equal(bridge.draftText, "Show me ");
  assert.deepEqual(composingEdits(bridge), [["Show", true], ["", false], [" ", false], ["me", true], ["", false], [" ", false]]);
});

test("a composition whose end is never said ends when the box is left", async (t) => {
  const { bridge, element } = await page(t);
  fire(element, "compositionstart");
  input(element, "に", { isComposing: true });
  fire(element, "blur");
  assert.deepEqual(composingEdits(bridge).at(-1), ["", false]);
});

test("Enter submits and empties the box; the answer is passed on", async (t) => {
  const { answers, bridge, element } = await page(t, { submits: true });
  input(element, "Show all");
  assert.equal(fire(element, "keydown", ENTER), true);
  assert.deepEqual(bridge.submitted, [{ text: "Show all", draft: "Show all" }]);
  assert.deepEqual([element.value, bridge.draftText], ["", ""]);
  assert.equal(answers[0].question, "Show all");
});

const NO_SUBMIT = {
  "Shift+Enter": { ...ENTER, shiftKey: true },
  "Alt+Enter": { ...ENTER, altKey: true },
  "Enter that ends a composition, in Chrome and Firefox": { ...ENTER, keyCode: 229, isComposing: true },
  "Enter that ended a composition, in Safari": { ...ENTER, keyCode: 229, isComposing: false },
  "Enter during a composition without a keyCode": { ...ENTER, isComposing: true },
  "another key": { key: "a", keyCode: 65, isComposing: false },
};
for (const [name, key] of Object.entries(NO_SUBMIT)) {
  test(`no submit: ${name}`, async (t) => {
    const { bridge, element } = await page(t, { submits: true });
    input(element, "Show all");
    assert.equal(fire(element, "keydown", key), false);
    assert.deepEqual(bridge.submitted, []);
  });
}

test("Safari's order: the composition ends, then comes its Enter, and only the next one submits", async (t) => {
  const { bridge, element } = await page(t, { submits: true });
  fire(element, "compositionstart");
  input(element, "日本", { isComposing: true });
  fire(element, "compositionend");
  fire(element, "keydown", NO_SUBMIT["Enter that ended a composition, in Safari"]);
  assert.deepEqual(bridge.submitted, []);
  fire(element, "keydown", ENTER);
  assert.equal(bridge.submitted[0].text, "日本");
});

test("a key that is held submits once", async (t) => {
  const { bridge, element } = await page(t, { submits: true });
  input(element, "Show");
  fire(element, "keydown", ENTER);
  bridge.finish();
  element.value = "not this";
  assert.equal(fire(element, "keydown", { ...ENTER, repeat: true }), true);
  assert.equal(bridge.submitted.length, 1);
});

test("Enter of a keyboard that does not name its keys submits, as a line break", async (t) => {
  const { bridge, element } = await page(t, { submits: true });
  input(element, "Show");
  fire(element, "keydown", { key: "Unidentified", keyCode: 229, isComposing: false });
  assert.equal(fire(element, "beforeinput", { inputType: "insertText", isComposing: false }), false);
  assert.equal(fire(element, "beforeinput", { inputType: "insertLineBreak", isComposing: false }), true);
  assert.equal(bridge.submitted[0].text, "Show");
});

test("a line break that Shift+Enter makes stays one", async (t) => {
  const { bridge, element } = await page(t, { submits: true });
  input(element, "Show");
  fire(element, "keydown", NO_SUBMIT["Shift+Enter"]);
  assert.equal(fire(element, "beforeinput", { inputType: "insertLineBreak", isComposing: false }), false);
  assert.deepEqual(bridge.submitted, []);
});

test("with ctrl+enter, Enter is a new line, and Ctrl or Cmd with Enter submits", async (t) => {
  for (const held of ["ctrlKey", "metaKey"]) {
    const { bridge, element } = await page(t, { submitOn: "ctrl+enter" });
    input(element, "Show");
    assert.equal(fire(element, "keydown", ENTER), false);
    assert.deepEqual(bridge.submitted, []);
    assert.equal(fire(element, "keydown", { ...ENTER, [held]: true }), true);
    assert.equal(bridge.submitted[0].text, "Show");
  }
});

test("without onSubmit nothing submits by itself", async (t) => {
  const { bridge, element, sendButton } = await page(t);
  input(element, "Show");
  assert.equal(fire(element, "keydown", ENTER), false);
  assert.equal(fire(sendButton, "click"), false);
  assert.deepEqual(bridge.submitted, []);
});

test("the send button submits, and its form does not", async (t) => {
  const { answers, element, sendButton } = await page(t, { submits: true });
  input(element, "Show");
  assert.equal(fire(sendButton, "click"), true);
  assert.equal(answers[0].question, "Show");
});

test("a box with nothing but space is not submitted, and stays", async (t) => {
  const { answers, box, bridge, element } = await page(t, { submits: true });
  input(element, " \n");
  fire(element, "keydown", ENTER);
  assert.equal(box.submit(), null);
  assert.deepEqual([answers, bridge.submitted, element.value], [[], [], " \n"]);
});

test("what may not be submitted stays in the box", async (t) => {
  const { box, element } = await page(t);
  input(element, "one");
  box.submit();
  input(element, "two");
  assert.equal(box.submit(), null);
  assert.equal(element.value, "two");
});

test("listeners of the page hear that the box was emptied", async (t) => {
  const { box, element } = await page(t);
  input(element, "one");
  const lengths = [];
  element.addEventListener("input", () => lengths.push(element.value.length));
  box.submit();
  assert.deepEqual(lengths, [0]);
});

const SIGNS = {
  "the pointer on the send button": ["sendButton", "pointerenter", "pointerleave"],
  "the focus on the send button": ["sendButton", "focus", "blur"],
  "a touch that is given up": ["sendButton", "pointerdown", "pointercancel"],
};
for (const [name, [target, begin, end]] of Object.entries(SIGNS)) {
  test(`a hint: ${name}`, async (t) => {
    const parts = await page(t);
    input(parts.element, "Show");
    fire(parts[target], begin, { pointerType: "mouse" });
    fire(parts[target], end, { pointerType: "mouse" });
    assert.deepEqual(parts.bridge.of("hint").map(({ likely }) => likely), [true, false]);
  });
}

test("a hint: the key that goes with Enter is down", async (t) => {
  const { bridge, element } = await page(t, { submitOn: "ctrl+enter" });
  input(element, "Show");
  fire(element, "keydown", { key: "Control", keyCode: 17, isComposing: false });
  fire(element, "keyup", { key: "Control" });
  assert.deepEqual(bridge.of("hint").map(({ likely }) => likely), [true, false]);
});

test("a hint lasts while one of two signs does", async (t) => {
  const { bridge, element, sendButton } = await page(t);
  input(element, "Show");
  fire(sendButton, "pointerenter", { pointerType: "mouse" });
  fire(sendButton, "focus");
  fire(sendButton, "pointerleave", { pointerType: "mouse" });
  assert.deepEqual(bridge.of("hint").map(({ likely }) => likely), [true]);
});

test("after a touch the click comes when the pointer has left: the hint lasts until then", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { bridge, element, sendButton } = await page(t, { submits: true });
  input(element, "Show");
  for (const type of ["pointerenter", "pointerdown", "pointerleave"]) fire(sendButton, type, { pointerType: "touch" });
  fire(sendButton, "click");
  t.mock.timers.tick(300);
  assert.deepEqual(bridge.heard.slice(-2).map(({ type }) => type), ["hint", "submit"]);
});

test("no hint about an empty box", async (t) => {
  const { bridge, sendButton } = await page(t);
  fire(sendButton, "pointerenter");
  assert.deepEqual(bridge.of("hint"), []);
});

test("a detached box says no more, and does not submit", async (t) => {
  const { box, bridge, conversation, element, sendButton } = await page(t, { submits: true });
  input(element, "Show");
  box.detach();
  input(element, "Show me");
  fire(element, "keydown", ENTER);
  fire(sendButton, "click");
  bridge.socket.cut();
  conversation.connect();
  await settled();
  assert.equal(bridge.draftText, "Show");
  assert.deepEqual(bridge.submitted, []);
});
