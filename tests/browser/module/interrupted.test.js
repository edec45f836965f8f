// What is under way when a connection breaks is neither lost nor done twice: submits, answers, changes of messages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { later, openedInStillTime } from "./still_time.js";
import { eventsOf, settled, textOf } from "./world.js";

test("a submit waits for a connection, connects at once, and is asked once", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  bridge.socket.cut();
  conversation.setDraft("Hi");
  const answer = conversation.submit();
  await settled();
  assert.deepEqual(bridge.of("submit"), [{ type: "submit", turn: 1, text: "Hi" }]);
  bridge.socket.cut();
  await later(t);
  assert.equal(bridge.of("submit").length, 1);
  bridge.delta("Hello");
  bridge.finish();
  assert.equal(await textOf(answer), "Hello");
  assert.deepEqual(conversation.messages, bridge.messages);
});

test("the text of a submit that waits is still the bridge's draft when it comes, and what was typed after it follows", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  conversation.setDraft("Hi");
  bridge.socket.cut();
  conversation.submit();
  conversation.setDraft("next");
  conversation.addEventListener("opened", () => conversation.setDraft("next one"));
  await settled();
  assert.deepEqual(bridge.submitted, [{ text: "Hi", draft: "Hi" }]);
  assert.equal(bridge.draftText, "next one");
});

test("a submit that was lost on the way is asked again, under its number", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  bridge.deaf = true;
  conversation.submit("Hi");
  bridge.deaf = false;
  bridge.socket.cut();
  await later(t);
  assert.deepEqual(bridge.of("submit"), [{ type: "submit", turn: 1, text: "Hi" }]);
});

test("a submit that waits can be taken back", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  bridge.reachable = false;
  bridge.socket.cut();
  const answer = conversation.submit("Hi");
  assert.equal((await answer.cancel()).reason, "cancelled");
  bridge.reachable = true;
  await later(t);
  assert.deepEqual(bridge.of("submit"), []);
  conversation.submit("Ho");
  assert.equal(bridge.of("submit")[0].turn, 1);
});

test("an answer goes on after a break: nothing twice, nothing lost", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const answer = conversation.submit("Hi");
  const text = textOf(answer);
  bridge.delta("Good ");
  bridge.socket.cut();
  bridge.delta("mor");
  await later(t);
  bridge.delta("ning");
  bridge.finish();
  assert.equal(await text, "Good morning");
});

test("an answer that ends during a break is complete, with its report", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const ends = eventsOf(conversation, "finished");
  const answer = conversation.submit("Hi");
  bridge.delta("Good ");
  bridge.socket.cut();
  bridge.delta("morning");
  bridge.finish();
  await later(t);
  assert.equal(await textOf(answer), "Good morning");
  assert.deepEqual((await answer.finished).ledger, ["Nothing was lost."]);
  assert.deepEqual(conversation.messages, bridge.messages);
  bridge.socket.cut();
  await later(t);
  assert.equal(ends.length, 1, "the bridge repeats the end; that is no event");
});

test("an answer that fails during a break fails", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const answer = conversation.submit("Hi");
  bridge.socket.cut();
  bridge.fail({ reason: "GENERATION_FAILED", message: "the engine failed: ask again" });
  await later(t);
  await assert.rejects(answer.finished, { reason: "GENERATION_FAILED" });
});

test("a cancel during a break is sent after it", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const answer = conversation.submit("Hi");
  bridge.delta("Hel");
  bridge.socket.cut();
  void answer.cancel({ keepText: false });
  await later(t);
  assert.equal((await answer.finished).reason, "cancelled");
  assert.deepEqual([conversation.messages, bridge.messages], [[], []]);
});

test("a rewriting that was lost on the way is repeated", async (t) => {
  const said = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }];
  const { bridge, conversation } = await openedInStillTime(t, { messages: said });
  bridge.deaf = true;
  conversation.rewrite(0, [{ role: "user", content: "c" }]);
  bridge.deaf = false;
  bridge.socket.cut();
  await later(t);
  assert.deepEqual(bridge.messages, [{ role: "user", content: "c" }]);
  assert.deepEqual(conversation.messages, bridge.messages);
});

test("a regeneration that was lost on the way is repeated", async (t) => {
  const said = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }];
  const { bridge, conversation } = await openedInStillTime(t, { messages: said });
  bridge.deaf = true;
  conversation.regenerate();
  bridge.deaf = false;
  bridge.socket.cut();
  await later(t);
  bridge.delta("c");
  bridge.finish();
  assert.deepEqual(bridge.messages, [said[0], { role: "assistant", content: "c" }]);
  assert.deepEqual(conversation.messages, bridge.messages);
});

test("a bridge that has lost the conversation gets it, and the question that was not answered", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  conversation.submit("one");
  bridge.delta("1");
  bridge.finish();
  const answer = conversation.submit("two");
  bridge.socket.cut();
  bridge.forget();
  await later(t);
  assert.deepEqual(bridge.messages.map(({ content }) => content), ["one", "1"]);
  assert.deepEqual(bridge.of("submit").at(-1), { type: "submit", turn: 1, text: "two" });
  bridge.delta("2");
  bridge.finish();
  assert.equal(await textOf(answer), "2");
  assert.equal((await answer.finished).turn, 2, "turns go on counting here");
  assert.deepEqual(conversation.messages, bridge.messages);
});

test("an answer that had begun at a bridge that lost it fails, and what came is kept", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const answer = conversation.submit("Hi");
  bridge.delta("Hel");
  bridge.socket.cut();
  bridge.forget();
  await later(t);
  await assert.rejects(answer.finished, { reason: "CONVERSATION_LOST", continues: true });
  assert.deepEqual(conversation.messages.map(({ content }) => content), ["Hi", "Hel"]);
  assert.deepEqual(bridge.messages, conversation.messages);
});

test("a twin is asked for again after a break", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  conversation.submit("Hi");
  const twin = conversation.measureTwin(1);
  bridge.socket.cut();
  await later(t);
  bridge.say({ type: "twin", turn: 1, cold_ms: 400 });
  assert.equal((await twin).cold_ms, 400);
});
