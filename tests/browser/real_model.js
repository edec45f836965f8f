/** A conversation with a real model: run by tests/e2e/browser/test_chromium_on_vllm.py, which knows what the model was asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./until.js";
import { visit } from "./visits.js";

test("two turns, with an edit in the middle", visit(async (user) => {
  await user.types("Show patients in cardiology");
  await user.presses("Home", ...Array(5).fill("ArrowRight"));
  await user.types("me all ");
  assert.equal(await user.sends(), "Show me all patients in cardiology");
  await until("the end of the first answer", () => user.watched.received("finished")[0]);
  await user.seesOnce(user.heard().trim().split("\n")[0]);
  await user.types("And by ward?");
  await user.sends();
  await until("the end of the second answer", () => user.watched.received("finished")[1]);
  assert.deepEqual((await user.submits()).map(({ answer }) => answer).join(""), user.heard());
}));
