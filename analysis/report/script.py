"""The page's own script: draws figures as they come into view, moves them between axes and themes, writes their data.

All aggregation was done before: what a figure shows is read from its traces.
"""

from .script_data import DATA
from .script_figures import FIGURES

CONTROLS = r"""
/* Controls: a select for a choice, a slider with a play button for steps. */
const labelOf = panel => {
  /* What is shown, which may be an earlier step than the slider's where a run lacks that one. */
  const ids = frameOf(panel).traces.map(trace => trace.meta.id).filter(id => id && id.tokens !== undefined);
  return ids.length ? where(ids[0].step, ids[0].tokens) : `step ${panel.stepOf().toLocaleString("en")}`;
};
const control = (panel, spec, index) => {
  const id = `${panel.id}-choice-${index}`;
  if (!spec.steps) {
    const options = spec.options.map((name, at) =>
      make("button", {type: "button", "aria-pressed": String(at === 0), dir: "auto"}, name));
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
  panel.label = () => {
    output.textContent = labelOf(panel);
    slider.setAttribute("aria-valuetext", output.textContent);
  };
  const move = at => { slider.value = at; panel.choice[index] = Number(at); changed(panel); };
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play through the steps");
  };
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
"""

PAGE = r"""
const start = panel => {
  if (panel.data) return;
  panel.data = JSON.parse(panel.element.querySelector("script").textContent);
  panel.choice = panel.data.controls.map(() => 0);
  panel.data.controls.forEach((spec, index) => panel.controls.append(control(panel, spec, index)));
  changed(panel);
};

for (const element of document.querySelectorAll("figure.panel")) {
  const panel = {element, id: element.id, hidden: new Set(), data: null, label: null, stepOf: () => null,
    controls: element.querySelector(".controls"), plot: element.querySelector(".plot"),
    canvas: element.querySelector(".canvas"), drawn: "",
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
/* Figures are drawn for the width of paper before the page is laid out on it. */
const printing = on => {
  state.printing = on;
  document.documentElement.classList.toggle("paper", on);
  panels.forEach(start);
  redraw();
};
addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(false));

for (const group of document.querySelectorAll("[data-axis]")) {
  const buttons = [...group.querySelectorAll("button")];
  buttons.forEach(button => button.addEventListener("click", () => {
    buttons.forEach(other => other.setAttribute("aria-pressed", String(other === button)));
    state[group.getAttribute("data-axis")] = button.value;
    redraw();
  }));
}
"""

SCRIPT = f'"use strict";\n(() => {{{FIGURES}{DATA}{CONTROLS}{PAGE}}})();\n'
