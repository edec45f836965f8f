/** Answers that take two seconds: the page is reloaded, stopped, asked again while they run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./until.js";
import { visit } from "./visits.js";

/** @typedef {import("./user.js").User} User */

test("a reload in mid-answer: the answer goes on, and nothing comes twice", visit(async (user) => {
  await user.types("Show me all patients");
  user.messages.push({ role: "user", content: await user.sends() });
  await user.hearsSomething();
  await user.hearsMoreToCome();
  await user.page.reload();
  await user.isAnswered();
  await user.seesOnce("Show me all patients");
  assert.equal((await user.submits()).length, 1, "it was asked once");
  await user.types("And now?");
  await user.asks();
}));

test("a reload after the answer: the conversation is there, and goes on", visit(async (user) => {
  await user.types("Show me all patients");
  const answer = await user.asks();
  await user.page.reload();
  await user.seesOnce("Show me all patients");
  await user.seesOnce(answer.trim());
  await user.types("And now?");
  await user.asks();
}));

test("the next question is typed while the answer runs", visit(async (user) => {
  await user.types("Show me all patients");
  user.messages.push({ role: "user", content: await user.sends() });
  await user.hearsSomething();
  await user.types("And by ward?");
  await user.settled();
  await user.isAnswered();
  assert.equal(await user.text(), "And by ward?");
  await user.asks();
}));

test("an answer is stopped, and the conversation goes on", visit(async (user) => {
  await user.types("Show me all patients");
  const question = await user.sends();
  await user.hearsSomething();
  await user.clicks(/^stop/i);
  const finished = await until("the end of the answer", () => user.watched.received("finished")[0]);
  assert.equal(finished.reason, "cancelled");
  const kept = user.heard();
  assert.ok(kept.length > 0);
  user.messages.push({ role: "user", content: question }, { role: "assistant", content: kept });
  await user.seesOnce(kept.trim());
  await user.types("And now?");
  await user.asks();
}));

test("an answer is asked for once more", visit(async (user) => {
  await user.types("Show me all patients");
  await user.asks();
  user.messages.pop();
  await user.clicks(/again|regenerate/i);
  await until("a second answer", () => user.watched.received("finished")[1]);
  await user.isAnswered();
}));

test("an earlier question is written anew, and what followed it is gone", visit(async (user) => {
  await user.types("Show me all patients");
  const first = await user.asks();
  await user.types("And by ward?");
  await user.asks();
  await user.page.getByRole("button", { name: /^edit/i }).first().click();
  assert.equal(await user.text(), "Show me all patients");
  await user.presses("Control+A");
  await user.types("Show me all nurses");
  user.messages = [];
  await user.asks();
  const shown = await user.conversation.innerText();
  assert.ok(!shown.includes(first.trim()) && !shown.includes("And by ward?"), "the old turns are gone");
  await user.types("And now?");
  await user.asks();
}));
