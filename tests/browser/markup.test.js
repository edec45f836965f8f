/** The model answers with markup, and the user asks with some: both are text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { visit } from "./visits.js";

const QUESTION = '<img src="/nowhere-asked" onerror="window.ran = true"><script>window.ran = true</script>?';

test("markup in an answer and in a question is shown as text", visit(async (user) => {
  await user.types(QUESTION);
  await user.asks();
  await user.seesOnce(QUESTION);
  assert.equal(await user.page.locator("img[src*=nowhere]").count(), 0);
  assert.equal(await user.page.evaluate(() => "ran" in window), false);
  assert.deepEqual(user.watched.requests.filter((url) => url.includes("nowhere")), []);
}));

test("markup stays text after a reload", visit(async (user) => {
  await user.types(QUESTION);
  const answer = await user.asks();
  await user.page.reload();
  await user.seesOnce(QUESTION);
  await user.seesOnce(answer.trim());
  assert.equal(await user.page.evaluate(() => "ran" in window), false);
}));
