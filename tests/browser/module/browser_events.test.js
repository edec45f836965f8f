// What the browser says of the network, and of the page being shown, moves the connection.

import assert from "node:assert/strict";
import { test } from "node:test";

import { later, openedInStillTime } from "./still_time.js";
import { settled } from "./world.js";

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
  const { bridge, conversation } = await openedInStillTime(t);
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
  const { bridge, conversation } = await openedInStillTime(t, { url: "ws://127.0.0.1:8080/socket" });
  network(false);
  assert.equal(conversation.state, "open");
  bridge.socket.cut();
  assert.equal(conversation.state, "offline");
  await later(t);
  assert.equal(conversation.state, "open");
});

test("a try that hangs is given up when the network comes; a connection that is good is kept", async (t) => {
  const { network } = browser(t);
  const { bridge, conversation } = await openedInStillTime(t);
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
  const { bridge } = await openedInStillTime(t);
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
  const { bridge, conversation } = await openedInStillTime(t);
  conversation.close();
  network(false);
  network(true);
  await later(t);
  assert.equal(bridge.sockets.length, 1);
  assert.equal(conversation.state, "closed");
});
