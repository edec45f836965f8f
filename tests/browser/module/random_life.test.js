// Whole conversations at random: typing, submitting, stopping, asking again, while connections break at any time and
// what is on its way is lost. In the end the bridge has what the box and the conversation have, and nothing came twice.

import assert from "node:assert/strict";
import { test } from "node:test";

import { edited, Random } from "./random.js";
import { conversationWith, ModelBridge, opened, settled } from "./world.js";

const STEPS = 120;

class Life {
  constructor(t, random, forgets) {
    this.t = t;
    this.random = random;
    this.bridge = new ModelBridge();
    this.conversation = conversationWith(t, this.bridge);
    this.answers = [];
    this.asked = [];
    this.words = 0;
    this.forgets = forgets;
  }

  type() {
    this.conversation.setDraft(edited(this.random, this.conversation.draft));
  }

  submit() {
    const question = `${this.asked.length}: ${this.conversation.draft}`.toWellFormed();
    this.conversation.setDraft(question);
    this.#follow(this.conversation.submit(), question);
  }

  regenerate() {
    if (this.conversation.messages.length > 0) this.#follow(this.conversation.regenerate(), null);
  }

  #follow(answer, question) {
    if (answer === null) return;
    if (question !== null) this.asked.push(question);
    this.answers.push(answer);
    (async () => {
      answer.heard = "";
      for await (const { text } of answer) answer.heard += text;
    })().catch(() => {}); // asserted by answer.error
  }

  generate() {
    if (this.bridge.answer) this.bridge.delta(`w${this.words++} `);
  }

  finish() {
    if (this.bridge.answer) this.bridge.finish();
  }

  stop() {
    void this.conversation.running?.cancel({ keepText: this.random.below(2) === 0 });
  }

  rewrite() {
    const { messages } = this.conversation;
    this.conversation.rewrite(this.random.below(messages.length / 2 + 1) * 2, [
      { role: "user", content: `rewritten ${this.words++}` },
      { role: "assistant", content: "so" },
    ]);
  }

  cut() {
    this.bridge.deaf = this.bridge.mute = false;
    this.bridge.socket?.cut();
  }

  /** From here on, one direction carries nothing until the connection is cut. */
  lose() {
    const { bridge } = this;
    if (bridge.socket === null || bridge.deaf || bridge.mute) return;
    bridge.deaf = this.random.below(2) === 0;
    bridge.mute = !bridge.deaf;
  }

  /** The bridge is started anew. */
  forget() {
    this.cut();
    this.bridge.forget();
  }

  wait() {
    this.t.mock.timers.tick(20_000);
  }

  async step() {
    const kinds = "type type type type submit generate generate generate finish regenerate stop rewrite cut lose wait";
    if (this.forgets && this.random.below(40) === 0) this.forget();
    else this[this.random.of(kinds.split(" "))]();
    if (this.random.below(2) === 0) await settled();
  }

  async toItsEnd() {
    this.cut();
    await settled();
    while (this.conversation.state !== "open") {
      this.wait();
      await settled();
    }
    for (let i = 0; this.conversation.running !== null; i++) {
      assert.ok(i < 10, "an answer hangs");
      this.generate();
      this.finish();
      await settled();
    }
  }
}

for (let seed = 0; seed < 120; seed++) {
  const forgets = seed % 2 === 1;
  test(`seed ${seed}${forgets ? ", with a bridge that forgets" : ""}`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
    const life = new Life(t, new Random(seed), forgets);
    const { bridge, conversation } = life;
    for (let i = 0; i < STEPS; i++) await life.step();
    await life.toItsEnd();
    assert.equal(bridge.draftText, conversation.draft);
    assert.deepEqual(conversation.messages, bridge.messages);
    if (!forgets) {
      const submitted = bridge.submitted.map(({ text }) => text);
      assert.equal(new Set(submitted).size, submitted.length, "asked once");
      assert.deepEqual(submitted.filter((text) => !life.asked.includes(text)), [], "asked as it was typed");
    }
    for (const answer of life.answers) {
      const words = answer.text.split(" ").filter(Boolean);
      assert.equal(new Set(words).size, words.length, "nothing twice");
      assert.equal(answer.heard, answer.text);
      if (answer.error === null) await answer.finished;
    }
  });
}

test("the draft at the bridge is the box's text whenever a connection carries a submit", async (t) => {
  const random = new Random(7);
  const { bridge, conversation } = await opened(t);
  for (let i = 0; i < 300; i++) {
    conversation.setDraft(edited(random, conversation.draft));
    if (random.below(10) > 0) continue;
    if (conversation.submit() !== null) bridge.finish();
  }
  assert.ok(bridge.submitted.length > 10);
  for (const { text, draft } of bridge.submitted) assert.equal(draft, text);
});
