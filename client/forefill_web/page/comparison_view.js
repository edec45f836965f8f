// The button that measures an answer's wait without forefill, and the bars that it brings.

import { comparisonBars, comparisonList, comparisonWords } from "./comparison.js";
import { fromTemplate } from "./template.js";
import { formatWait } from "./waits.js";

// The bars grow as slowly as people would have waited, but nobody waits longer than this for them.
const LONGEST_RACE_MS = 4000;

export class ComparisonView {
  #parts;
  #turn = 0;

  /**
   * @param {Record<string, any>} parts of the answer's template
   * @param {(turn: number) => void} onMeasure
   */
  constructor(parts, onMeasure) {
    this.#parts = parts;
    parts.measure.addEventListener("click", () => {
      // Not `disabled`: the button would lose the focus.
      if (parts.measure.ariaDisabled === "true") return;
      this.#say("Measuring…", true);
      onMeasure(this.#turn);
    });
  }

  /** @param {number} turn of the answer */
  offer(turn) {
    this.#turn = turn;
    this.#parts.measure.hidden = false;
  }

  /**
   * @param {{waited_ms?: number, static_ms?: number, cold_ms?: number, error?: string}} twin
   * @returns {string} what is shown, in words
   */
  show(twin) {
    this.#say("Measure again", false);
    const { bars, comparison, comparisonWords: words } = this.#parts;
    const all = twin.error ? [] : comparisonBars(twin);
    bars.hidden = all.length === 0;
    bars.replaceChildren(...all.map(barElement));
    words.textContent = all.length ? comparisonWords(all) : `It could not be measured: ${twin.error ?? "no answer came"}.`;
    comparison.hidden = false;
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) race(bars, all);
    return [comparisonList(all), words.textContent].join(" ").trim();
  }

  /**
   * @param {string} words
   * @param {boolean} busy
   */
  #say(words, busy) {
    this.#parts.measureWords.textContent = words;
    this.#parts.measure.ariaDisabled = String(busy);
  }
}

/** @param {import("./comparison.js").Bar} bar */
function barElement(bar) {
  const parts = fromTemplate("bar");
  parts.element.classList.add(`bar-${bar.kind}`);
  parts.name.textContent = bar.name;
  parts.ms.textContent = formatWait(bar.ms);
  parts.times.textContent = bar.times;
  parts.fill.style.width = `${bar.share * 100}%`;
  return parts.element;
}

/**
 * Let each bar grow for as long as its wait.
 *
 * @param {HTMLElement} list
 * @param {import("./comparison.js").Bar[]} bars
 */
function race(list, bars) {
  const longest = Math.max(...bars.map((bar) => bar.ms));
  const speed = Math.max(1, longest / LONGEST_RACE_MS);
  list.querySelectorAll(".fill").forEach((fill, index) => {
    const width = /** @type {HTMLElement} */ (fill).style.width;
    fill.animate([{ width: "0" }, { width }], { duration: bars[index].ms / speed, easing: "linear" });
  });
}
