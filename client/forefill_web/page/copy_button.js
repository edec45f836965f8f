// A button that copies a text and says so for a moment.

const SAID_MS = 2000;

/**
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} words its label
 * @param {() => string} text
 */
export function bindCopy(button, words, text) {
  let timer = 0;
  const say = (/** @type {string} */ what) => {
    words.textContent = what;
    clearTimeout(timer);
    timer = setTimeout(() => (words.textContent = "Copy"), SAID_MS);
  };
  words.setAttribute("aria-live", "polite");
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(text()).then(
      () => say("Copied"),
      () => say("Select and copy it by hand"),
    );
  });
}
