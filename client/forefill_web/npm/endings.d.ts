/**
 * Return the error that a closing code of the bridge stands for.
 * @param {number} code
 * @param {string} detail
 * @returns {Failure}
 */
export function endingOf(code: number, detail: string): Failure;
/**
 * Return whether the bridge is done with this conversation, so that its token is of no more use.
 * @param {number} code
 */
export function forgetsToken(code: number): code is 1000 | 1008;
import type { Failure } from "./messages.js";
