/**
 * Keeps the token of a conversation over a reload of the page, in sessionStorage: it belongs to this tab, and goes with it.
 *
 * Without a key, or if the browser refuses its storage, it is kept as long as the page.
 */
export class TokenStore {
    /** @param {string | undefined} key */
    constructor(key: string | undefined);
    set token(token: string | null);
    get token(): string | null;
    #private;
}
