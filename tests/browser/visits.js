/** One browser for the tests of a file; each test has a context of its own, as another person's browser. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { launch } from "./chromium.js";
import { opens } from "./opens.js";
import { PAGE, PANEL } from "./panel.js";

/** @import { User } from "./user.js" */

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

/**
 * @typedef {object} Options
 * @property {"page" | "textarea" | "editable"} [box] the page's own box, or one of tests/browser/fixtures; default: page
 * @property {import("playwright-core").BrowserContextOptions} [context]
 * @property {boolean} [troubled] whether the test makes errors that the browser reports, such as connections that fail
 */

/**
 * Make the body of a test: a person opens the page, does something, and has seen nothing go wrong.
 * @param {(user: User, context: import("playwright-core").BrowserContext) => Promise<void>} does
 * @param {Options} [options]
 */
export function visit(does, { box = "page", context: contextOptions = {}, troubled = false } = {}) {
  return async () => {
    const context = await browser.newContext({ locale: "en", ...contextOptions });
    try {
      const user = await opens(context, box);
      await does(user, context);
      if (troubled) user.watched.errors = user.watched.errors.filter((error) => !/WebSocket|net::ERR/.test(error));
      await user.hasSeenNothingWrong();
      assert.deepEqual(user.watched.requests.filter(isElsewhere), [], "no request to another host");
    } finally {
      await context.close();
    }
  };
}

/** The addresses of a browser test's own servers, and those that never leave the browser. */
function isElsewhere(url) {
  const { protocol, host } = new URL(url);
  return !["data:", "blob:", "about:"].includes(protocol) && ![new URL(PAGE).host, new URL(PANEL).host].includes(host);
}
