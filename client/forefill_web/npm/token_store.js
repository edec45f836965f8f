/**
 * Keeps the token of a conversation over a reload of the page, in sessionStorage: it belongs to this tab, and goes with it.
 *
 * Without a key, or if the browser refuses its storage, it is kept as long as the page.
 */
export class TokenStore {
  #key;
  /** @type {string | null} */
  #token = null;

  /** @param {string | undefined} key */
  constructor(key) {
    this.#key = key;
    this.#stored((storage, name) => (this.#token = storage.getItem(name)));
  }

  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
    this.#stored((storage, name) => (token === null ? storage.removeItem(name) : storage.setItem(name, token)));
  }

  /** @param {(storage: Storage, name: string) => void} use */
  #stored(use) {
    if (this.#key === undefined) return;
    try {
      use(sessionStorage, this.#key);
    } catch {
      // Storage is off or full: a reload begins a new conversation.
    }
  }
}
