// One answer: its text as it comes, its wait, and what is known of how it came about.

import { ComparisonView } from "./comparison_view.js";
import { bindCopy } from "./copy_button.js";
import { RichText } from "./rich_text.js";
import { fromTemplate, textElement } from "./template.js";
import { waitParts, waitReason } from "./waits.js";

const REMARKS = /** @type {Record<string, string>} */ ({
  length: "Cut off: it reached the longest answer that is allowed here.",
  cancelled: "Stopped.",
});

export class AnswerView {
  role = /** @type {const} */ ("assistant");
  content = "";
  #parts = fromTemplate("answer");
  #text = new RichText(this.#parts.text);
  #reasoning = new RichText(this.#parts.reasoningText);

  /**
   * @param {{onRegenerate: () => void, onMeasure: (turn: number) => void}} actions
   */
  constructor(actions) {
    this.element = this.#parts.element;
    this.#parts.again.addEventListener("click", actions.onRegenerate);
    bindCopy(this.#parts.copy, this.#parts.copyWords, () => this.content);
    this.comparison = new ComparisonView(this.#parts, actions.onMeasure);
  }

  /**
   * Show an answer that ended before this page came.
   *
   * @param {string} content
   */
  showWhole(content) {
    this.append(content, "");
    this.#text.end();
  }

  /**
   * @param {string} text
   * @param {string} reasoning
   */
  append(text, reasoning) {
    this.#parts.waiting.hidden = true;
    if (reasoning) {
      this.#parts.reasoning.hidden = false;
      this.#reasoning.append(reasoning);
    }
    if (!text) return;
    this.content += text;
    this.#text.append(text);
  }

  /** @param {{ttft_ms: number, source: string, cached_tokens: number, prompt_tokens: number}} started */
  showWait(started) {
    const { wait, value, unit, reason } = this.#parts;
    const { value: number, unit: symbol } = waitParts(started.ttft_ms);
    value.textContent = number;
    unit.textContent = symbol;
    reason.textContent = waitReason(started);
    wait.classList.toggle("begun-before", started.source.startsWith("pre"));
    wait.hidden = false;
  }

  /** @param {{reason: string, ledger: string[]}} finished */
  showEnd(finished) {
    this.#close();
    if (REMARKS[finished.reason]) this.showRemark(REMARKS[finished.reason]);
    this.#parts.ledgerRows.replaceChildren(...finished.ledger.map((sentence) => textElement("li", sentence)));
    this.#parts.ledger.hidden = finished.ledger.length === 0;
  }

  /** @param {string} words */
  showFailure(words) {
    this.#close();
    this.showRemark(words);
  }

  /** @param {string} words */
  showRemark(words) {
    this.#parts.remark.textContent = words;
    this.#parts.remark.hidden = false;
  }

  #close() {
    this.#parts.waiting.hidden = true;
    this.#text.end();
    this.#reasoning.end();
  }
}
