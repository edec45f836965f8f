/** @import { Opened } from "./messages.js" */

/**
 * The numbers of turns. Ours is given when an answer is asked for. The bridge's is given when it is told of that, and
 * its numbers begin again if it has lost the conversation.
 */
export class TurnNumbers {
  #lastTurn = 0;
  #lastNumber = 0;
  /** @type {Map<number, number>} The bridge's numbers by turn. */
  #numbers = new Map();

  /** Begin a turn of which the bridge does not know yet. */
  begin() {
    return ++this.#lastTurn;
  }

  /**
   * Give a turn the bridge's next number, since it is told of it now.
   * @param {number} turn
   */
  give(turn) {
    this.#numbers.set(turn, ++this.#lastNumber);
    return this.#lastNumber;
  }

  /**
   * Take back the number of a turn of which the bridge has not heard.
   * @param {number} turn
   */
  takeBack(turn) {
    this.#numbers.delete(turn);
  }

  /**
   * Return the bridge's number of a turn; undefined if it does not know that.
   * @param {number} turn
   */
  numberOf(turn) {
    return this.#numbers.get(turn);
  }

  /**
   * Return the turn to which the bridge gives this number.
   * @param {number} number
   */
  turnOf(number) {
    return this.#known(number) ?? number;
  }

  /**
   * Go on after the bridge's last number.
   * @param {Opened} opened
   */
  match(opened) {
    const isNew = this.#lastTurn === 0;
    this.#lastTurn = Math.max(this.#lastTurn, opened.turn);
    this.#lastNumber = opened.turn;
    if (!opened.resumed) this.#numbers.clear();
    if (isNew) for (let turn = 1; turn <= opened.turn; turn++) this.#numbers.set(turn, turn);
  }

  /**
   * Return the turn to which the bridge gives this number, or begin one if it was not asked for here.
   * @param {number} number
   */
  adopt(number) {
    const turn = this.#known(number) ?? this.begin();
    this.#numbers.set(turn, number);
    return turn;
  }

  /** @param {number} number */
  #known(number) {
    for (const [turn, theirs] of this.#numbers) if (theirs === number) return turn;
    return undefined;
  }
}
