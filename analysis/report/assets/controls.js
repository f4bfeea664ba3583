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
