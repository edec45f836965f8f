/** A person in front of a page: types with real keys, sends, and sees that the server had what the box shows. */
import assert from "node:assert/strict";
import { expectedAnswer, record } from "./panel.js";
import { until } from "./until.js";

/** @typedef {import("playwright-core").Locator} Locator */

export class User {
  /** @type {{role: string, content: string}[]} The conversation as this person has seen it. */
  messages = [];
  /** @type {number | undefined} The first stream of somebody who came later. */
  streamsEnd;

  /**
   * @param {import("playwright-core").Page} page
   * @param {import("./chromium.js").Watched} watched
   * @param {Locator} box
   * @param {number} streamsBefore how many streams the server had before this person came
   */
  constructor(page, watched, box, streamsBefore) {
    this.page = page;
    this.watched = watched;
    this.box = box;
    this.conversation = page.locator("#messages, #answers");
    this.streamsBefore = streamsBefore;
  }

  /** What the box shows. In a contenteditable, Chromium adds a last line break, and some spaces do not break. */
  async text() {
    return this.box.evaluate((box) =>
      box instanceof HTMLTextAreaElement ? box.value : box.innerText.replace(/\n$/, "").replaceAll("\u00a0", " "),
    );
  }

  /** @param {string} text */
  async types(text) {
    await this.box.focus();
    await this.page.keyboard.type(text);
  }

  /** @param {string[]} keys */
  async presses(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  async cdp() {
    return (this.devtools ??= await this.page.context().newCDPSession(this.page));
  }

  /**
   * Show a text that an input method is composing, in place of what it showed before.
   * @param {string} text
   */
  async composes(text) {
    const cdp = await this.cdp();
    await cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
  }

  /**
   * Put a text in at once, as the end of a composition, dictation and emoji pickers do.
   * @param {string} text
   */
  async inserts(text) {
    await (await this.cdp()).send("Input.insertText", { text });
  }

  /** @param {RegExp} name */
  async clicks(name) {
    await this.page.getByRole("button", { name }).last().click();
  }

  async streams() {
    const since = (await record()).streams.slice(this.streamsBefore, this.streamsEnd);
    return since.filter((stream) => !stream.measures);
  }

  async submits() {
    return (await this.streams()).flatMap((stream) => stream.submits);
  }

  /** Wait until the server has what the box shows, and return it. */
  async settled() {
    const text = await this.text();
    const seen = async () => (await this.streams()).map((stream) => stream.draft);
    await until(`the server has the draft ${JSON.stringify(text)}`, async () => (await seen()).at(-1) === text, seen);
    assert.equal(await this.text(), text, "nothing but this person changes the box");
    return text;
  }

  /** Press Enter once the server has the draft, and return what the server took for the question. */
  async sends(how = () => this.presses("Enter")) {
    const before = (await this.submits()).length;
    const text = await this.settled();
    await how();
    const submit = await until("a SUBMIT", async () => (await this.submits())[before]);
    assert.deepEqual(
      { brought: submit.text, server: submit.draft },
      { brought: text, server: text },
      "the server's own draft is what the box showed",
    );
    assert.equal(await this.text(), "", "the box is empty for the next question");
    return text;
  }

  /** Send, and see the whole answer to all that this person has seen. */
  async asks(how = () => this.presses("Enter")) {
    this.messages.push({ role: "user", content: await this.sends(how) });
    return this.isAnswered();
  }

  /** See the answer to the conversation, once, and return it. */
  async isAnswered() {
    const answer = await expectedAnswer(this.messages);
    await this.seesOnce(answer.trim());
    this.messages.push({ role: "assistant", content: answer });
    return answer;
  }

  /** Wait for the first text of the running answer. */
  async hearsSomething() {
    const { length } = this.heard();
    await until("the first text of an answer", () => this.heard().length > length);
  }

  /** See that the answer to the conversation still runs. */
  async hearsMoreToCome() {
    const whole = await expectedAnswer(this.messages);
    assert.ok(this.heard().length < whole.length, "the answer has not ended yet");
  }

  /** All that came of answers, since the page was opened. */
  heard() {
    return this.watched
      .received("delta")
      .map((delta) => delta.text ?? "")
      .join("");
  }

  /**
   * Wait until the conversation shows a text, in one place alone.
   * @param {string} text
   */
  async seesOnce(text) {
    const shown = () => this.conversation.innerText();
    await until(`the conversation shows ${JSON.stringify(text)}`, async () => (await shown()).includes(text), shown);
    assert.equal((await shown()).split(text).length - 1, 1, `shown once: ${text}`);
  }

  /** See that nobody had to mend a draft, and that the page did nothing that it should not. */
  async hasSeenNothingWrong() {
    assert.deepEqual((await this.streams()).flatMap((stream) => stream.refusals), [], "the server refused nothing");
    assert.deepEqual(this.watched.received("resync"), [], "the bridge never lost the draft");
    assert.deepEqual([...new Set(this.watched.errors)], [], "no errors on the console");
    assert.deepEqual(this.watched.violations, [], "the content security policy was not violated");
  }
}
