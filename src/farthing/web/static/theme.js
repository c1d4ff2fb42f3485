// Light or dark, as the system has it unless the reader chose; runs before anything is drawn.
"use strict";
(() => {
  const kept = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const use = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  use(kept());
  window.farthingTheme = {
    get dark() {
      const chosen = document.documentElement.dataset.theme;
      return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    },
    turn() {
      const theme = this.dark ? "light" : "dark";
      use(theme);
      try { localStorage.setItem("theme", theme); } catch { /* it lasts as long as the page */ }
      document.dispatchEvent(new Event("farthing:theme"));
    },
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new Event("farthing:theme")));
})();
