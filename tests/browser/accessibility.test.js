/** What axe finds, and a whole turn by the keyboard alone. */
import assert from "node:assert/strict";
import axe from "axe-core";
import { test } from "node:test";
import { visit } from "./visits.js";

const NARROW = { width: 390, height: 844 };

/** @typedef {import("./user.js").User} User */

/**
 * @param {User} user
 * @param {string} when
 */
async function hasNoFault(user, when) {
  await user.page.evaluate(axe.source);
  const { violations } = await user.page.evaluate(() => window.axe.run());
  const faults = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const said = faults.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
  assert.deepEqual(said, [], `no serious fault ${when}`);
}

/** @param {User} user */
async function neverHasAFault(user) {
  await hasNoFault(user, "on the empty page");
  await user.types("Show me all patients");
  await user.settled();
  await hasNoFault(user, "while typing");
  user.messages.push({ role: "user", content: await user.sends() });
  await user.hearsSomething();
  await hasNoFault(user, "during an answer");
  await user.isAnswered();
  await hasNoFault(user, "after an answer");
}

test("axe finds no serious fault, light", visit(neverHasAFault, { context: { colorScheme: "light" } }));
test("axe finds no serious fault, dark", visit(neverHasAFault, { context: { colorScheme: "dark" } }));
test("axe finds no serious fault, light and narrow", visit(neverHasAFault, { context: { colorScheme: "light", viewport: NARROW } }));
test("axe finds no serious fault, dark and narrow", visit(neverHasAFault, { context: { colorScheme: "dark", viewport: NARROW } }));

/**
 * Press Tab until something has the focus, and see that everything on the way shows it.
 * @param {User} user
 * @param {import("playwright-core").Locator} wanted
 */
async function tabsTo(user, wanted) {
  for (let presses = 0; presses < 60; presses += 1) {
    if (await wanted.evaluateAll((found) => found.includes(document.activeElement))) return;
    await user.presses("Tab");
  }
  assert.fail(`the keyboard does not reach ${wanted}`);
}

test("a whole turn by the keyboard alone", visit(async (user) => {
  await tabsTo(user, user.box);
  await user.page.keyboard.type("Show me all patients");
  await user.asks();
  user.messages.pop();
  await tabsTo(user, user.page.getByRole("button", { name: /again|regenerate/i }));
  await user.presses("Enter");
  await user.isAnswered();
  await tabsTo(user, user.box);
  await user.page.keyboard.type("And now?");
  await tabsTo(user, user.page.getByRole("button", { name: /^send/i }));
  await user.asks(() => user.presses("Enter"));
}));
