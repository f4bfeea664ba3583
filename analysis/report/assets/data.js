/* The data of a figure as CSV and as a table, made of the traces that are drawn. */
/* One record a value, with everything that identifies it. */
const recordsOf = (trace, context) => {
  const meta = trace.meta;
  if (!meta || meta.band || meta.legend) return [];
  const name = meta.value;
  if (meta.map) {
    const [row, column, value] = meta.map;
    const step = meta.steps && column === "step";
    return trace.z.flatMap((line, i) => line.map((cell, j) => ({...context, ...meta.id, [row]: meta.rows[i],
      [column]: meta.columns[j], ...(step ? {tokens: meta.tokens[j]} : {}), [value]: cell})));
  }
  if (meta.names)
    return meta.names.map((label, i) => ({...context, ...meta.id, [meta.y]: label, [name]: trace.x[i]}));
  return trace.y.map((value, i) => ({...context, ...meta.id,
    ...(meta.steps ? {step: meta.steps[i], tokens: meta.tokens[i]} : {[meta.x]: (meta.at || trace.x)[i]}), [name]: value,
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
    const written = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(written) ? `"${written.replaceAll('"', '""')}"` : written;
  };
  const lines = rows.map(row => columns.map(column => cell(row[column])).join(","));
  return [columns.map(cell).join(","), ...lines, ""].join("\r\n");
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
  const mark = value => value === null ? value : `${+value.toPrecision(4)} (not sound)`;
  const head = [], body = new Map(), columns = new Set();
  const put = (row, column, value) => {
    if (!body.has(row)) body.set(row, new Map());
    columns.add(column);
    body.get(row).set(column, value);
  };
  for (const trace of frame.traces) {
    const meta = trace.meta;
    if (!meta || meta.band || meta.legend) continue;
    const title = plain(trace.name);
    if (meta.map) {
      head[0] = meta.map[0];
      meta.rows.forEach((row, i) => meta.columns.forEach((column, j) => put(row, column, trace.z[i][j])));
    } else if (meta.names) {
      head[0] = meta.y;
      meta.names.forEach((row, i) => put(row, title, trace.x[i]));
    } else {
      head[0] = meta.x;
      (meta.steps || meta.at || trace.x).forEach((row, i) => put(row, title, meta.reasons ? mark(trace.y[i]) : trace.y[i]));
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
  if (rows.length > most)
    panel.tableBody.append(make("p", {}, `The first ${most} of ${rows.length} rows; the CSV has them all.`));
};
