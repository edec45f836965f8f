// What happened in one turn, and when: keystrokes, flushes, warms, guesses, Enter, tokens. Pure: times come from outside,
// in milliseconds of one clock.

import { formatCount, formatWait, tokenCount } from "./waits.js";

/**
 * @typedef {{at: number, computedTokens: number, outcome: string, shedReason: string}} Flush
 * @typedef {{at: number, end?: number, outcome?: string}} Guess
 * @typedef {{at: number, what: string, detail: string}} Row
 */

// Keystrokes that follow each other this closely are one row of the table.
const BURST_MS = 1000;

const FLUSH_WORDS = /** @type {Record<string, string>} */ ({
  warmed: "its blocks are cached",
  nothing_new: "no new block was complete",
  deferred: "left to a later flush",
  shed: "not warmed",
  inert: "warming has no effect here",
});
const SHED_WORDS = /** @type {Record<string, string>} */ ({
  load: "the engine is busy",
  payback: "too little of what was warmed was used",
  failed: "the engine refused",
  quota: "this minute’s tokens are used up",
});
const GUESS_WORDS = /** @type {Record<string, string>} */ ({
  adopted: "it became the answer",
  edited: "the draft changed",
  submitted_other: "something else was asked",
  revoked: "it made way for other work",
  failed: "the engine failed",
  unused: "it was not used",
});

export class Timeline {
  /** @type {number[]} */ keys = [];
  /** @type {Flush[]} */ flushes = [];
  /** @type {Guess[]} */ guesses = [];
  /** @type {number[]} */ parts = [];
  /** @type {number | null} */ enter = null;
  /** @type {number | null} */ end = null;
  completionTokens = 0;

  /** @param {number} at */
  addKey(at) {
    this.keys.push(at);
  }

  /**
   * @param {number} at
   * @param {{computed_tokens: number, outcome: string, shed_reason: string}} flush
   */
  addFlush(at, flush) {
    const { computed_tokens: computedTokens, outcome, shed_reason: shedReason } = flush;
    this.flushes.push({ at, computedTokens, outcome, shedReason });
  }

  /**
   * @param {number} at
   * @param {{begun: boolean, outcome?: string}} guess
   */
  addGuess(at, guess) {
    const running = this.guesses.at(-1);
    if (guess.begun) this.guesses.push({ at: Math.min(at, this.enter ?? at) });
    else if (running && running.end === undefined) this.#endGuess(running, at, guess.outcome);
  }

  /**
   * What became of a guess may come long after Enter, which decided it.
   *
   * @param {Guess} guess
   * @param {number} at
   * @param {string} [outcome]
   */
  #endGuess(guess, at, outcome) {
    guess.end = Math.min(at, this.enter ?? at);
    guess.outcome = outcome;
  }

  /** @param {number} at */
  addEnter(at) {
    this.enter = at;
  }

  /** @param {number} at */
  addPart(at) {
    this.parts.push(at);
  }

  /**
   * @param {number} at
   * @param {number} completionTokens
   */
  addEnd(at, completionTokens) {
    this.end = at;
    this.completionTokens = completionTokens;
    for (const guess of this.guesses) if (guess.end === undefined) this.#endGuess(guess, at);
  }

  get isEmpty() {
    const nothing = [this.keys, this.flushes, this.guesses, this.parts].every((list) => list.length === 0);
    return nothing && this.enter === null;
  }

  get warms() {
    return this.flushes.filter((flush) => flush.computedTokens > 0);
  }

  /** Every time, in order. */
  get times() {
    const guesses = this.guesses.flatMap(({ at, end }) => (end === undefined ? [at] : [at, end]));
    const marks = [this.enter, this.end].filter((at) => at !== null);
    const all = [...this.keys, ...this.flushes.map((flush) => flush.at), ...guesses, ...this.parts, ...marks];
    return all.sort((one, other) => one - other);
  }

  /** @returns {{keys: number, flushes: number, warmedTokens: number, guesses: number, tokens: number}} */
  totals() {
    return {
      keys: this.keys.length,
      flushes: this.flushes.length,
      warmedTokens: this.flushes.reduce((sum, flush) => sum + flush.computedTokens, 0),
      guesses: this.guesses.length,
      tokens: this.completionTokens,
    };
  }

  /** @returns {Row[]} every event in order, with times since the first */
  events() {
    const start = this.times[0] ?? 0;
    const rows = [...this.#keyRows(), ...this.#flushRows(), ...this.#guessRows(), ...this.#answerRows()];
    return rows.sort((one, other) => one.at - other.at).map((row) => ({ ...row, at: row.at - start }));
  }

  /** @returns {Row[]} the events as a table: flushes with the same outcome, one after the other, are one row */
  rows() {
    const rows = /** @type {(Row & {times: number})[]} */ ([]);
    for (const event of this.events()) {
      const last = rows.at(-1);
      if (last && event.what === "Flush" && last.what === "Flush" && last.detail === event.detail) last.times++;
      else rows.push({ ...event, times: 1 });
    }
    return rows.map(({ at, what, detail, times }) => ({ at, what: times > 1 ? `${times} flushes` : what, detail }));
  }

  /** @returns {string} one sentence */
  summary() {
    if (this.isEmpty) return "Nothing has happened in this turn.";
    const { keys, flushes, warmedTokens, guesses } = this.totals();
    const before = [count(keys, "keystroke"), count(flushes, "flush", "flushes"), `${tokenCount(warmedTokens)} warmed`];
    if (guesses) before.push(`${count(guesses, "answer")} begun before Enter`);
    return [`${before.join(", ")}.`, this.waitWords()].filter(Boolean).join(" ");
  }

  /** @returns {string} the wait by the page's own clock, in words; "" if there is none yet */
  waitWords() {
    const wait = this.#wait();
    return wait === null ? "" : `This page had the first token ${formatWait(wait)} after Enter.`;
  }

  #wait() {
    return this.enter === null || this.parts.length === 0 ? null : this.parts[0] - this.enter;
  }

  #keyRows() {
    const rows = /** @type {Row[]} */ ([]);
    let last = -Infinity;
    let inBurst = 0;
    for (const at of this.keys) {
      inBurst = at - last > BURST_MS ? 1 : inBurst + 1;
      if (inBurst === 1) rows.push({ at, what: "Typing", detail: "" });
      rows[rows.length - 1].detail = count(inBurst, "keystroke");
      last = at;
    }
    return rows;
  }

  #flushRows() {
    return this.flushes.map(({ at, computedTokens, outcome, shedReason }) => {
      const why = outcome === "shed" ? SHED_WORDS[shedReason] : undefined;
      const words = [FLUSH_WORDS[outcome] ?? outcome, why].filter(Boolean).join(": ");
      const rest = outcome === "warmed" ? words : `the rest: ${words}`;
      const detail = computedTokens ? `${tokenCount(computedTokens)} computed; ${rest}` : words;
      return { at, what: computedTokens ? "Warm" : "Flush", detail };
    });
  }

  #guessRows() {
    return this.guesses.flatMap(({ at, end, outcome }) => {
      const begun = { at, what: "Answer begun", detail: "before Enter" };
      if (end === undefined || outcome === undefined) return [begun];
      return [begun, { at: end, what: "Begun answer", detail: GUESS_WORDS[outcome] ?? outcome }];
    });
  }

  #answerRows() {
    const rows = /** @type {Row[]} */ ([]);
    const wait = this.#wait();
    if (this.enter !== null) rows.push({ at: this.enter, what: "Enter", detail: "" });
    if (wait !== null) rows.push({ at: this.parts[0], what: "First token", detail: `${formatWait(wait)} after Enter` });
    if (this.end !== null) rows.push({ at: this.end, what: "End", detail: tokenCount(this.completionTokens) });
    return rows;
  }
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
function count(number, one, many = `${one}s`) {
  return `${formatCount(number)} ${number === 1 ? one : many}`;
}
