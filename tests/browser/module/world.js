// A bridge for tests of the module: it keeps SOCKET.md in memory, and sockets to it that a test can cut.
//
// It is a model: small enough to be right by reading, and it forgets nothing that was said to it.

import { Conversation } from "../../../client/forefill_web/npm/forefill.js";

export const OPENED = {
  type: "opened",
  model: "a-model",
  block_size: 16,
  base_prompt_tokens: 3,
  max_draft_code_points: 0,
  warming_inert_reason: "",
  accepts_hints: true,
  offers_twin: true,
};

/** The bridge's end of one WebSocket, and the browser's: the global WebSocket's interface, as far as the module uses it. */
export function socketsTo(bridge) {
  return class FakeWebSocket {
    bufferedAmount = 0;
    onopen = null;
    onmessage = null;
    onclose = null;
    #open = false;

    constructor(url, protocol) {
      Object.assign(this, { url, protocol });
      bridge.sockets.push(this);
      queueMicrotask(() => {
        if (!bridge.reachable) return this.cut();
        this.#open = true;
        this.onopen?.();
      });
    }

    send(text) {
      if (!this.#open) throw new Error("sent on a socket that is not open");
      if (bridge.deaf) return; // lost on the way
      bridge.hear(this, JSON.parse(text));
    }

    /** What the bridge says. */
    say(message) {
      if (this.#open && !bridge.mute) this.onmessage?.({ data: JSON.stringify(message) });
    }

    close(code = 1005) {
      this.closedWith = code;
      this.#end();
    }

    /** What happens to it. */
    cut(code = 1006, reason = "") {
      this.#end();
      this.onclose?.({ code, reason });
    }

    #end() {
      this.#open = false;
      if (bridge.socket === this) bridge.socket = null;
    }
  };
}

export class ModelBridge {
  sockets = [];
  socket = null;
  reachable = true;
  /** Whether what it is told, or says, is lost on the way. */
  deaf = false;
  mute = false;
  /** Everything that it was told, in order. */
  heard = [];
  /** What was submitted, and what the draft was by then. */
  submitted = [];
  opened = { ...OPENED };
  #tokens = 0;

  constructor() {
    this.forget();
  }

  /** Lose the conversation. */
  forget() {
    this.token = null;
    this.messages = [];
    this.draft = [];
    this.turn = 0;
    this.answer = null;
    this.ending = null;
    this.cancelled = null;
  }

  get draftText() {
    return this.draft.join("");
  }

  /** Messages of one type that it was told. */
  of(type) {
    return this.heard.filter((message) => message.type === type);
  }

  say(message) {
    this.socket?.say(message);
  }

  hear(socket, message) {
    this.heard.push(message);
    this[`_${message.type}`](message, socket);
  }

  _open({ token, messages, draft }, socket) {
    const resumed = token !== undefined && token === this.token;
    if (!resumed) {
      this.forget();
      this.token = `token ${++this.#tokens}`;
      this.messages = messages;
    }
    this.socket = socket;
    const { turn, answer } = this;
    const state = { token: this.token, resumed, turn, messages: this.messages, draft: this.draftText };
    this.draft = [...draft];
    this.say({ ...this.opened, ...state, ...(answer && { answer }) });
    if (this.ending) this.say(this.ending);
  }

  _edit({ start, end, text, length }) {
    const after = [...this.draft.slice(0, start), ...text, ...this.draft.slice(end)];
    if (after.length !== length || end > this.draft.length) return this.say({ type: "resync" });
    this.draft = after;
  }

  _draft({ text }) {
    this.draft = [...text];
  }

  _submit({ turn, text }) {
    if (turn <= this.turn) return;
    this.submitted.push({ text, draft: this.draftText });
    this.draft = [];
    this.#ask(turn, text);
  }

  _regenerate({ turn }) {
    if (turn <= this.turn) return;
    const [question] = this.messages.splice(-2);
    this.#ask(turn, question.content);
  }

  #ask(turn, text) {
    this.turn = turn;
    this.ending = null;
    this.answer = { turn, submitted_text: text, text: "", reasoning: "" };
  }

  _rewrite({ keep, messages }) {
    this.messages = [...this.messages.slice(0, keep), ...messages];
  }

  _cancel({ turn, keep_text }) {
    if (this.answer?.turn === turn) this.finish("cancelled", keep_text);
  }

  _hint() {}

  _twin() {}

  _end() {
    this.forget();
  }

  /** The engine: more of the answer comes. */
  delta(text) {
    const { answer } = this;
    if (!answer.started) {
      answer.started = { turn: answer.turn, source: "warm", cached_tokens: 1, prompt_tokens: 2, ttft_ms: 3 };
      this.say({ type: "started", ...answer.started });
    }
    answer.text += text;
    this.say({ type: "delta", turn: answer.turn, text });
  }

  finish(reason = "stop", keepText = true) {
    const { turn, submitted_text: content, text } = this.answer;
    if (reason !== "cancelled" || (keepText && text)) {
      this.messages = [...this.messages, { role: "user", content }, { role: "assistant", content: text }];
    }
    this.answer = null;
    this.ending = { type: "finished", turn, reason, report: { ttft_seconds: 0.003 }, ledger: ["Nothing was lost."] };
    this.say(this.ending);
  }

  fail(error) {
    const { turn } = this.answer;
    this.answer = null;
    this.ending = { type: "error", turn, retry_after_ms: 0, continues: true, ...error };
    this.say(this.ending);
  }
}

/** A conversation with a bridge; closed at the end of the test. */
export function conversationWith(t, bridge, { url = "ws://bridge.example/socket", ...options } = {}) {
  const conversation = new Conversation(url, { WebSocket: socketsTo(bridge), ...options });
  t.after(() => conversation.close());
  return conversation;
}

/** A conversation that is open, and its bridge. */
export async function opened(t, options, bridge = new ModelBridge()) {
  const conversation = conversationWith(t, bridge, options);
  conversation.connect();
  await settled();
  return { bridge, conversation };
}

/** Let everything happen that is due, and no time pass. */
export async function settled() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** Record the details of a conversation's events. */
export function eventsOf(conversation, ...types) {
  const seen = [];
  for (const type of types) conversation.addEventListener(type, ({ detail }) => seen.push(detail));
  return seen;
}

/** Read an answer to its end. */
export async function partsOf(answer) {
  const parts = [];
  for await (const { text } of answer) parts.push(text);
  return parts;
}

export async function textOf(answer) {
  return (await partsOf(answer)).join("");
}
