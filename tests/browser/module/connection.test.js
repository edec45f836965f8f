import assert from "node:assert/strict";
import { test } from "node:test";

import { conversationWith, eventsOf, ModelBridge, settled } from "./world.js";

const LONG_MS = 20_000;

async function opened(t, options, bridge = new ModelBridge()) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const conversation = conversationWith(t, bridge, options);
  conversation.connect();
  await settled();
  return { bridge, conversation };
}

/** Let the next try of a connection come. */
async function later(t) {
  t.mock.timers.tick(LONG_MS);
  await settled();
}

async function textOf(answer) {
  let text = "";
  for await (const part of answer) text += part.text;
  return text;
}

test("a broken connection is made anew, with the token and the draft", async (t) => {
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
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
  const { bridge } = await opened(t);
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
  const { bridge } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
  bridge.reachable = false;
  bridge.socket.cut();
  for (const text of ["S", "Sh", "Sho"]) conversation.setDraft(text);
  await settled();
  assert.equal(bridge.sockets.length, 1);
});

test("a bridge that says when to come again is asked then", async (t) => {
  const { bridge } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
  bridge.socket.cut();
  bridge.deaf = true;
  await later(t);
  bridge.deaf = false;
  t.mock.timers.tick(10_000);
  await later(t);
  assert.equal(conversation.state, "open");
});

test("a submit waits for a connection, connects at once, and is asked once", async (t) => {
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
  bridge.deaf = true;
  conversation.submit("Hi");
  bridge.deaf = false;
  bridge.socket.cut();
  await later(t);
  assert.deepEqual(bridge.of("submit"), [{ type: "submit", turn: 1, text: "Hi" }]);
});

test("a submit that waits can be taken back", async (t) => {
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
  const answer = conversation.submit("Hi");
  bridge.socket.cut();
  bridge.fail({ reason: "GENERATION_FAILED", message: "the engine failed: ask again" });
  await later(t);
  await assert.rejects(answer.finished, { reason: "GENERATION_FAILED" });
});

test("a cancel during a break is sent after it", async (t) => {
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t, { messages: said });
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
  const { bridge, conversation } = await opened(t, { messages: said });
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
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
  conversation.submit("Hi");
  const twin = conversation.measureTwin(1);
  bridge.socket.cut();
  await later(t);
  bridge.say({ type: "twin", turn: 1, cold_ms: 400 });
  assert.equal((await twin).cold_ms, 400);
});

for (const [code, reason] of [[1000, "SESSION_ENDED"], [1008, "REFUSED"], [1009, "MESSAGE_TOO_LARGE"], [4001, "TAKEN_OVER"]]) {
  test(`after closing code ${code} nothing connects by itself: ${reason}`, async (t) => {
    const { bridge, conversation } = await opened(t);
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
  const { bridge, conversation } = await opened(t);
  const errors = eventsOf(conversation, "error");
  const { socket } = bridge;
  socket.say({ type: "error", reason: "UNAUTHENTICATED", message: "no key", continues: false });
  socket.cut(1008);
  assert.deepEqual(errors.map(({ reason }) => reason), ["UNAUTHENTICATED"]);
});

test("a conversation that another tab took over is taken back on demand, with its answer", async (t) => {
  const { bridge, conversation } = await opened(t);
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

function storing(t) {
  const stored = new Map();
  globalThis.sessionStorage = {
    getItem: (name) => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, value),
    removeItem: (name) => stored.delete(name),
  };
  t.after(() => delete globalThis.sessionStorage);
  return stored;
}

test("a page that is loaded again goes on, with the running answer from its beginning", async (t) => {
  const stored = storing(t);
  const { bridge, conversation } = await opened(t, { storage: "chat" });
  conversation.setDraft("Hi");
  conversation.submit();
  conversation.setDraft("and then");
  bridge.delta("Good ");
  assert.deepEqual([...stored], [["chat", "token 1"]]);
  bridge.socket.cut(1001);

  const reloaded = conversationWith(t, bridge, { storage: "chat" });
  const seen = eventsOf(reloaded, "opened", "delta");
  reloaded.connect();
  await settled();
  assert.deepEqual([seen[0].resumed, seen[0].draft, seen[1].text], [true, "and then", "Good "]);
  const { running } = reloaded;
  assert.deepEqual([running.turn, running.question, running.started.ttft_ms], [1, "Hi", 3]);
  bridge.delta("morning");
  bridge.finish();
  assert.equal(await textOf(running), "Good morning");
  assert.deepEqual(reloaded.messages, bridge.messages);
  assert.equal(reloaded.submit("Next").turn, 2);
  reloaded.close();
  assert.deepEqual([...stored], []);
});

test("a listener to opened may put the draft back before the bridge is told", async (t) => {
  const { bridge, conversation } = await opened(t);
  conversation.addEventListener("opened", () => conversation.setDraft("put back"));
  bridge.socket.cut();
  await later(t);
  assert.equal(bridge.draftText, "put back");
});

test("without storage, or if the browser refuses it, nothing is stored", async (t) => {
  const stored = storing(t);
  await opened(t);
  assert.deepEqual([...stored], []);
  globalThis.sessionStorage.setItem = () => {
    throw new Error("full");
  };
  const other = conversationWith(t, new ModelBridge(), { storage: "chat" });
  other.connect();
  await settled();
  assert.equal(other.token, "token 1");
});

function browser(t) {
  const page = new EventTarget();
  const document = new EventTarget();
  const navigator = { onLine: true };
  const faked = {
    addEventListener: page.addEventListener.bind(page),
    document: Object.assign(document, { visibilityState: "visible" }),
    navigator,
  };
  for (const [name, value] of Object.entries(faked)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => delete globalThis[name]);
  }
  return {
    navigator,
    document,
    network(onLine) {
      navigator.onLine = onLine;
      page.dispatchEvent(new Event(onLine ? "online" : "offline"));
    },
  };
}

test("without a network the connection is given up; with it, made at once", async (t) => {
  const { network } = browser(t);
  const { bridge, conversation } = await opened(t);
  bridge.reachable = false;
  network(false);
  assert.equal(conversation.state, "offline");
  assert.equal(bridge.socket, null);
  await later(t);
  assert.equal(conversation.state, "offline");
  bridge.reachable = true;
  network(true);
  await settled();
  assert.equal(conversation.state, "open");
});

test("a bridge on this machine is reached without a network", async (t) => {
  const { network } = browser(t);
  const { bridge, conversation } = await opened(t, { url: "ws://127.0.0.1:8080/socket" });
  network(false);
  assert.equal(conversation.state, "open");
  bridge.socket.cut();
  assert.equal(conversation.state, "offline");
  await later(t);
  assert.equal(conversation.state, "open");
});

test("a try that hangs is given up when the network comes; a connection that is good is kept", async (t) => {
  const { network } = browser(t);
  const { bridge, conversation } = await opened(t);
  bridge.socket.cut();
  bridge.deaf = true;
  t.mock.timers.tick(300);
  await settled();
  bridge.deaf = false;
  network(true);
  await settled();
  assert.deepEqual([bridge.sockets.length, conversation.state], [3, "open"]);
  assert.notEqual(bridge.sockets[1].closedWith, undefined);
  network(true);
  await settled();
  assert.equal(bridge.sockets.length, 3);
});

test("a page that is shown again connects at once", async (t) => {
  const { document } = browser(t);
  const { bridge } = await opened(t);
  bridge.socket.cut();
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(bridge.sockets.length, 1);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(bridge.sockets.length, 2);
});

test("a closed conversation hears no more of the network", async (t) => {
  const { network } = browser(t);
  const { bridge, conversation } = await opened(t);
  conversation.close();
  network(false);
  network(true);
  await later(t);
  assert.equal(bridge.sockets.length, 1);
  assert.equal(conversation.state, "closed");
});
