/** Connections that break and bridges that end, while a person types and while an answer runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { order } from "./panel.js";
import { until } from "./until.js";
import { visit } from "./visits.js";

const TROUBLED = { troubled: true };

/** @typedef {import("./user.js").User} User */

/** @param {User} user */
async function goesOffline(user) {
  await order("down");
  await user.page.context().setOffline(true);
}

/** @param {User} user */
async function comesBack(user) {
  await order("up");
  await user.page.context().setOffline(false);
}

/** @param {User} user */
async function sendsAndHears(user) {
  user.messages.push({ role: "user", content: await user.sends() });
  await user.hearsSomething();
}

test("offline while typing: what is typed and edited meanwhile arrives", visit(async (user) => {
  await user.types("Show me ");
  await user.settled();
  await goesOffline(user);
  await user.types("all patents");
  await user.presses("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft");
  await user.types("i");
  await comesBack(user);
  assert.equal(await user.settled(), "Show me all patients");
  await user.asks();
}, TROUBLED));

test("a connection that is reset in the middle of typing", visit(async (user) => {
  for (const word of ["Show ", "me ", "all ", "the ", "patients"]) {
    const { sockets } = user.watched;
    await user.types(word);
    await order("cut");
    await until("another connection", () => user.watched.sockets > sockets);
  }
  await user.settled();
  await user.asks();
  assert.ok(user.watched.sockets > 1, "there was more than one connection");
}, TROUBLED));

test("offline while an answer runs: it is whole, and nothing comes twice", visit(async (user) => {
  await user.types("Show me all patients");
  await sendsAndHears(user);
  await goesOffline(user);
  await user.hearsMoreToCome();
  await user.types("And by ");
  await comesBack(user);
  await user.isAnswered();
  await user.types("ward?");
  await user.asks();
  assert.equal((await user.submits()).length, 2);
}, TROUBLED));

test("a connection that is reset in the middle of an answer, again and again", visit(async (user) => {
  await user.types("Show me all patients");
  await sendsAndHears(user);
  for (let times = 1; times <= 3; times += 1) {
    await user.hearsMoreToCome();
    const { sockets } = user.watched;
    await order("cut");
    await until("another connection", () => user.watched.sockets > sockets);
  }
  await user.isAnswered();
  assert.equal((await user.submits()).length, 1, "it was asked once");
}, TROUBLED));

test("sent while offline: it is asked once, as soon as there is a connection", visit(async (user) => {
  await user.types("Show me ");
  await user.settled();
  await goesOffline(user);
  await user.types("all patients");
  await user.presses("Enter");
  user.messages.push({ role: "user", content: "Show me all patients" });
  assert.equal(await user.text(), "");
  assert.deepEqual(await user.submits(), []);
  await comesBack(user);
  await user.isAnswered();
  assert.deepEqual((await user.submits()).map(({ text }) => text), ["Show me all patients"]);
}, TROUBLED));

test("the bridge is killed while typing, and another takes its port: draft and conversation are there", visit(async (user) => {
  await user.types("Show me all patients");
  await user.asks();
  await user.types("And by ");
  await user.settled();
  await order("kill-bridge");
  await user.types("war");
  await order("start-bridge");
  await user.types("d?");
  await user.asks();
}, TROUBLED));

test("the bridge is replaced in good order", visit(async (user) => {
  await user.types("Show me all patients");
  await user.asks();
  await user.types("And by ");
  await user.settled();
  await order("stop-bridge");
  await order("start-bridge");
  await user.types("ward?");
  await user.asks();
}, TROUBLED));

test("the bridge is killed in mid-answer: the page says that the answer failed, and asks again if told to", visit(async (user) => {
  await user.types("Show me all patients");
  await sendsAndHears(user);
  await order("kill-bridge");
  await order("start-bridge");
  await user.seesOnce("it failed");
  await user.clicks(/again|regenerate/i);
  await user.isAnswered();
  await user.types("And by ward?");
  await user.asks();
}, TROUBLED));
