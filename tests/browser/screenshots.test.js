/** Screenshots in both themes and two widths, written to build/screenshots: for people to look at. */
import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "./until.js";
import { visit } from "./visits.js";

const FOLDER = fileURLToPath(new URL("../../build/screenshots/", import.meta.url));

/**
 * @param {"light" | "dark"} colorScheme
 * @param {number} width
 */
function screenshots(colorScheme, width) {
  const viewport = { width, height: width < 600 ? 844 : 800 };
  const taken = async (user, what) => {
    const path = `${FOLDER}${what}-${colorScheme}-${width}.png`;
    await user.page.screenshot({ path });
    assert.ok(statSync(path).size > 10_000, `${path} shows something`);
  };
  return visit(async (user) => {
    mkdirSync(FOLDER, { recursive: true });
    await taken(user, "empty");
    await user.types("Show me all patients who were admitted to cardiology.");
    await user.asks();
    await user.clicks(/^measure/i);
    await until("a measurement", () => user.watched.received("twin")[0]);
    await user.types("And how many of them are still here, ");
    await user.settled();
    await user.types("by wa");
    await user.settled();
    await taken(user, "conversation");
  }, { context: { colorScheme, viewport } });
}

test("screenshots, light and wide", screenshots("light", 1280));
test("screenshots, dark and wide", screenshots("dark", 1280));
test("screenshots, light and narrow", screenshots("light", 390));
test("screenshots, dark and narrow", screenshots("dark", 390));
