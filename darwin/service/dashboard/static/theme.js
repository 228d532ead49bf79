"use strict";
// Before the page is drawn: the theme that was chosen here, so that nothing flashes.
(() => {
  try {
    const theme = localStorage.getItem("darwin-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* private mode */ }
})();
