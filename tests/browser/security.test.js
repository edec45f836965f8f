/** What a page, another page, and the model's text cannot do. */
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { test } from "node:test";
import { PAGE, record } from "./panel.js";
import { until } from "./until.js";
import { visit } from "./visits.js";

const SOCKET = `${PAGE.replace(/^http/, "ws")}/socket`;

/**
 * Ask for a WebSocket as a program can, with headers of its choice; return the status.
 * @param {Record<string, string>} headers
 * @returns {Promise<number | undefined>}
 */
function handshake(headers) {
  const { hostname, port } = new URL(PAGE);
  const upgrade = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "forefill.v1",
  };
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path: "/socket", headers: { ...upgrade, ...headers } });
    asked.on("upgrade", (response, socket) => (socket.destroy(), resolve(response.statusCode)));
    asked.on("response", (response) => (response.resume(), resolve(response.statusCode)));
    asked.on("error", reject);
    asked.end();
  });
}

test("a page of another origin cannot open the socket", visit(async (user, context) => {
  const other = createServer((_, response) => response.end("<!doctype html><title>Another</title>"));
  await new Promise((resolve) => other.listen(0, "127.0.0.1", () => resolve(undefined)));
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${/** @type {any} */ (other.address()).port}/`);
    const open = (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, "forefill.v1");
        socket.onopen = () => resolve("opened");
        socket.onclose = () => resolve("refused");
      });
    assert.equal(await page.evaluate(open, SOCKET), "refused");
    assert.equal(await user.page.evaluate(open, SOCKET), "opened", "the page itself can");
  } finally {
    other.close();
  }
}));

test("a socket is only for the page's own origin and a host of this machine", async () => {
  const { host } = new URL(PAGE);
  assert.equal(await handshake({ Host: host, Origin: PAGE }), 101, "the page's own");
  assert.equal(await handshake({ Host: host, Origin: "http://evil.example" }), 403);
  assert.equal(await handshake({ Host: host, Origin: "null" }), 403);
  assert.equal(await handshake({ Host: host }), 403);
  const rebound = await handshake({ Host: "evil.example", Origin: "http://evil.example" });
  assert.ok(rebound && rebound >= 400 && rebound < 500, `a name that points to this machine: ${rebound}`);
});

test("an inline script and markup are blocked", visit(async (user) => {
  // Chromium does not know from where a page comes that the test has changed, so that page may not open the socket.
  const injected = '<script>window.ran = true</script><p onclick="window.ran = true" id="injected">Click</p></body>';
  await user.page.route(`${PAGE}/`, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace("</body>", injected) });
  });
  await user.page.reload();
  await user.page.locator("#injected").dispatchEvent("click");
  assert.equal(await user.page.evaluate(() => "ran" in window), false);
  const markup = () => user.page.evaluate(() => (document.body.innerHTML += "<b>bold</b>"));
  await assert.rejects(markup, /TrustedHTML/);
  for (const directive of ["script-src-elem", "script-src-attr", "require-trusted-types-for"])
    await until(directive, () => user.watched.violations.some((one) => one.startsWith(directive)));
  user.watched.violations = [];
  user.watched.errors = user.watched.errors.filter((error) => !/Content Security Policy|TrustedHTML|LOCAL_NETWORK/.test(error));
}));

test("the page cannot reach another host", visit(async (user) => {
  const fetched = await user.page.evaluate(() => fetch("https://example.com/").then(String, String));
  assert.match(fetched, /TypeError/);
  await until("a violation", () => user.watched.violations.some((one) => one.startsWith("connect-src")));
  user.watched.violations = [];
  user.watched.errors = user.watched.errors.filter((error) => !/Content Security Policy/.test(error));
}));

test("nothing typed is in the bridge's log", visit(async (user) => {
  await user.types("Canary 4711 ");
  await user.asks();
  assert.ok(!(await record()).log.includes("4711"));
}));
