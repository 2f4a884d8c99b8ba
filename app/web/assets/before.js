// Runs before anything is rendered: applies the chosen colour scheme, and handles expired sessions.
"use strict";
(() => {
  const chosen = localStorage.getItem("mantine-color-scheme-value") || "auto";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const scheme = chosen === "auto" ? (dark ? "dark" : "light") : chosen;
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);

  const ask = window.fetch.bind(window);
  const root = new URL(document.currentScript.src).pathname.replace(/\/web\/assets\/before\.js$/, "");
  window.fetch = async (...question) => {
    const answer = await ask(...question);
    if (answer.status === 401) {
      const here = location.pathname.slice(root.length) + location.search;
      location.assign(root + "/login?next=" + encodeURIComponent(here));
      // The browser leaves the page. Given the response, Dash would read its body twice and fail.
      return new Promise(() => {});
    }
    return answer;
  };
})();
