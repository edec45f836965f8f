// Light or dark: as the system has it, until somebody presses the button. The choice is kept if it differs from the
// system's.

import { byId } from "./template.js";

const KEY = "forefill-theme";
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

/** Bind the button. */
export function bindTheme() {
  byId("theme").addEventListener("click", () => {
    const wanted = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    keep(wanted === systemTheme() ? null : wanted);
    show(wanted);
  });
  systemIsDark.addEventListener("change", () => show(kept() ?? systemTheme()));
  show(kept() ?? systemTheme());
}

const systemTheme = () => (systemIsDark.matches ? "dark" : "light");

/** @param {string} theme */
function show(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme-words").textContent = theme === "dark" ? "Light theme" : "Dark theme";
  document.dispatchEvent(new Event("themechange"));
}

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {string | null} theme */
function keep(theme) {
  try {
    if (theme) localStorage.setItem(KEY, theme);
    else localStorage.removeItem(KEY);
  } catch {
    // The browser keeps nothing for this page.
  }
}
