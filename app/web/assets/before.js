// Runs before anything is rendered: applies the chosen colour scheme, handles expired sessions, reports
// when the server does not answer, because the page still shows what it answered before, and lets
// Dash load plotly from an address with a fingerprint.
"use strict";
(() => {
  const chosen = localStorage.getItem("mantine-color-scheme-value") || "auto";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const scheme = chosen === "auto" ? (dark ? "dark" : "light") : chosen;
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);

  const plotly = document.currentScript.dataset.plotly;
  Object.defineProperty(window, "_dashPlotlyJSURL", { get: () => plotly, set: () => {} });

  const ask = window.fetch.bind(window);
  let last = new Date();
  const report = (reason) => {
    const notice = document.getElementById("stale");
    if (!notice) return;
    notice.hidden = !reason;
    const at = last.toLocaleTimeString([], { hourCycle: "h23" });
    notice.textContent = reason && `Not up to date: ${reason}. The numbers are as of ${at}.`;
  };

  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });
  const root = new URL(document.currentScript.src).pathname.replace(/\/web\/assets\/before\.js$/, "");
  window.fetch = async (...question) => {
    let answer;
    try {
      answer = await ask(...question);
    } catch (error) {
      if (!leaving && error.name !== "AbortError") report("the server can't be reached");
      throw error;
    }
    if (answer.status >= 429) report(`the server answered with ${answer.status} ${answer.statusText}`.trim());
    else if (answer.ok) {
      last = new Date();
      report("");
    }
    if (answer.status === 401) {
      const here = location.pathname.slice(root.length) + location.search;
      location.assign(root + "/login?next=" + encodeURIComponent(here));
      // The browser leaves the page. Given the response, Dash would read its body twice and fail.
      return new Promise(() => {});
    }
    return answer;
  };
})();
