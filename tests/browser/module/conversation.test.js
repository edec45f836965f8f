import assert from "node:assert/strict";
import { test } from "node:test";

import { conversationWith, eventsOf, ModelBridge, opened, partsOf, settled } from "./world.js";

test("nothing connects before it is used", async (t) => {
  const bridge = new ModelBridge();
  const conversation = conversationWith(t, bridge);
  await settled();
  assert.equal(bridge.sockets.length, 0);
  conversation.setDraft("S");
  await settled();
  assert.equal(bridge.sockets.length, 1);
  assert.equal(bridge.sockets[0].protocol, "forefill.v1");
  assert.deepEqual(bridge.heard, [{ type: "open", protocol: 1, messages: [], draft: "S" }]);
});

test("each change of the draft is an edit", async (t) => {
  const { bridge, conversation } = await opened(t);
  const edits = eventsOf(conversation, "edit");
  for (const text of ["S", "Sh", "S😀h", "😀h"]) conversation.setDraft(text);
  assert.deepEqual(bridge.of("edit").map(({ start, end, text, length }) => [start, end, text, length]), [
    [0, 0, "S", 1],
    [1, 1, "h", 2],
    [1, 1, "😀", 3],
    [0, 1, "", 2],
  ]);
  assert.equal(edits.length, 4);
  assert.equal(bridge.draftText, "😀h");
});

test("a draft of which nothing is kept is sent whole", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("hello");
  conversation.setDraft("WORD");
  assert.deepEqual(bridge.of("draft"), [{ type: "draft", text: "WORD", composing: false }]);
  conversation.setDraft("");
  assert.equal(bridge.draftText, "");
});

test("the end of a composition is said, even if the text stays", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("に", { composing: true });
  conversation.setDraft("に", { composing: false });
  conversation.setDraft("に", { composing: false });
  assert.deepEqual(bridge.of("edit").map(({ start, end, text, composing }) => [start, end, text, composing]), [
    [0, 0, "に", true],
    [1, 1, "", false],
  ]);
});

test("a half of a surrogate pair is never sent", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("a\ud83d");
  conversation.submit("b\ude00");
  assert.equal(bridge.of("edit")[0].text, "a\ufffd");
  assert.equal(bridge.of("submit")[0].text, "b\ufffd");
});

test("the bridge that lost track gets the whole draft", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("Show me");
  bridge.draft = [..."Sho"];
  conversation.setDraft("Show me all");
  assert.equal(bridge.draftText, "Show me all");
  assert.equal(bridge.of("draft").length, 1);
});

test("a draft that is too long is reported once, and not sent until it is shorter", async (t) => {
  const bridge = new ModelBridge();
  bridge.opened.max_draft_code_points = 5;
  const { conversation } = await opened(t, {}, bridge);
  const errors = eventsOf(conversation, "error");
  for (const text of ["😀😀😀😀😀", "123456", "1234567"]) conversation.setDraft(text);
  assert.equal(bridge.draftText, "😀😀😀😀😀");
  assert.equal(conversation.submit(), null);
  assert.deepEqual(errors.map(({ reason }) => reason), ["DRAFT_TOO_LONG", "DRAFT_TOO_LONG"]);
  assert.deepEqual(bridge.of("submit"), []);
  conversation.setDraft("1234");
  assert.equal(bridge.draftText, "1234");
});

test("many bytes on their way out: changes gather, and follow as one", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("a");
  bridge.socket.bufferedAmount = 1e6;
  for (const text of ["ab", "abc", "abcd"]) conversation.setDraft(text);
  t.mock.timers.tick(50);
  assert.equal(bridge.draftText, "a");
  bridge.socket.bufferedAmount = 0;
  t.mock.timers.tick(50);
  assert.equal(bridge.draftText, "abcd");
  assert.equal(bridge.of("edit").length, 2);
});

test("a submit does not wait for what gathers, and empties the draft", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("a");
  bridge.socket.bufferedAmount = 1e6;
  conversation.setDraft("ab");
  conversation.submit();
  assert.deepEqual(bridge.of("submit"), [{ type: "submit", turn: 1, text: "ab" }]);
  assert.equal(conversation.draft, "");
  assert.equal(bridge.draftText, "");
});

test("a submit of another text keeps the draft, at the bridge too", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("not yet");
  conversation.submit("Now!");
  assert.equal(conversation.draft, "not yet");
  assert.equal(bridge.draftText, "not yet");
});

test("what gathers behind a submit follows too", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("not yet");
  bridge.socket.bufferedAmount = 1e6;
  conversation.submit("Now!");
  bridge.socket.bufferedAmount = 0;
  t.mock.timers.tick(50);
  assert.equal(bridge.draftText, "not yet");
});

test("an answer is iterated as it comes, and again from its beginning", async (t) => {
  const { bridge, conversation } = await opened(t);
  const answer = conversation.submit("Hi");
  assert.equal(conversation.running, answer);
  const parts = partsOf(answer);
  bridge.delta("Good ");
  await settled();
  bridge.delta("morning");
  bridge.finish();
  assert.deepEqual(await parts, ["Good ", "morning"]);
  assert.deepEqual(await partsOf(answer), ["Good ", "morning"]);
  assert.equal((await answer.finished).reason, "stop");
  assert.deepEqual([answer.text, answer.done, answer.started.ttft_ms], ["Good morning", true, 3]);
  assert.equal(conversation.running, null);
  assert.deepEqual(conversation.messages, bridge.messages);
});

test("events come with the bridge's messages", async (t) => {
  const { bridge, conversation } = await opened(t);
  const seen = eventsOf(conversation, "started", "delta", "finished", "flush", "guess");
  conversation.submit("Hi");
  bridge.delta("Hello");
  bridge.finish();
  bridge.say({ type: "flush", confirmed_code_points: 4 });
  bridge.say({ type: "guess", begun: true });
  bridge.say({ type: "of a later version" });
  assert.deepEqual(seen.map(({ type }) => type), ["started", "delta", "finished", "flush", "guess"]);
});

test("an answer that fails throws, in the iteration and in finished, and is no unhandled rejection", async (t) => {
  const { bridge, conversation } = await opened(t);
  const errors = eventsOf(conversation, "error");
  const answer = conversation.submit("Hi");
  bridge.delta("Hel");
  bridge.fail({ reason: "ENGINE_UNAVAILABLE", message: "the engine is gone: try again", retry_after_ms: 500 });
  const failure = { name: "ForefillError", reason: "ENGINE_UNAVAILABLE", turn: 1, retryAfterMs: 500, continues: true };
  await assert.rejects(partsOf(answer), failure);
  await assert.rejects(answer.finished, failure);
  assert.equal(errors.length, 1);
  assert.deepEqual(conversation.messages, []);
});

test("after a refused submit the bridge gets what the box holds, whatever it has put back", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.setDraft("Hi");
  conversation.submit();
  bridge.draft = [..."Hi"];
  bridge.fail({ reason: "RATE_LIMITED", message: "too many answers: wait" });
  assert.equal(bridge.draftText, conversation.draft);
});

test("a cancelled answer ends, with what came of it or without", async (t) => {
  const { bridge, conversation } = await opened(t);
  for (const keepText of [true, false]) {
    const answer = conversation.submit("Hi");
    bridge.delta("Hel");
    assert.equal((await answer.cancel({ keepText })).reason, "cancelled");
    assert.deepEqual(conversation.messages, bridge.messages);
  }
  assert.equal(conversation.messages.length, 2);
  assert.deepEqual(bridge.of("cancel").map(({ keep_text }) => keep_text), [true, false]);
});

test("one answer runs at a time: another waits only for one that is being cancelled", async (t) => {
  const { bridge, conversation } = await opened(t);
  const errors = eventsOf(conversation, "error");
  const first = conversation.submit("one");
  assert.equal(conversation.submit("two"), null);
  assert.equal(conversation.regenerate(), null);
  assert.equal(conversation.rewrite(0), false);
  assert.deepEqual(errors.map(({ reason }) => reason), Array(3).fill("ANSWER_RUNNING"));
  bridge._cancel = () => {}; // a step of the engine later
  void first.cancel();
  const second = conversation.submit("two");
  assert.deepEqual(bridge.of("submit").map(({ text }) => text), ["one"]);
  bridge.finish("cancelled");
  assert.deepEqual(bridge.of("submit").map(({ text }) => text), ["one", "two"]);
  assert.equal(conversation.running, second);
});

test("nothing is asked of an empty draft", async (t) => {
  const { bridge, conversation } = await opened(t);
  assert.equal(conversation.submit(), null);
  assert.deepEqual(bridge.of("submit"), []);
});

test("the last answer is asked for once more, and leaves the conversation", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.submit("Hi");
  bridge.delta("Hello");
  bridge.finish();
  const answer = conversation.regenerate();
  assert.deepEqual(conversation.messages, []);
  assert.equal(answer.question, "Hi");
  bridge.delta("Good day");
  bridge.finish();
  assert.deepEqual(conversation.messages, bridge.messages);
  assert.equal(conversation.messages[1].content, "Good day");
  assert.equal(answer.turn, 2);
});

test("there is no answer to ask for once more", async (t) => {
  const { conversation } = await opened(t);
  const errors = eventsOf(conversation, "error");
  assert.equal(conversation.regenerate(), null);
  assert.equal(errors[0].reason, "NO_ANSWER");
});

test("the conversation's end is rewritten", async (t) => {
  const said = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }];
  const { bridge, conversation } = await opened(t, { messages: said });
  assert.equal(conversation.rewrite(1, [{ role: "assistant", content: "c" }]), true);
  assert.deepEqual(conversation.messages, [said[0], { role: "assistant", content: "c" }]);
  assert.deepEqual(bridge.messages, conversation.messages);
});

test("a hint holds until the draft changes, and is not repeated", async (t) => {
  const { bridge, conversation } = await opened(t);
  const hints = () => bridge.of("hint").map(({ likely }) => likely);
  conversation.setDraft("Hi");
  conversation.hint();
  conversation.hint();
  conversation.hint(false);
  assert.deepEqual(hints(), [true, false]);
  conversation.hint();
  conversation.setDraft("Hi!");
  conversation.hint(false);
  conversation.hint();
  assert.deepEqual(hints(), [true, false, true, true]);
});

test("a bridge that knows no hints gets none", async (t) => {
  const bridge = new ModelBridge();
  bridge.opened.accepts_hints = false;
  const { conversation } = await opened(t, {}, bridge);
  conversation.setDraft("Hi");
  conversation.hint();
  assert.deepEqual(bridge.of("hint"), []);
});

test("a twin is measured", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.submit("Hi");
  const twin = conversation.measureTwin(1);
  assert.equal(conversation.measureTwin(1), twin);
  bridge.say({ type: "twin", turn: 1, cold_ms: 400, static_ms: 90, waited_ms: 3 });
  assert.equal((await twin).cold_ms, 400);
  assert.equal(bridge.of("twin").length, 1);
  assert.match((await conversation.measureTwin(7)).error, /does not know/);
});

test("close ends the conversation at the bridge, and whatever runs", async (t) => {
  const { bridge, conversation } = await opened(t);
  const answer = conversation.submit("Hi");
  const twin = conversation.measureTwin(1);
  const [socket] = bridge.sockets;
  conversation.close();
  assert.deepEqual(bridge.heard.at(-1), { type: "end" });
  assert.equal(socket.closedWith, 1000);
  assert.deepEqual([conversation.state, conversation.token], ["closed", null]);
  await assert.rejects(answer.finished, { reason: "CLOSED" });
  assert.ok((await twin).error);
});

test("the state of the bridge's own stream counts", async (t) => {
  const { bridge, conversation } = await opened(t);
  const states = eventsOf(conversation, "state");
  bridge.say({ type: "state", state: "reconnecting", message: "the server is restarting" });
  assert.equal(conversation.state, "reconnecting");
  bridge.say({ type: "state", state: "open" });
  assert.equal(conversation.state, "open");
  assert.deepEqual(states, [{ state: "reconnecting", message: "the server is restarting" }, { state: "open" }]);
});

test("onError is called for each error", async (t) => {
  const failures = [];
  const { bridge } = await opened(t, { onError: ({ reason }) => failures.push(reason) });
  bridge.say({ type: "error", reason: "INTERNAL", message: "a defect", continues: true });
  assert.deepEqual(failures, ["INTERNAL"]);
});
