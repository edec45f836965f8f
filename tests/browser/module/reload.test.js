// A page that is loaded again goes on, by the token that it has stored.

import assert from "node:assert/strict";
import { test } from "node:test";

import { openedInStillTime } from "./still_time.js";
import { conversationWith, eventsOf, ModelBridge, settled, textOf } from "./world.js";

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
  const { bridge, conversation } = await openedInStillTime(t, { storage: "chat" });
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

test("without storage, or if the browser refuses it, nothing is stored", async (t) => {
  const stored = storing(t);
  await openedInStillTime(t);
  assert.deepEqual([...stored], []);
  globalThis.sessionStorage.setItem = () => {
    throw new Error("full");
  };
  const other = conversationWith(t, new ModelBridge(), { storage: "chat" });
  other.connect();
  await settled();
  assert.equal(other.token, "token 1");
});
