// Sets the theme before the first paint; theme.js changes it later.
{
  let kept = null;
  try {
    kept = localStorage.getItem("forefill-theme");
  } catch {
    // The browser keeps nothing for this page: follow the system.
  }
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
