/* Starts: draws figures as they come into view, and again for another width, theme, axis or paper. */
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
