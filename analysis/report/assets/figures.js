/* Colours of the theme, the axis of steps or tokens, drawing a figure and its legend. */
const page = JSON.parse(document.getElementById("page-data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const state = {x: "steps", scale: page.log ? "log" : "linear", printing: false};
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
    return Object.fromEntries(Object.entries(value).map(
      ([key, part]) => [key, SKIP.has(key) ? part : recoloured(part)]));
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

/* Names are escaped for plotly, which reads a little HTML: this takes it back. */
const plain = name => (name || "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
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
  const why = trace.meta.reasons;
  const words = trace.meta.steps.map((step, at) =>
    where(step, trace.meta.tokens[at]) + (why ? `<br>not sound: ${why[at]}` : ""));
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
const NOT_SOUND = "not sound";
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
  /* Two to a sheet of paper, where they can. */
  const least = square ? Math.min(base.height, width + 100, state.printing ? 540 : Infinity)
    : third ? (state.printing ? 200 : 250) : state.printing ? Math.max(235, (base.coloraxis ? 0.75 : 0.66) * base.height) : base.height;
  panel.plot.style.minHeight = `${least}px`;
  panel.drawn = `${width}×${panel.plot.clientHeight}`;
  layout.width = width;
  layout.height = square ? least : Math.min(panel.plot.clientHeight, 1.65 * least);
  layout.font = {...layout.font, size: narrow || third || state.printing ? 11 : 13};
  layout.hoverlabel = {...layout.hoverlabel, bgcolor: isDark() ? "#0e1318" : "#ffffff",
    bordercolor: isDark() ? "#3a4854" : "#c9d0d6", font: {color: layout.font.color}};
  /* Where a finger scrolls, it shall not zoom. */
  layout.dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
  layout.uirevision = state.x + state.scale + panel.choice.filter((_, at) => !panel.data.controls[at].steps).join();
  placedAxis(layout, axes);
  /* Names of axes are longer than a figure on paper is high. */
  if (state.printing) for (const name of ["xaxis", "yaxis"])
    layout[name] = {...layout[name], title: {...(layout[name] || {}).title, font: {size: 11}}};
  const traces = frame.traces.map(trace => ({...painted(placed(trace, axes)),
    visible: !panel.hidden.has(groupOf(trace)) && !(trace.meta.reasons && panel.hidden.has(NOT_SOUND))}));
  Plotly.react(panel.canvas, traces, layout, {displayModeBar: false, responsive: false});
  legend(panel, frame.traces, base.showlegend);
  if (panel.table.open) fillTable(panel);
};

const legend = (panel, traces, always) => {
  const entries = new Map();
  for (const trace of traces) {
    if (trace.type === "heatmap" || (trace.meta && (trace.meta.band || trace.meta.reasons))) continue;
    if (!entries.has(groupOf(trace))) entries.set(groupOf(trace), trace);
  }
  const had = document.activeElement && panel.legend.contains(document.activeElement)
    ? document.activeElement.getAttribute("data-group") : null;
  panel.legend.replaceChildren();
  if (entries.size < 2 && !always) return;
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
    if (trace.fillpattern) {
      const slash = document.createElementNS(swatch.namespaceURI, "line");
      const ends = {x1: 8.5, y1: 7.5, x2: 13.5, y2: 2.5, stroke: "#ffffff", "stroke-width": 1.6};
      for (const [key, value] of Object.entries(ends)) slash.setAttribute(key, value);
      swatch.append(slash);
    }
    const button = make("button", {type: "button", "data-group": group, "aria-pressed": String(!panel.hidden.has(group)),
      title: "Click: hide or show. Double click: this one only."}, swatch, make("bdi", {}, plain(raw.name)));
    button.addEventListener("click", () => {
      if (!panel.hidden.delete(group)) panel.hidden.add(group);
      draw(panel);
    });
    button.addEventListener("dblclick", () => {
      const others = [...entries.keys()].filter(key => key !== group && key !== NOT_SOUND);
      const alone = others.every(key => panel.hidden.has(key));
      panel.hidden = new Set(alone ? [] : others);
      draw(panel);
    });
    panel.legend.append(button);
    if (group === had) button.focus();
  }
};
