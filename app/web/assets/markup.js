// Renders HTML from the server (app/web/markup.py), follows links in it without reloading the page, and
// names the browser's tab.
"use strict";
(() => {
  const drawn = new WeakMap();

  const draw = (part) => {
    const markup = part.dataset.markup;
    if (drawn.get(part) === markup) return;
    drawn.set(part, markup);
    const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    part.innerHTML = markup;
    if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  };

  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.attributeName === "data-title") document.title = change.target.dataset.title;
      else if (change.type === "attributes") draw(change.target);
      for (const added of change.addedNodes) {
        if (added.nodeType !== Node.ELEMENT_NODE) continue;
        if (added.matches("[data-markup]")) draw(added);
        added.querySelectorAll("[data-markup]").forEach(draw);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-markup", "data-title"] });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-markup] a[href^='/']:not([download])");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const elsewhere = link.pathname !== location.pathname;
    history.pushState({}, "", link.href);
    dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    if (elsewhere) scrollTo(0, 0);
  });
})();
