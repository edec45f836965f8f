// The drawing of a timeline: a lane for each kind of event. Colours and type come from the style sheet.

import { formatWait } from "./waits.js";

const LANE = 28;
const KEYS = 0;
const FLUSHES = 1;
const WARMS = 2;
const BEGUN = 3;
const ANSWER = 4;
const LANES = 5;
const AXIS = LANE * LANES;
const LABEL_GAP = 5;

const COLOURS = ["--ink", "--muted", "--line", "--confirmed", "--cached", "--begun", "--danger", "--on-strong"];

/** The style sheet's colours and type, as they are now. */
export class Palette {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const style = getComputedStyle(canvas);
    this.font = `11px ${style.fontFamily}`;
    this.colours = new Map(COLOURS.map((name) => [name, style.getPropertyValue(name)]));
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{width: number, height: number}} size
 * @param {Palette} palette
 * @param {import("./timeline.js").Timeline} timeline
 * @param {import("./time_scale.js").TimeScale} scale
 */
export function drawTimeline(canvas, size, palette, timeline, scale) {
  const pen = new Pen(canvas, size, palette, scale);
  pen.lanes();
  if (timeline.isEmpty) return;
  pen.axis();
  if (timeline.enter !== null) pen.enter(timeline.enter);
  for (const guess of timeline.guesses) pen.guess(guess, timeline.enter ?? timeline.times.at(-1) ?? guess.at);
  pen.ticks(timeline.keys, KEYS, "--ink");
  pen.ticks(timeline.parts, ANSWER, "--begun");
  for (const flush of timeline.flushes) pen.flush(flush);
}

class Pen {
  #context;
  #scale;
  #width;
  #palette;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{width: number, height: number}} size
   * @param {Palette} palette
   * @param {import("./time_scale.js").TimeScale} scale
   */
  constructor(canvas, { width, height }, palette, scale) {
    const ratio = devicePixelRatio || 1;
    fit(canvas, Math.round(width * ratio), Math.round(height * ratio));
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#context.clearRect(0, 0, width, height);
    this.#scale = scale;
    this.#width = width;
    this.#palette = palette;
    this.#context.font = palette.font;
    this.#context.textBaseline = "middle";
  }

  lanes() {
    this.#ink("--line");
    for (let lane = 1; lane <= LANES; lane++) this.#context.fillRect(0, lane * LANE - 0.5, this.#width, 1);
  }

  axis() {
    this.#ink("--muted");
    for (const { position, ms } of this.#scale.ticks) this.#label(axisWords(ms), position * this.#width, AXIS + 13);
    for (const { position, ms } of this.#scale.breaks) this.#break(position * this.#width, ms);
  }

  /**
   * @param {number[]} times
   * @param {number} lane
   * @param {string} colour
   */
  ticks(times, lane, colour) {
    this.#ink(colour);
    this.#context.beginPath();
    let last = -Infinity;
    for (const at of times) {
      const x = this.#x(at);
      // Ticks that would cover each other are drawn once.
      if (x - last < 1 || x < -2 || x > this.#width + 2) continue;
      this.#context.rect(x - 0.75, lane * LANE + 7, 1.5, LANE - 14);
      last = x;
    }
    this.#context.fill();
  }

  /** @param {import("./timeline.js").Flush} flush */
  flush({ at, computedTokens, outcome }) {
    const x = this.#x(at);
    this.#ink(outcome === "shed" ? "--danger" : "--confirmed");
    this.#context.beginPath();
    this.#context.arc(x, FLUSHES * LANE + LANE / 2, 3, 0, 2 * Math.PI);
    if (outcome === "warmed") this.#context.fill();
    else this.#context.stroke();
    if (computedTokens) this.#warm(x, computedTokens);
  }

  /**
   * @param {import("./timeline.js").Guess} guess
   * @param {number} now until when a guess without an end is drawn
   */
  guess({ at, end, outcome }, now) {
    const left = this.#x(at);
    const width = Math.max(4, this.#x(end ?? now) - left);
    this.#ink("--begun");
    const kept = outcome === undefined || outcome === "adopted";
    // A begun answer that came to nothing is an outline.
    this.#bar(left, BEGUN, width, LANE - 16, 3, !kept);
  }

  /** @param {number} at */
  enter(at) {
    const x = this.#x(at);
    this.#ink("--ink");
    this.#context.fillRect(x - 0.75, 0, 1.5, AXIS);
    const words = "Enter";
    const width = this.#context.measureText(words).width + 10;
    const left = Math.min(Math.max(0, x - width / 2), this.#width - width);
    this.#context.beginPath();
    this.#context.roundRect(left, 0, width, 16, 4);
    this.#context.fill();
    this.#ink("--on-strong");
    this.#context.fillText(words, left + 5, 8.5);
  }

  /**
   * @param {number} x
   * @param {number} tokens
   */
  #warm(x, tokens) {
    const height = Math.min(LANE - 8, 6 + Math.sqrt(tokens));
    this.#ink("--cached");
    this.#bar(x - 2.5, WARMS, 5, height, 1.5);
  }

  /**
   * @param {number} x
   * @param {number} ms
   */
  #break(x, ms) {
    this.#context.setLineDash([2, 3]);
    this.#context.beginPath();
    this.#context.moveTo(x, 0);
    this.#context.lineTo(x, AXIS);
    this.#context.stroke();
    this.#context.setLineDash([]);
    this.#label(`${formatWait(ms)} pause`, x, AXIS + 13);
  }

  /**
   * @param {string} words
   * @param {number} x
   * @param {number} y
   */
  #label(words, x, y) {
    const width = this.#context.measureText(words).width;
    const left = Math.min(Math.max(0, x - width / 2), this.#width - width);
    if (left - this.#labelEnd < LABEL_GAP) return;
    this.#labelEnd = left + width;
    this.#context.fillText(words, left, y);
  }

  #labelEnd = -Infinity;

  /**
   * @param {number} x
   * @param {number} lane
   * @param {number} width
   * @param {number} height
   * @param {number} radius
   * @param {boolean} [outline]
   */
  #bar(x, lane, width, height, radius, outline = false) {
    this.#context.beginPath();
    this.#context.roundRect(x, lane * LANE + (LANE - height) / 2, width, height, radius);
    if (outline) this.#context.stroke();
    else this.#context.fill();
  }

  /** @param {number} at */
  #x(at) {
    return this.#scale.position(at) * this.#width;
  }

  /** @param {string} name */
  #ink(name) {
    this.#context.fillStyle = this.#context.strokeStyle = this.#palette.colours.get(name) ?? "";
  }
}

/**
 * Give the drawing its size; the same size again would cost as much as a new one.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
function fit(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** @param {number} ms */
function axisWords(ms) {
  if (ms === 0) return "0";
  const sign = ms < 0 ? "−" : "";
  return Math.abs(ms) < 1000 ? `${sign}${Math.abs(ms)} ms` : `${sign}${Math.abs(ms) / 1000} s`;
}
