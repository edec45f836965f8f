/**
 * Chromium, and what a page in it does: its requests, its WebSocket's messages, its errors and its violations of the
 * content security policy are all kept.
 */
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", // the tests may run as root, in a container
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** @returns {string} */
function program() {
  return execFileSync("sh", ["-c", "command -v chromium || command -v chromium-browser"], { encoding: "utf8" }).trim();
}

/** @returns {Promise<import("playwright-core").Browser>} */
export function launch() {
  return chromium.launch({ executablePath: program(), args: FLAGS });
}

/** What a page has done since it was opened. */
export class Watched {
  /** @type {string[]} */ requests = [];
  /** @type {string[]} */ errors = [];
  /** @type {string[]} */ violations = [];
  /** @type {{at: number, sent: boolean, message: any}[]} */ messages = [];
  sockets = 0;

  /** @param {string} type */
  sent(type) {
    return this.messages.filter((one) => one.sent && one.message.type === type).map((one) => one.message);
  }

  /** @param {string} type */
  received(type) {
    return this.messages.filter((one) => !one.sent && one.message.type === type).map((one) => one.message);
  }
}

/**
 * Begin to watch a page, before it goes anywhere.
 * @param {import("playwright-core").Page} page
 */
export async function watch(page) {
  const watched = new Watched();
  page.on("request", (request) => watched.requests.push(request.url()));
  page.on("pageerror", (error) => watched.errors.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    if (message.type() === "error") watched.errors.push(`${message.text()} (${message.location().url})`);
  });
  page.on("websocket", (socket) => {
    watched.sockets += 1;
    watched.requests.push(socket.url());
    const keep = (sent) => (frame) =>
      watched.messages.push({ at: Date.now(), sent, message: JSON.parse(frame.payload.toString()) });
    socket.on("framesent", keep(true));
    socket.on("framereceived", keep(false));
  });
  await page.exposeFunction("reportViolation", (text) => watched.violations.push(text));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`),
    );
  });
  return watched;
}
