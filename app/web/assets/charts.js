// What a hand does with a chart (app/web/charts.py): a drag or a click becomes part of the URL, a
// legend hides lines, a button saves an image. Dash then loads the panels that the URL describes.
"use strict";
(() => {
  const DOUBLE_CLICK_MS = 350; // plotly waits 300 for the second click
  const SPAN = 5; // both edges of a bucket, twice, and words
  const IMAGE = { width: 1200, height: 480 };
  const WINDOW = ["range", "startTime", "endTime", "interval"];
  const SELECTED = ["after", "before", "bucket"];
  const hooked = new WeakSet();
  const hidden = new Set(); // names of lines
  let mode = "zoom";
  let click = 0;
  let doubled = -Infinity; // when the last double click was
  let held = null; // the chart that a drag began on

  const go = (changes) => {
    const members = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) value == null ? members.delete(name) : members.set(name, value);
    const search = members.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
    history.pushState({}, "", location.pathname + (search && `?${search}`));
    dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  };

  // The window before the first zoom, so that a double click can lead back to it.
  const key = () => `zoomed from ${new URLSearchParams(location.search).get("model")}`;
  const keep = () => {
    if (sessionStorage.getItem(key())) return;
    const members = new URLSearchParams(location.search);
    sessionStorage.setItem(key(), JSON.stringify(Object.fromEntries(WINDOW.map((name) => [name, members.get(name)]))));
  };
  const reset = () => {
    const window_ = JSON.parse(sessionStorage.getItem(key()) || "{}");
    sessionStorage.removeItem(key());
    go({ ...window_, ...Object.fromEntries(SELECTED.map((name) => [name, null])) });
  };

  // Positions on the axis are local times without a zone, here read as if they were UTC.
  const instant = (text) => Date.parse(`${String(text).replace(" ", "T")}Z`);
  const local = (text) => String(text).replace(" ", "T").slice(0, 19);

  // The whole buckets that a drag covers by half; the times themselves where there are no buckets.
  const snapped = (chart, [from, to]) => {
    const [low, high] = [instant(from), instant(to)].sort((a, b) => a - b);
    const rows = chart.data.find((line) => line.customdata?.[0]?.length === SPAN)?.customdata ?? [];
    const covered = rows.filter(([, , start, end]) => {
      const [first, last] = [instant(start), instant(end)];
      const shared = Math.min(high, last) - Math.max(low, first);
      return shared > 0 && (shared >= (last - first) / 2 || (low >= first && high <= last));
    });
    if (!covered.length) return [local(from), local(to)];
    return [covered[0][0], covered.at(-1)[1]];
  };

  const selected = (chart, range) => {
    const [start, end] = snapped(chart, range);
    if (start === end) return;
    const span = `${start}/${end}`;
    if (mode === "before") {
      press("after");
      go({ before: span });
    } else {
      go({ after: span, bucket: null });
    }
  };

  const zoomed = (chart, range) => {
    const [startTime, endTime] = snapped(chart, range);
    if (startTime === endTime) return;
    keep();
    go({ startTime, endTime, range: null });
  };

  const hook = (chart) => {
    if (!chart?.on || !chart._ev || hooked.has(chart._ev)) return;
    hooked.add(chart._ev);
    const figure = chart.closest("figure");
    if (!figure) return;
    const { picks, time } = figure.dataset;
    if (picks || time) {
      chart.on("plotly_relayout", (change) => {
        const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
        if (range[0] !== undefined) zoomed(chart, range);
      });
    }
    if (picks) {
      chart.on("plotly_selected", (area) => area?.range?.x && selected(chart, area.range.x));
      chart.on("plotly_click", ({ points, event }) => {
        clearTimeout(click);
        const span = points.find((point) => point.customdata?.length === SPAN)?.customdata;
        if (span && event.timeStamp > doubled) click = setTimeout(() => go({ after: `${span[0]}/${span[1]}`, bucket: null }), DOUBLE_CLICK_MS);
      });
    }
    chart.on("plotly_afterplot", () => adapt(chart));
    adapt(chart);
  };

  // What the server draws anew knows neither the mode nor which lines are hidden.
  const adapt = (chart) => {
    const figure = chart.closest("figure");
    if (!figure || !chart._fullLayout) return;
    for (const button of figure.querySelectorAll(".mode")) {
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
    }
    if (figure.dataset.picks) {
      const wanted = mode === "zoom" ? "zoom" : "select";
      if (chart._fullLayout.dragmode !== wanted) Plotly.relayout(chart, { dragmode: wanted, selections: [] });
    }
    for (const entry of figure.querySelectorAll(".key")) {
      const shown = !hidden.has(entry.textContent);
      entry.setAttribute("aria-pressed", shown);
      const lines = entry.dataset.lines.split(",").map(Number);
      const wrong = lines.filter((line) => chart.data[line] && (chart.data[line].visible !== "legendonly") !== shown);
      if (wrong.length) Plotly.restyle(chart, { visible: shown ? true : "legendonly" }, wrong);
    }
  };

  const press = (name) => {
    mode = name;
    for (const button of document.querySelectorAll(".mode")) button.setAttribute("aria-pressed", button.dataset.mode === mode);
    document.querySelectorAll("figure[data-picks] .js-plotly-plot").forEach(adapt);
  };

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const save = async (figure, chart) => {
    const title = figure.querySelector("figcaption").textContent;
    const ink = { color: colour("--ink"), family: "Inter, system-ui, sans-serif", size: 13 };
    const layout = {
      ...chart.layout,
      ...IMAGE,
      autosize: false,
      paper_bgcolor: colour("--panel"),
      plot_bgcolor: colour("--panel"),
      font: ink,
      title: { text: title.replaceAll("<", "&lt;"), font: { size: 15 }, x: 0.01, xanchor: "left", y: 0.97, yanchor: "top" },
      margin: { l: 64, r: 20, t: 96, b: 44 },
      showlegend: figure.querySelectorAll(".key").length > 0,
      legend: { orientation: "h", x: 0, y: 1.06, yanchor: "bottom" },
    };
    const shown = chart.data.filter((line) => line.visible !== "legendonly");
    const data = shown.map((line) => ({ ...line, showlegend: !["again", "band", "counts"].includes(line.meta) }));
    const link = document.createElement("a");
    link.href = await Plotly.toImage({ data, layout }, { format: "png", ...IMAGE, scale: 2 });
    link.download = `${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").slice(0, 80)}.png`;
    link.click();
  };

  // Charts appear whenever Dash draws them; the first touch of one is early enough.
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, ({ target }) => {
      const figure = target.closest?.("figure");
      const chart = figure?.querySelector(".js-plotly-plot");
      if (!chart) return;
      hook(chart);
      adapt(chart);
    });
  }

  // Plotly reports a double click in one of its modes only, and the clicks that it consists of too.
  document.addEventListener(
    "mousedown",
    ({ target, detail, timeStamp }) => {
      if (detail !== 2 || !target.closest?.(".nsewdrag")?.closest("figure[data-picks], figure[data-time]")) return;
      clearTimeout(click);
      doubled = timeStamp; // both clicks are older, however late plotly reports them
      reset();
    },
    { capture: true },
  );

  // A panel that is loaded during a drag replaces the chart. Plotly would move on in the old one and
  // fail, and its cover would stay over the page: a release of the button ends the drag.
  const abandon = () => {
    if (!held || held._fullLayout) return;
    held._dragging = false; // so that the release is no selection
    held = null;
    document.dispatchEvent(new MouseEvent("mouseup"));
  };
  for (const kind of ["mousemove", "touchmove", "pointerdown"]) document.addEventListener(kind, abandon, { capture: true });
  for (const kind of ["mousedown", "touchstart"]) {
    document.addEventListener(kind, ({ target }) => (held = target.closest?.("figure .js-plotly-plot")), { capture: true });
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("figure button");
    if (!button) return;
    const figure = button.closest("figure");
    const chart = figure.querySelector(".js-plotly-plot");
    hook(chart);
    if (button.dataset.mode) press(button.dataset.mode);
    if (button.matches(".png")) save(figure, chart);
    if (button.matches(".key")) {
      const name = button.textContent;
      hidden.delete(name) || hidden.add(name);
      document.querySelectorAll("figure .js-plotly-plot").forEach(adapt);
    }
  });
})();
