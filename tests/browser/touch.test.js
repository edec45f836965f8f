/** A telephone: narrow, touched, with a keyboard that composes every word. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { devices } from "playwright-core";
import { visit } from "./visits.js";

const { defaultBrowserType: _, ...PIXEL } = devices["Pixel 7"];

test("a telephone's keyboard composes each word, and the button sends", visit(async (user) => {
  await user.box.tap();
  for (const word of ["Show", "me", "all", "patients"]) {
    for (let length = 1; length <= word.length; length += 1) await user.composes(word.slice(0, length));
    await user.inserts(word);
    await user.inserts(" ");
  }
  assert.equal(await user.settled(), "Show me all patients ");
  await user.asks(() => user.page.getByRole("button", { name: /^send/i }).tap());
}, { context: PIXEL }));

test("a telephone's button sends what is still under composition", visit(async (user) => {
  await user.box.tap();
  await user.composes("Show");
  await user.settled();
  await user.asks(() => user.page.getByRole("button", { name: /^send/i }).tap());
}, { context: PIXEL }));

test("nothing is wider than a narrow screen", visit(async (user) => {
  const overflow = () => user.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await user.box.fill(`${"w".repeat(300)} und ${"🚑".repeat(100)}`);
  assert.ok((await overflow()) <= 0, "an empty conversation");
  await user.asks(() => user.page.getByRole("button", { name: /^send/i }).tap());
  assert.ok((await overflow()) <= 0, "a conversation");
}, { context: { ...PIXEL, viewport: { width: 320, height: 640 } } }));
