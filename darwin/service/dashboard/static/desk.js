"use strict";
// Dialogs, keys, theme and plots. Without it every act has a page of its own, every plot its table.
(() => {
  const root = document.documentElement, charts = new Map();
  const byId = (id) => document.getElementById(id);

  // Theme: auto, light, dark in turn.
  const themes = ["auto", "light", "dark"], button = byId("theme");
  const recall = () => { try { return localStorage.getItem("darwin-theme") || "auto"; } catch { return "auto"; } };
  const remember = (theme) => { try { localStorage.setItem("darwin-theme", theme); } catch { /* private mode */ } };
  function wear(theme) {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = "Theme: " + theme;
    charts.forEach((chart) => chart.redraw());
  }
  function nextTheme() {
    const theme = themes[(themes.indexOf(recall()) + 1) % themes.length];
    remember(theme);
    wear(theme);
  }
  button.hidden = false;
  button.addEventListener("click", nextTheme);
  wear(recall());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.redraw()));

  // An act is asked for in a dialog that names what will happen.
  const ask = byId("ask"), body = byId("ask-body");
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("a[data-ask]");
    if (opener && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      openAsk(opener.getAttribute("href"));
    }
    if (event.target.closest("[data-close]") && ask.open && ask.contains(event.target)) {
      event.preventDefault();
      ask.close();
    }
  });
  function openAsk(href) {
    htmx.ajax("GET", href, { target: "#ask-body", swap: "innerHTML" }).then(() => {
      if (!ask.open) ask.showModal();
      const field = body.querySelector("[autofocus]");
      if (field) field.focus();
    });
  }
  // What is refused before any page is asked comes as JSON: it is shown in the form.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const answer = event.detail.xhr;
    if (!(answer.getResponseHeader("Content-Type") || "").includes("json")) return;
    event.detail.shouldSwap = false;
    let told;
    try { told = JSON.parse(answer.responseText); } catch { return; }
    refuse(event.target.closest("form") || body, told);
  });
  function refuse(form, told) {
    const box = document.createElement("div");
    box.className = "refused";
    box.setAttribute("role", "alert");
    for (const [word, text] of [["Refused: ", told.error], ["at: ", told.where], ["mend: ", told.mend]]) {
      if (!text) continue;
      const line = document.createElement("p");
      line.textContent = word + text;
      box.append(line);
    }
    form.querySelectorAll(".refused").forEach((one) => one.remove());
    form.prepend(box);
  }
  const login = byId("login");
  if (login) login.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { token, next } = login.elements;
    const answer = await fetch(login.action, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: token.value }),
    });
    if (answer.ok) location.assign(next.value);
    else refuse(login, await answer.json());
  });
  // One request per click: a second press while the first is on its way would ask twice.
  document.addEventListener("htmx:beforeRequest", (event) => event.target.matches("form") && busy(event.target, true));
  document.addEventListener("htmx:afterRequest", (event) => event.target.matches("form") && busy(event.target, false));
  const busy = (form, is) => form.querySelectorAll("button").forEach((one) => { one.disabled = is; });

  // Keys.
  const keys = byId("keys"), opener = byId("keys-open");
  opener.hidden = false;
  opener.addEventListener("click", () => keys.showModal());
  const pages = { o: "/", r: "/runs", c: "/candidates", t: "/training", s: "/schedule", d: "/dossiers", a: "/acts" };
  let wentG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const soon = Date.now() - wentG < 1500;
    wentG = 0;
    if (soon && pages[event.key]) location.assign(pages[event.key]);
    else if (event.key === "g") wentG = Date.now();
    else if (event.key === "?") keys.showModal();
    else if (event.key === "t") nextTheme();
    else if (event.key === "k") { const link = document.querySelector("#kill a[data-ask]"); if (link) openAsk(link.getAttribute("href")); }
    else if (event.key === "/") { const field = document.querySelector("main input:not([type=hidden]), main select"); if (field) { event.preventDefault(); field.focus(); } }
  });

  // On a phone the pages scroll sideways in their bar: the one that is shown is in sight.
  const current = document.querySelector(".bar nav [aria-current]");
  if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.offsetLeft - 60;

  // Tables wider than the page are scrolled by themselves, by keys too.
  document.querySelectorAll(".wide").forEach((one) => { if (one.scrollWidth > one.clientWidth) one.tabIndex = 0; });

  // The log of a job stays at its end.
  const atEnd = () => { const log = byId("log"); if (log) log.scrollTop = log.scrollHeight; };
  document.addEventListener("htmx:afterSwap", atEnd);
  atEnd();

  // Plots.
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
  const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 8 });
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
  function draw(figure) {
    const told = JSON.parse(figure.dataset.plot), place = figure.querySelector(".live");
    const ofE = figure.dataset.unit === "E";
    const lines = told.series || [{ label: "equity", values: told.values }];
    if (told.x.length < 2) return;
    const series = [], data = [told.x];
    lines.forEach((line, n) => {
      series.push({ label: line.label, width: 1.75, points: { show: told.x.length < 12 }, stroke: () => colour("s" + (n + 1)) });
      data.push(line.values);
      if (line.needed != null) {
        series.push({ label: "", width: 1, dash: [5, 4], points: { show: false }, stroke: () => colour("s" + (n + 1)) });
        data.push(told.x.map(() => line.needed));
      }
    });
    const say = (v) => (v == null ? "n/a" : ofE ? short.format(10 ** v) : plain.format(v));
    const font = "12px " + getComputedStyle(document.body).fontFamily;
    const axis = { stroke: () => colour("muted"), font, ticks: { show: false }, grid: { stroke: () => colour("line"), width: 1 } };
    const options = (width) => ({
      width, height: Number(figure.dataset.height), tzDate: utc, padding: [8, 8, 0, 0], legend: { show: false },
      cursor: { drag: { x: true, y: false } }, scales: { x: { time: true } },
      axes: [{ ...axis, space: 90, size: 30, values: (_, ticks) => ticks.map((v) => new Date(v * 1000).toISOString().slice(0, 10)) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((v) => (ofE ? (Number.isInteger(v) ? compact.format(10 ** v) : "") : compact.format(v))) }],
      series: [{}, ...series],
      hooks: { setCursor: [(chart) => {
        const at = chart.cursor.idx;
        figure.querySelector(".readout").textContent = at == null ? "" :
          [new Date(told.x[at] * 1000).toISOString().slice(0, 10), ...lines.map((line) => line.label + " " + say(line.values[at]))].join(" \u00b7 ");
      }] },
    });
    const legend = figure.querySelector(".legend");
    lines.forEach((line, n) => {
      const key = document.createElement("span");
      key.className = "key";
      const ns = "http://www.w3.org/2000/svg", mark = document.createElementNS(ns, "svg"), stroke = document.createElementNS(ns, "line");
      for (const [name, value] of [["x1", 0], ["x2", 22], ["y1", 4], ["y2", 4], ["stroke-width", 2], ["class", "l" + n]]) stroke.setAttribute(name, value);
      mark.append(stroke);
      key.append(mark, line.label + (line.needed != null ? ", needs " + short.format(10 ** line.needed) : ""));
      legend.append(key);
    });
    let width = 0;
    new ResizeObserver(() => {
      if (!place.clientWidth || place.clientWidth === width) return;
      width = place.clientWidth;
      const before = charts.get(figure);
      if (before) before.setSize({ width, height: Number(figure.dataset.height) });
      else charts.set(figure, new uPlot(options(width), data, place));
    }).observe(place);
  }
  document.querySelectorAll("[data-plot]").forEach(draw);
})();
