"""The page's own script: draws figures as they come into view, moves them between axes and themes, writes their data.

All aggregation was done before; what a figure shows is read from its traces, and the table and the CSV are made of the
same traces.
"""

SCRIPT = r"""
"use strict";
(() => {
const page = JSON.parse(document.getElementById("page-data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const state = {x: "steps", scale: "log", printing: false};
const panels = [];
const SKIP = new Set(["x", "y", "z", "text", "hovertext", "meta", "array", "tickvals", "ticktext", "categoryarray"]);

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

/* Colours: figures are made for a light page; a dark one has a counterpart for each. */
const isDark = () => dark.matches && !state.printing;
const recoloured = value => {
  if (typeof value === "string") return page.dark[value] || value;
  if (Array.isArray(value)) return value.map(recoloured);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, SKIP.has(key) ? part : recoloured(part)]));
  return value;
};
const shade = place => {
  const scale = page.scale, at = place * (scale.length - 1), low = Math.min(Math.floor(at), scale.length - 2);
  const part = (colour, index) => parseInt(colour.slice(index, index + 2), 16);
  return "#" + [1, 3, 5].map(index => Math.round(part(scale[low], index) * (low + 1 - at)
    + part(scale[low + 1], index) * (at - low)).toString(16).padStart(2, "0")).join("");
};
const painted = trace => {
  if (!isDark()) return trace;
  const copy = recoloured(trace);
  if (trace.meta && trace.meta.shade !== undefined) {
    copy.fillcolor = shade(trace.meta.shade);
    copy.line = {...copy.line, color: copy.fillcolor};
  }
  return copy;
};

const short = value => {
  for (const [size, suffix] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
    if (value >= size) return +(value / size).toPrecision(3) + suffix;
  return String(+value.toPrecision(3));
};
const where = (step, tokens) => `step ${step.toLocaleString("en")}`
  + (tokens === null || tokens === undefined ? "" : ` · ${short(tokens)} tokens`);

/* The axis of steps or tokens. */
const place = (value, unit) => value === null ? null : state.scale === "log" ? Math.log2(1 + value / unit) : value;
const placed = (trace, axes) => {
  if (!axes || !trace.meta || !trace.meta.steps) return trace;
  const tokens = state.x === "tokens" && axes.tokens;
  const unit = tokens ? axes.unit : 1;
  const x = (tokens ? trace.meta.tokens : trace.meta.steps).map(value => place(value, unit));
  if (trace.meta.band) return {...trace, x};
  const words = trace.meta.steps.map((step, at) => where(step, trace.meta.tokens[at]));
  return trace.z ? {...trace, x, hovertext: trace.z.map(() => words)} : {...trace, x, text: words};
};
const placedAxis = (layout, axes) => {
  if (!axes) return;
  const tokens = state.x === "tokens" && axes.tokens;
  const ticks = (tokens ? axes.tokens : axes.steps)[state.scale];
  layout.xaxis = {...layout.xaxis, tickvals: ticks.at.map(value => place(value, tokens ? axes.unit : 1)),
    ticktext: ticks.labels, title: {...layout.xaxis.title, text: tokens ? "training tokens" : "optimizer step"}};
};

/* A panel: the choices made in it, its figure, its legend, its data. */
const frameOf = panel => {
  const wanted = panel.choice.slice();
  const at = panel.data.controls.findIndex(control => control.steps);
  for (;;) {
    const frame = panel.data.frames[wanted.join("/")];
    if (frame) return frame;
    /* Runs need not have the same steps: the last one before. */
    if (at < 0 || wanted[at] === 0) break;
    wanted[at] -= 1;
  }
  const prefix = at < 0 ? "" : panel.choice.slice(0, at).join("/") + (at ? "/" : "");
  const first = Object.keys(panel.data.frames).find(key => key.startsWith(prefix));
  return panel.data.frames[first];
};
const groupOf = trace => trace.legendgroup || trace.name;

const draw = panel => {
  const frame = frameOf(panel);
  if (!frame) return;
  const base = panel.data.layouts[frame.layout];
  const axes = base.meta && base.meta.axes;
  const layout = {...(isDark() ? recoloured(base) : base), showlegend: false};
  const width = panel.plot.clientWidth, narrow = width < 480;
  const square = layout.yaxis && layout.yaxis.scaleanchor;
  const third = panel.element.classList.contains("third");
  const least = square ? Math.min(base.height, width + 100) : third ? 250 : base.height;
  panel.plot.style.minHeight = `${least}px`;
  panel.drawn = `${width}×${panel.plot.clientHeight}`;
  layout.width = width;
  layout.height = square ? least : Math.min(panel.plot.clientHeight, 1.65 * least);
  layout.font = {...layout.font, size: narrow || third ? 11 : 13};
  layout.hoverlabel = {...layout.hoverlabel, bgcolor: isDark() ? "#0e1318" : "#ffffff",
    bordercolor: isDark() ? "#3a4854" : "#c9d0d6", font: {color: layout.font.color}};
  /* Where a finger scrolls, it shall not zoom. */
  layout.dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
  layout.uirevision = state.x + state.scale + panel.choice.filter((_, at) => !panel.data.controls[at].steps).join();
  placedAxis(layout, axes);
  const traces = frame.traces.map(trace => ({...painted(placed(trace, axes)),
    visible: !panel.hidden.has(groupOf(trace))}));
  Plotly.react(panel.canvas, traces, layout, {displayModeBar: false, responsive: false});
  legend(panel, frame.traces);
  if (panel.table.open) fillTable(panel);
};

const legend = (panel, traces) => {
  const entries = new Map();
  for (const trace of traces) {
    if (trace.type === "heatmap" || (trace.meta && trace.meta.band)) continue;
    if (!entries.has(groupOf(trace))) entries.set(groupOf(trace), trace);
  }
  const had = document.activeElement && panel.legend.contains(document.activeElement)
    ? document.activeElement.getAttribute("data-group") : null;
  panel.legend.replaceChildren();
  if (entries.size < 2) return;
  const text = document.createElement("textarea");
  for (const [group, raw] of entries) {
    const trace = painted(raw);
    const line = trace.line || {}, marker = trace.marker || {};
    const colour = trace.stackgroup ? trace.fillcolor : line.color || marker.color;
    const dashes = {dash: "5 3", dot: "1.5 2.5", dashdot: "5 2 1.5 2"}[line.dash] || "";
    const dot = trace.type === "bar" || trace.stackgroup || trace.mode === "markers";
    const diamond = dot && String(marker.symbol).startsWith("diamond"), open = String(marker.symbol).endsWith("open");
    const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    swatch.setAttribute("viewBox", "0 0 22 10");
    swatch.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(swatch.namespaceURI, diamond ? "path" : dot ? "circle" : "line");
    const paint = open ? {fill: "none", stroke: colour, "stroke-width": 1.5} : {fill: colour};
    const attributes = diamond ? {d: "M11 .8 15.2 5 11 9.2 6.8 5Z", ...paint} : dot ? {cx: 11, cy: 5, r: 4.2, ...paint}
      : {x1: 0, x2: 22, y1: 5, y2: 5, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dashes};
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    swatch.append(shape);
    text.innerHTML = raw.name;  /* a textarea decodes the entities of plotly's text and runs nothing */
    const button = make("button", {type: "button", "data-group": group, "aria-pressed": String(!panel.hidden.has(group)),
      title: "Click: hide or show. Double click: this one only."}, swatch, make("bdi", {}, text.value));
    button.addEventListener("click", () => {
      if (!panel.hidden.delete(group)) panel.hidden.add(group);
      draw(panel);
    });
    button.addEventListener("dblclick", () => {
      const others = [...entries.keys()].filter(key => key !== group);
      const alone = others.every(key => panel.hidden.has(key));
      panel.hidden = new Set(alone ? [] : others);
      draw(panel);
    });
    panel.legend.append(button);
    if (group === had) button.focus();
  }
};

/* Data: one record a value, with everything that identifies it. */
const recordsOf = (trace, context) => {
  const meta = trace.meta;
  if (!meta || meta.band) return [];
  const name = meta.value;
  if (meta.map) {
    const [row, column, value] = meta.map;
    const step = meta.steps && column === "step";
    return trace.z.flatMap((line, i) => line.map((cell, j) => ({...context, ...meta.id, [row]: meta.rows[i],
      [column]: meta.columns[j], ...(step ? {tokens: meta.tokens[j]} : {}), [value]: cell})));
  }
  if (meta.names) return meta.names.map((label, i) => ({...context, ...meta.id, [meta.y]: label, [name]: trace.x[i]}));
  return trace.y.map((value, i) => ({...context, ...meta.id,
    ...(meta.steps ? {step: meta.steps[i], tokens: meta.tokens[i]} : {[meta.x]: trace.x[i]}), [name]: value,
    ...Object.fromEntries(Object.entries(meta.extra || {}).map(([key, list]) => [key, list[i]]))}));
};
const records = panel => Object.entries(panel.data.frames).flatMap(([key, frame]) => {
  const context = {};
  key.split("/").forEach((index, at) => {
    const control = panel.data.controls[at];
    if (control && !control.steps) context[control.name.toLowerCase()] = control.options[index];
  });
  return frame.traces.flatMap(trace => recordsOf(trace, context));
});
const csvOf = rows => {
  const columns = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const cell = value => {
    const plain = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  return [columns.map(cell).join(","), ...rows.map(row => columns.map(column => cell(row[column])).join(","))].join("\r\n") + "\r\n";
};
const download = panel => {
  const url = URL.createObjectURL(new Blob(["\ufeff" + csvOf(records(panel))], {type: "text/csv;charset=utf-8"}));
  const link = make("a", {href: url, download: `${page.file}-${panel.id}.csv`});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
};

/* What is drawn now as a table: a matrix for a map, a column per line for curves. */
const fillTable = panel => {
  const frame = frameOf(panel);
  const head = [], body = new Map(), columns = new Set();
  const put = (row, column, value) => {
    if (!body.has(row)) body.set(row, new Map());
    columns.add(column);
    body.get(row).set(column, value);
  };
  const text = document.createElement("textarea");
  for (const trace of frame.traces) {
    const meta = trace.meta;
    if (!meta || meta.band) continue;
    text.innerHTML = trace.name || "";
    const title = text.value;
    if (meta.map) {
      head[0] = meta.map[0];
      meta.rows.forEach((row, i) => meta.columns.forEach((column, j) => put(row, column, trace.z[i][j])));
    } else if (meta.names) {
      head[0] = meta.y;
      meta.names.forEach((row, i) => put(row, title, trace.x[i]));
    } else {
      head[0] = meta.x;
      (meta.steps || trace.x).forEach((row, i) => put(row, title, trace.y[i]));
    }
  }
  const rows = [...body.entries()];
  if (rows.every(([row]) => typeof row === "number")) rows.sort((a, b) => a[0] - b[0]);
  const shown = value => value === null || value === undefined ? "" : typeof value === "number"
    ? String(+value.toPrecision(4)) : String(value);
  const most = 400;
  panel.tableBody.replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, make("th", {scope: "col"}, head[0] || ""),
      ...[...columns].map(column => make("th", {scope: "col", dir: "auto"}, String(column))))),
    make("tbody", {}, ...rows.slice(0, most).map(([row, cells]) => make("tr", {},
      make("th", {scope: "row", dir: "auto"}, typeof row === "number" ? row.toLocaleString("en") : String(row)),
      ...[...columns].map(column => make("td", {}, shown(cells.get(column)))))))));
  if (rows.length > most) panel.tableBody.append(make("p", {}, `The first ${most} of ${rows.length} rows; the CSV has them all.`));
};

/* Controls: a select for a choice, a slider with a play button for steps. */
const labelOf = panel => {
  /* What is shown, which may be an earlier step than the slider's where a run lacks that one. */
  const ids = frameOf(panel).traces.map(trace => trace.meta.id).filter(id => id && id.tokens !== undefined);
  return ids.length ? where(ids[0].step, ids[0].tokens) : `step ${panel.stepOf().toLocaleString("en")}`;
};
const control = (panel, spec, index) => {
  const id = `${panel.id}-choice-${index}`;
  if (!spec.steps) {
    const options = spec.options.map((name, at) => make("button", {type: "button", "aria-pressed": String(at === 0), dir: "auto"}, name));
    if (spec.options.length > 5) {
      const select = make("select", {id}, ...spec.options.map((name, at) => make("option", {value: at}, name)));
      select.addEventListener("change", () => { panel.choice[index] = Number(select.value); changed(panel); });
      return make("div", {class: "choice"}, make("label", {for: id}, spec.name), select);
    }
    options.forEach((button, at) => button.addEventListener("click", () => {
      panel.choice[index] = at;
      options.forEach((other, which) => other.setAttribute("aria-pressed", String(which === at)));
      changed(panel);
    }));
    return make("div", {class: "choice", role: "group", "aria-label": spec.name},
      make("span", {class: "label"}, spec.name), make("span", {class: "segments"}, ...options));
  }
  const last = spec.options.length - 1;
  const slider = make("input", {type: "range", id, min: 0, max: last, step: 1, value: last});
  const output = make("output", {for: id});
  panel.choice[index] = last;
  panel.stepOf = () => Number(spec.options[panel.choice[index]]);
  panel.label = () => { output.textContent = labelOf(panel); slider.setAttribute("aria-valuetext", output.textContent); };
  const move = at => { slider.value = at; panel.choice[index] = Number(at); changed(panel); };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶"; play.setAttribute("aria-label", "Play through the steps"); };
  const play = make("button", {type: "button", class: "play", "aria-label": "Play through the steps"}, "▶");
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "Pause");
    if (Number(slider.value) === last) move(0);
    timer = setInterval(() => Number(slider.value) < last ? move(Number(slider.value) + 1) : stop(), 350);
  });
  slider.addEventListener("input", () => { stop(); move(slider.value); });
  return make("div", {class: "choice slider"}, make("label", {for: id}, spec.name), play, slider, output);
};
const changed = panel => { if (panel.label) panel.label(); draw(panel); };

const start = panel => {
  if (panel.data) return;
  panel.data = JSON.parse(panel.element.querySelector("script").textContent);
  panel.choice = panel.data.controls.map(() => 0);
  panel.data.controls.forEach((spec, index) => panel.controls.append(control(panel, spec, index)));
  changed(panel);
};

for (const element of document.querySelectorAll("figure.panel")) {
  const panel = {element, id: element.id, hidden: new Set(), data: null, label: null, stepOf: () => null,
    controls: element.querySelector(".controls"), plot: element.querySelector(".plot"), canvas: element.querySelector(".canvas"), drawn: "",
    legend: element.querySelector(".legend"), table: element.querySelector("details"),
    tableBody: element.querySelector(".table-scroll")};
  element.querySelector(".download").addEventListener("click", () => { start(panel); download(panel); });
  element.querySelector(".save").addEventListener("click", () => {
    start(panel);
    Plotly.downloadImage(panel.canvas, {format: "svg", filename: `${page.file}-${panel.id}`,
      width: panel.canvas.clientWidth, height: panel.canvas.clientHeight});
  });
  panel.table.addEventListener("toggle", () => { if (panel.table.open) { start(panel); fillTable(panel); } });
  panels.push(panel);
}
const redraw = () => panels.filter(panel => panel.data).forEach(draw);

const seen = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(entry => {
  seen.unobserve(entry.target);
  start(panels.find(panel => panel.element === entry.target));
}), {rootMargin: "500px"});
panels.forEach(panel => seen.observe(panel.element));

let pending = 0;
const sized = new ResizeObserver(() => {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(() => panels.filter(panel => panel.data
    && panel.drawn !== `${panel.plot.clientWidth}×${panel.plot.clientHeight}`).forEach(draw));
});
panels.forEach(panel => sized.observe(panel.plot));
dark.addEventListener("change", redraw);
addEventListener("beforeprint", () => { state.printing = true; panels.forEach(start); redraw(); });
addEventListener("afterprint", () => { state.printing = false; redraw(); });

for (const group of document.querySelectorAll("[data-axis]")) {
  const buttons = [...group.querySelectorAll("button")];
  buttons.forEach(button => button.addEventListener("click", () => {
    buttons.forEach(other => other.setAttribute("aria-pressed", String(other === button)));
    state[group.getAttribute("data-axis")] = button.value;
    redraw();
  }));
}
})();
"""
