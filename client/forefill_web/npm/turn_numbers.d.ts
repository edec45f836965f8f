/** @import { Opened } from "./messages.js" */
/**
 * The numbers of turns. Ours is given when an answer is asked for. The bridge's is given when it is told of that, and
 * its numbers begin again if it has lost the conversation.
 */
export class TurnNumbers {
    /** Begin a turn of which the bridge does not know yet. */
    begin(): number;
    /**
     * Give a turn the bridge's next number, since it is told of it now.
     * @param {number} turn
     */
    give(turn: number): number;
    /**
     * Take back the number of a turn of which the bridge has not heard.
     * @param {number} turn
     */
    takeBack(turn: number): void;
    /**
     * Return the bridge's number of a turn; undefined if it does not know that.
     * @param {number} turn
     */
    numberOf(turn: number): number | undefined;
    /**
     * Return the turn to which the bridge gives this number.
     * @param {number} number
     */
    turnOf(number: number): number;
    /**
     * Go on after the bridge's last number.
     * @param {Opened} opened
     */
    match(opened: Opened): void;
    /**
     * Return the turn to which the bridge gives this number, or begin one if it was not asked for here.
     * @param {number} number
     */
    adopt(number: number): number;
    #private;
}
import type { Opened } from "./messages.js";
