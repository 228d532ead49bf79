"use strict";
(() => {
  const root = document.documentElement;
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const charts = [];

  // Theme: auto, light, dark in turn; kept for the next report where the browser allows it.
  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const remember = (theme) => { try { localStorage.setItem("darwin-theme", theme); } catch { /* private mode */ } };
  const recall = () => { try { return localStorage.getItem("darwin-theme"); } catch { return null; } };
  function wear(theme) {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = "Theme: " + theme;
    button.dataset.now = theme;
    charts.forEach((chart) => chart.redraw());
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.now) + 1) % themes.length];
    remember(next);
    wear(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wear(button.dataset.now));

  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const faded = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const minus = (text) => text.replace("-", "\u2212");
  const looks = {
    run: { stroke: "accent", width: 2 },
    buy_and_hold: { stroke: "quiet", width: 1.25 },
    ma_crossover: { stroke: "faint", width: 1.25, dash: [6, 3] },
    random_matched: { stroke: "faint", width: 1.25, dash: [2, 3] },
    seed: { stroke: "accent", width: 1.75 },
    without_agents: { stroke: "accent", width: 1.5, dash: [5, 3] },
    gate: { stroke: "quiet", width: 1.25 },
    meta_learner: { stroke: "faint", width: 1.25, dash: [6, 3] },
    portfolio: { stroke: "faint", width: 1.25, dash: [2, 3] },
    learner: { stroke: "quiet", width: 1.5, dash: [6, 3] },
    zero: { stroke: "faint", width: 1.25, dash: [2, 3] },
  };
  const lookOf = (one) => looks[one.look || one.name];
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

  function options(plot, width, scale) {
    const percent = plot.unit === "%", steps = plot.across === "steps";
    const say = (v) => (v == null ? "n/a" : percent ? minus(v.toFixed(1)) + " %"
      : plot.unit === "tens" ? minus(compact.format(10 ** v))
      : plot.unit === "USD" ? (v > 0 ? "+" : "") + minus(v.toFixed(2)) + " USD"
      : plot.unit === "R" ? (v > 0 ? "+" : "") + minus(v.toFixed(4)) + " R" : minus(plain.format(v)));
    const axis = { stroke: () => colour("muted"), font: "12px " + getComputedStyle(document.body).fontFamily,
      grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false } };
    const lines = plot.series.map((one) => ({
      points: { show: false }, spanGaps: true,
      width: lookOf(one).width, dash: lookOf(one).dash, stroke: () => colour(lookOf(one).stroke),
      fill: percent && one.name === "run" ? () => faded(colour("accent"), 0.16) : undefined,
    })).reverse();
    const edges = (plot.band || []).map(() => ({ width: 0, points: { show: false }, stroke: "transparent" }));
    return {
      width, height: Math.max(240, Math.min(400, Math.round(width * (percent ? 0.3 : 0.42)))), tzDate: utc,
      padding: [10, 8, 0, 0], cursor: { points: { size: 6 }, drag: { x: true, y: false } },
      scales: { x: { time: !steps }, y: scale === "log" ? { distr: 3, range: (_, low, high) => [low * 0.96, high * 1.04] } : {} },
      axes: [{ ...axis, space: 70, ...(steps && { values: (_, ticks) => ticks.map((v) => compact.format(v)) }) }, { ...axis, size: width < 480 ? 48 : 60,
        ...(scale === "log" && { splits: (u) => logTicks(u.scales.y.min, u.scales.y.max), filter: (_, ticks) => ticks }),
        values: (_, ticks) => ticks.map((v) => (v == null ? "" : minus(compact.format(v)) + (percent ? " %" : ""))) }],
      series: [{}, ...edges, ...lines],
      bands: edges.length ? [{ series: [2, 1], fill: () => faded(colour("faint"), 0.16) }] : [],
      legend: { show: false },
      hooks: { setCursor: [(chart) => read(chart, plot, say)] },
    };
  }
  // What stands under the cursor, in one line below the plot.
  function read(chart, plot, say) {
    const at = chart.cursor.idx, line = chart.root.closest("figure").querySelector(".readout");
    if (at == null) { line.textContent = ""; return; }
    const when = plot.across === "steps" ? plain.format(plot.x[at]) + " steps"
      : new Date(plot.x[at] * 1000).toISOString().slice(0, 16).replace("T", " ");
    const parts = plot.series.map((one) => one.label + " " + say(one.values[at]));
    if (plot.band && plot.band.length) parts.push("draws " + say(plot.band[0][at]) + " to " + say(plot.band[1][at]));
    line.textContent = [when, ...parts].join("  \u00b7  ");
  }
  // On a log axis 1, 2 and 5 times the powers of ten are named; only the powers where they crowd.
  function logTicks(low, high) {
    const ticks = (leads) => {
      const some = [];
      for (let ten = Math.floor(Math.log10(low)); ten <= Math.log10(high); ten++) {
        for (const lead of leads) {
          const tick = lead * 10 ** ten;
          if (tick >= low && tick <= high) some.push(tick);
        }
      }
      return some;
    };
    const usual = ticks([1, 2, 5]);
    return usual.length > 8 ? ticks([1]) : usual.length > 1 ? usual : ticks([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]);
  }

  function draw(figure) {
    const name = figure.dataset.plot, plot = plots[name], place = figure.querySelector(".live");
    if (plot.x.length < 2) return;
    let scale = plot.log === "log" ? "log" : "linear", chart = null;
    const lines = plot.series.map((one) => one.values).reverse(), edges = plot.band || [];
    // On a log scale a band that falls to zero and below leaves at the bottom.
    const floor = Math.min(...lines.flat()) / 2;
    const data = () => [plot.x, ...(scale === "log" ? edges.map((edge) => edge.map((v) => Math.max(v, floor))) : edges), ...lines];
    function build() {
      if (chart) { charts.splice(charts.indexOf(chart), 1); chart.destroy(); }
      chart = new uPlot(options(plot, place.clientWidth, scale), data(), place);
      charts.push(chart);
    }
    figure.classList.add("on");
    build();
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== width) { width = place.clientWidth; build(); }
    }).observe(place);
    const tools = figure.querySelector(".tools");
    if (!tools || plot.log === "only linear") return;
    tools.hidden = false;
    const press = () => tools.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.scale === scale)));
    tools.addEventListener("click", (event) => {
      if (!event.target.dataset.scale) return;
      scale = event.target.dataset.scale;
      press();
      build();
    });
    press();
  }

  // Tables: a header is a button that sorts by its column, first the way that shows most.
  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const valueOf = (row, i) => row.cells[i].dataset.v === undefined ? row.cells[i].textContent : Number(row.cells[i].dataset.v);
    heads.forEach((head, i) => {
      const press = document.createElement("button");
      press.type = "button";
      press.textContent = head.textContent;
      head.replaceChildren(press);
      press.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : head.classList.contains("n");
        const rows = [...body.rows].map((row) => [valueOf(row, i), row]);
        rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.replaceChildren(...rows.map(([, row]) => row));
      });
    });
  }

  wear(themes.includes(recall()) ? recall() : "auto");
  document.querySelectorAll("[data-plot]").forEach(draw);
  document.querySelectorAll("table.sortable").forEach(sortable);
})();
