// A connection that breaks, is refused or is closed: when it is made anew, and what the bridge is told then.

import assert from "node:assert/strict";
import { test } from "node:test";

import { later, openedInStillTime } from "./still_time.js";
import { eventsOf, settled, textOf } from "./world.js";

test("a broken connection is made anew, with the token and the draft", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const states = eventsOf(conversation, "state");
  conversation.setDraft("Show ");
  bridge.socket.cut();
  conversation.setDraft("Show me");
  assert.equal(conversation.state, "reconnecting");
  await later(t);
  assert.deepEqual(bridge.of("open")[1], { type: "open", protocol: 1, token: "token 1", messages: [], draft: "Show me" });
  assert.equal(bridge.draftText, "Show me");
  conversation.setDraft("Show me all");
  assert.equal(bridge.draftText, "Show me all");
  assert.deepEqual(states.map(({ state }) => state), ["reconnecting", "open"]);
});

test("what is typed between open and opened follows", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  bridge.socket.cut();
  const open = bridge._open;
  bridge._open = (...told) => {
    conversation.setDraft("typed meanwhile");
    open.apply(bridge, told);
  };
  await later(t);
  assert.equal(bridge.draftText, "typed meanwhile");
});

test("waits grow from try to try, are spread, and have a limit", async (t) => {
  const { bridge } = await openedInStillTime(t);
  t.mock.method(Math, "random", () => 1);
  bridge.reachable = false;
  bridge.socket.cut();
  for (const ms of [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
    const tries = bridge.sockets.length;
    t.mock.timers.tick(ms - 1);
    await settled();
    assert.equal(bridge.sockets.length, tries, `too early: ${ms}`);
    t.mock.timers.tick(1);
    await settled();
    assert.equal(bridge.sockets.length, tries + 1, `not after ${ms}`);
  }
  t.mock.method(Math, "random", () => 0);
  const tries = bridge.sockets.length;
  t.mock.timers.tick(15_000);
  await settled();
  t.mock.timers.tick(7500);
  await settled();
  assert.equal(bridge.sockets.length, tries + 2);
});

test("a bridge that accepts and drops is not hammered; one that was good is tried soon", async (t) => {
  const { bridge } = await openedInStillTime(t);
  t.mock.method(Math, "random", () => 1);
  bridge.socket.cut();
  t.mock.timers.tick(250);
  await settled();
  bridge.socket.cut();
  t.mock.timers.tick(250);
  await settled();
  assert.equal(bridge.sockets.length, 2);
  t.mock.timers.tick(250);
  await settled();
  assert.equal(bridge.sockets.length, 3);
  t.mock.timers.tick(5000);
  bridge.socket.cut();
  t.mock.timers.tick(250);
  await settled();
  assert.equal(bridge.sockets.length, 4);
});

test("typing does not shorten a wait", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  bridge.reachable = false;
  bridge.socket.cut();
  for (const text of ["S", "Sh", "Sho"]) conversation.setDraft(text);
  await settled();
  assert.equal(bridge.sockets.length, 1);
});

test("a bridge that says when to come again is asked then", async (t) => {
  const { bridge } = await openedInStillTime(t);
  const { socket } = bridge;
  socket.say({ type: "error", reason: "SHUTTING_DOWN", message: "later", retry_after_ms: 30_000, continues: false });
  socket.cut(1013);
  t.mock.timers.tick(29_999);
  await settled();
  assert.equal(bridge.sockets.length, 1);
  t.mock.timers.tick(1);
  await settled();
  assert.equal(bridge.sockets.length, 2);
});

test("a bridge that never answers is left, and tried again", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  bridge.socket.cut();
  bridge.deaf = true;
  await later(t);
  bridge.deaf = false;
  t.mock.timers.tick(10_000);
  await later(t);
  assert.equal(conversation.state, "open");
});

test("a listener to opened may put the draft back before the bridge is told", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  conversation.addEventListener("opened", () => conversation.setDraft("put back"));
  bridge.socket.cut();
  await later(t);
  assert.equal(bridge.draftText, "put back");
});

for (const [code, reason] of [[1000, "SESSION_ENDED"], [1008, "REFUSED"], [1009, "MESSAGE_TOO_LARGE"], [4001, "TAKEN_OVER"]]) {
  test(`after closing code ${code} nothing connects by itself: ${reason}`, async (t) => {
    const { bridge, conversation } = await openedInStillTime(t);
    const errors = eventsOf(conversation, "error");
    const answer = conversation.submit("Hi");
    bridge.socket.cut(code);
    await later(t);
    assert.equal(bridge.sockets.length, 1);
    assert.equal(conversation.state, "closed");
    assert.deepEqual(errors.map((error) => [error.reason, error.continues]), [[reason, false]]);
    await assert.rejects(answer.finished, { reason });
    conversation.setDraft("typed on");
    assert.equal(conversation.submit(), null);
    await settled();
    assert.equal(bridge.sockets.length, 1);
    assert.equal(conversation.token, code === 1009 || code === 4001 ? "token 1" : null);
  });
}

test("the bridge's own error says why it closes", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  const errors = eventsOf(conversation, "error");
  const { socket } = bridge;
  socket.say({ type: "error", reason: "UNAUTHENTICATED", message: "no key", continues: false });
  socket.cut(1008);
  assert.deepEqual(errors.map(({ reason }) => reason), ["UNAUTHENTICATED"]);
});

test("a conversation that another tab took over is taken back on demand, with its answer", async (t) => {
  const { bridge, conversation } = await openedInStillTime(t);
  conversation.submit("Hi");
  bridge.delta("Hel");
  bridge.socket.cut(4001);
  conversation.connect();
  await settled();
  assert.equal(conversation.state, "open");
  const text = textOf(conversation.running);
  bridge.delta("lo");
  bridge.finish();
  assert.equal(await text, "Hello");
  assert.deepEqual(conversation.messages, bridge.messages);
});
