// Decides when a panel is loaded (app/web/page.py): those near the screen at once, so that the first
// chart need not wait for a dozen others; then, a few at a time, those below, so that printing, searching
// in the page and moving by keyboard find all of them.
"use strict";
(() => {
  const MARGIN = 150; // pixels around the screen that count as near
  const AT_ONCE = 4; // panels below the screen
  const PAUSE_MS = 30; // between two looks whether the browser has time
  const IDLE_MS = 200; // after which a busy browser, or one in the background, goes on all the same
  const PATIENCE_MS = 5000; // a panel without an answer holds up the others no longer
  const PANEL = "main > section";
  const LOADING = "[role=status], [data-dash-is-loading=true], .dash-graph--pending";
  const waiting = new Set(); // sections that don't show what the URL describes
  const asked = new WeakMap(); // when a section was asked for
  let wanted = null; // the URL's query, null before Dash read it
  let timer = 0;

  const isNear = (section) => {
    const { top, bottom } = section.getBoundingClientRect();
    return top < innerHeight + MARGIN && bottom > -MARGIN;
  };

  const load = (section) => {
    waiting.delete(section);
    asked.set(section, performance.now());
    section.removeAttribute("aria-busy");
    dash_clientside.set_props(JSON.parse(section.firstElementChild.id), { "data-wanted": wanted });
  };

  const loadNear = () => {
    if (wanted === null) return;
    for (const section of [...waiting]) {
      if (!section.isConnected) waiting.delete(section);
    }
    // all of them are measured before the first one is changed
    for (const section of [...waiting].filter(isNear)) load(section);
    if (waiting.size && !timer) timer = setTimeout(look, PAUSE_MS);
  };

  const isLoading = (section) =>
    !waiting.has(section) && section.querySelector(LOADING) && performance.now() < asked.get(section) + PATIENCE_MS;

  // Loads the next panels once those near the screen are drawn.
  const look = () => {
    requestIdleCallback(() => {
      timer = 0;
      const sections = [...document.querySelectorAll(PANEL)];
      const loading = sections.filter(isLoading);
      const free = loading.some(isNear) ? 0 : AT_ONCE - loading.length;
      if (free > 0) sections.filter((section) => waiting.has(section)).slice(0, free).forEach(load);
      loadNear();
    }, { timeout: IDLE_MS });
  };

  const wait = (section) => {
    section.setAttribute("aria-busy", "true");
    waiting.add(section);
  };

  // Called by Dash when the URL changes, and whenever the timer ticks.
  const want = (search) => {
    wanted = search ?? "";
    document.querySelectorAll(PANEL).forEach(wait);
    loadNear();
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside, { panels: { want } });

  const near = new IntersectionObserver(loadNear, { rootMargin: `${MARGIN}px 0px` });
  new MutationObserver((changes) => {
    const sections = changes
      .flatMap(({ addedNodes }) => [...addedNodes])
      .filter((node) => node.nodeType === Node.ELEMENT_NODE)
      .flatMap((node) => (node.matches(PANEL) ? [node] : [...node.querySelectorAll(PANEL)]));
    for (const section of sections) {
      wait(section);
      near.observe(section);
    }
    if (sections.length) loadNear();
  }).observe(document, { subtree: true, childList: true });
})();
