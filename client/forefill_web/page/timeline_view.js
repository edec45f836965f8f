// The timeline on the page: a drawing, its totals, what the pointer is at, and the same as a table.

import { byId, textElement } from "./template.js";
import { enterScale, wholeScale } from "./time_scale.js";
import { Palette, drawTimeline } from "./timeline_drawing.js";
import { formatCount, formatWait } from "./waits.js";

const TOTALS = /** @type {const} */ ([
  ["keys", "keys"],
  ["flushes", "flushes"],
  ["warmedTokens", "warmed tokens"],
  ["guesses", "answers begun"],
  ["tokens", "answer tokens"],
]);
const HIT_PIXELS = 14;
const DRAW_EVERY_MS = 400;

export class TimelineView {
  #canvas = byId("timeline-canvas");
  /** @type {() => import("./timeline.js").Timeline} */ #timeline;
  #totals = TOTALS.map(([key, name]) => /** @type {const} */ ([key, totalElement(name)]));
  #scale = wholeScale([]);
  // Kept, since to ask for them makes the browser lay out the page.
  #size = { width: 0, height: 0 };
  #palette = new Palette(this.#canvas);
  #timer = 0;

  /** @param {() => import("./timeline.js").Timeline} timeline the one to show */
  constructor(timeline) {
    this.#timeline = timeline;
    new ResizeObserver(([entry]) => {
      this.#size = entry.contentRect;
      this.change();
    }).observe(this.#canvas);
    for (const target of [document, matchMedia("(forced-colors: active)")]) {
      target.addEventListener(target === document ? "themechange" : "change", () => {
        this.#palette = new Palette(this.#canvas);
        this.change();
      });
    }
    byId("timeline-switch").addEventListener("change", () => this.change());
    byId("timeline-details").addEventListener("toggle", () => this.#showRows());
    this.#canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", () => this.#read(null));
  }

  /** Draw soon: a key must not pay for the drawing of all before it. */
  change() {
    this.#timer ||= setTimeout(() => {
      requestAnimationFrame(() => {
        this.#timer = 0;
        this.#show();
      });
    }, DRAW_EVERY_MS);
  }

  #show() {
    const timeline = this.#timeline();
    byId("timeline").classList.toggle("empty", timeline.isEmpty);
    byId("timeline-switch").hidden = timeline.enter === null;
    const around = timeline.enter !== null && byId("timeline-switch").querySelector(":checked").value === "enter";
    this.#scale = around ? enterScale(timeline.enter ?? 0, timeline.parts[0] ?? null) : wholeScale(timeline.times);
    drawTimeline(this.#canvas, this.#size, this.#palette, timeline, this.#scale);
    this.#showTotals(timeline);
    this.#read(null);
    // While a turn runs, its table would change under the reader with each key.
    if (timeline.enter === null || timeline.end !== null) this.#showRows();
  }

  /** @param {import("./timeline.js").Timeline} timeline */
  #showTotals(timeline) {
    const summary = timeline.summary();
    if (this.#canvas.getAttribute("aria-label") !== summary) this.#canvas.setAttribute("aria-label", summary);
    const totals = timeline.totals();
    byId("timeline-totals").hidden = timeline.isEmpty;
    for (const [key, element] of this.#totals) setText(element, formatCount(totals[key]));
  }

  #showRows() {
    if (!byId("timeline-details").open) return;
    const rows = this.#timeline().rows().map(({ at, what, detail }) => {
      const row = document.createElement("tr");
      row.append(textElement("td", formatTime(at)), textElement("td", what), textElement("td", detail));
      return row;
    });
    byId("timeline-rows").replaceChildren(...rows);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    const timeline = this.#timeline();
    const start = timeline.times[0] ?? 0;
    const x = event.clientX - box.left;
    const distance = (/** @type {{at: number}} */ row) => Math.abs(this.#scale.position(row.at + start) * box.width - x);
    const near = timeline.events().filter((row) => distance(row) < HIT_PIXELS);
    near.sort((one, other) => distance(one) - distance(other));
    this.#read(near[0] ?? null);
  }

  /** @param {import("./timeline.js").Row | null} row that the pointer is at */
  #read(row) {
    const timeline = this.#timeline();
    const words = timeline.isEmpty ? "What the server does while you type appears here." : timeline.waitWords();
    const event = row ? [formatTime(row.at), row.what, row.detail].filter(Boolean).join(" · ") : words;
    setText(byId("timeline-readout"), event);
  }
}

/** @param {string} name */
function totalElement(name) {
  const group = document.createElement("div");
  const value = textElement("dd", "0");
  group.append(textElement("dt", name), value);
  byId("timeline-totals").append(group);
  return value;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {number} ms */
function formatTime(ms) {
  if (ms === 0) return "0 ms";
  return ms < 1000 ? formatWait(ms) : `${(ms / 1000).toFixed(2)} s`;
}
