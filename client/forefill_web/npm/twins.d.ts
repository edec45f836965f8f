/** @import { Twin } from "./messages.js" */
/** Measurements that were asked for and have not come. */
export class Twins {
    /** @param {(message: object) => void} send */
    constructor(send: (message: object) => void);
    /**
     * @param {number} turn
     * @param {number | undefined} number The bridge's number of it.
     * @returns {Promise<Twin>}
     */
    measure(turn: number, number: number | undefined): Promise<Twin>;
    /** @param {Twin} twin */
    hear(twin: Twin): Twin;
    /**
     * Ask again after a break.
     * @param {(turn: number) => number | undefined} numberOf
     */
    resume(numberOf: (turn: number) => number | undefined): void;
    /** @param {string} error */
    fail(error: string): void;
    #private;
}
import type { Twin } from "./messages.js";
