import { watch } from "./chromium.js";
import { PAGE, PANEL, record } from "./panel.js";
import { User } from "./user.js";

/**
 * Open the page, or one of tests/browser/fixtures, and return the person in front of it.
 * @param {import("playwright-core").BrowserContext} context
 * @param {"page" | "textarea" | "editable"} [box]
 */
export async function opens(context, box = "page") {
  const page = await context.newPage();
  const watched = await watch(page);
  const { length } = (await record()).streams;
  await page.goto(box === "page" ? `${PAGE}/` : `${PANEL}/fixtures/box.html?box=${box}&page=${encodeURIComponent(PAGE)}`);
  const where = box === "page" ? page.getByRole("textbox") : page.locator(`#${box}`);
  return new User(page, watched, where, length);
}
