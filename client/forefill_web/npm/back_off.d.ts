/** The waits between tries: each about twice as long as the last, and spread, so that browsers do not come all at once. */
export class BackOff {
    /**
     * Return how long to wait before the next try.
     * @param {number} [atLeastMs]
     */
    next(atLeastMs?: number): number;
    reset(): void;
    #private;
}
