"""The page's style sheet: calm, light and dark, from phone to paper."""

STYLE = """
:root {
  color-scheme: light dark; --page: #faf9f6; --card: #ffffff; --ink: #1f2830; --quiet: #5a6670; --line: #e4e2db;
  --accent: #0b66b0; --accent-soft: #e6f0f8; --warn: #8a4b00; --warn-soft: #fdf3e3;
  --shadow: 0 1px 2px rgb(31 40 48 / 5%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151a; --card: #171e25; --ink: #e3e8ec; --quiet: #9ba8b3; --line: #2a343d; --accent: #74b9f4;
    --accent-soft: #1b2d3d; --warn: #f0bd74; --warn-soft: #2b2314; --shadow: none;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
a { color: var(--accent); text-underline-offset: .18em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
header.top, main, footer { max-width: 1200px; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2.25rem); }
header.top { padding-top: clamp(1.75rem, 5vw, 3.5rem); }
.eyebrow {
  margin: 0; color: var(--accent); font-weight: 600; font-size: .82rem; letter-spacing: .09em;
  text-transform: uppercase;
}
h1 {
  margin: .25rem 0 .6rem; font-size: clamp(1.7rem, 4.5vw, 2.7rem); line-height: 1.12; letter-spacing: -.02em;
  font-weight: 680; overflow-wrap: anywhere;
}
.lede { margin: 0; max-width: 46rem; font-size: 1.08rem; color: var(--quiet); }
h2 { margin: 0; font-size: 1.5rem; letter-spacing: -.012em; line-height: 1.25; font-weight: 650; }
h3 { margin: 0; font-size: 1.04rem; line-height: 1.35; font-weight: 620; }
section { margin: 3.2rem 0 0; }
section > .lead { margin: .2rem 0 1.1rem; color: var(--quiet); max-width: 46rem; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; margin: 1.2rem 0 0; padding: 0; }
.facts div { display: flex; gap: .45rem; font-size: .92rem; }
.facts dt { color: var(--quiet); }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.notice {
  margin: 1.5rem 0 0; padding: .8rem 1.1rem; border-left: 4px solid var(--warn); border-radius: 0 10px 10px 0;
  background: var(--warn-soft); max-width: 60rem;
}
.notice p { margin: 0; }
.notice p + p { margin-top: .5rem; }
.keys {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 12.4rem), 1fr)); gap: 1rem;
  margin: 1.6rem 0 0;
}
.key, .panel {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow);
  min-width: 0;
}
.key { padding: 1rem 1.15rem 1.05rem; }
.key h3 { color: var(--quiet); font-size: .88rem; font-weight: 600; }
.key .number {
  display: flex; align-items: center; justify-content: space-between; gap: .8rem; margin: .1rem 0 .2rem;
}
.key .number b {
  font-size: 2rem; line-height: 1.15; font-weight: 660; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
.key p { margin: 0; font-size: .9rem; line-height: 1.45; color: var(--quiet); }
.key .of { margin-top: .7rem; padding-top: .6rem; border-top: 1px solid var(--line); }
.key .of:first-of-type { margin-top: .2rem; padding-top: 0; border: 0; }
.key .run { font-size: .82rem; font-weight: 600; overflow-wrap: anywhere; color: var(--ink); }
.key .of .number b { font-size: 1.5rem; }
.spark { width: 7rem; height: 1.75rem; flex: 0 1 7rem; min-width: 3rem; }
.spark polyline {
  fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-linejoin: round;
  vector-effect: non-scaling-stroke;
}
.spark circle { fill: var(--accent); }
.bar {
  position: sticky; top: 0; z-index: 5; margin-top: 2.2rem; border-block: 1px solid var(--line);
  background: color-mix(in srgb, var(--page) 92%, transparent); backdrop-filter: blur(8px);
}
.bar > div {
  max-width: 1200px; margin: 0 auto; padding: .5rem clamp(1rem, 3vw, 2.25rem); display: flex; gap: .5rem 1.2rem;
  align-items: center; justify-content: space-between; flex-wrap: wrap;
}
.bar nav { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; font-size: .93rem; }
.bar nav a { color: var(--ink); text-decoration: none; padding: .2rem 0; }
.bar nav a:hover { color: var(--accent); text-decoration: underline; }
.axes { display: flex; gap: .6rem; align-items: center; font-size: .86rem; color: var(--quiet); }
.segments {
  display: inline-flex; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
  overflow: hidden; max-width: 100%; flex-wrap: wrap;
}
.segments button {
  border: 0; background: none; padding: .28rem .7rem; color: var(--quiet); font: inherit; font-size: .86rem;
  cursor: pointer;
}
.segments button:focus-visible { outline-offset: -3px; }
.segments button[aria-pressed=true] { background: var(--accent-soft); color: var(--accent); font-weight: 600; }
.grid { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 1.1rem; }
.panel { margin: 0; padding: 1.05rem 1.2rem .8rem; display: flex; flex-direction: column; }
.panel { grid-column: span 3; }
.panel.third { grid-column: span 2; }
.panel.wide, .panel:only-child { grid-column: 1 / -1; }
.how { margin: .3rem 0 .55rem; font-size: .92rem; line-height: 1.5; color: var(--quiet); max-width: 62rem; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; font-size: .88rem; }
.controls:not(:empty) { margin: .2rem 0 .5rem; }
.choice { display: flex; align-items: center; gap: .55rem; min-width: 0; flex-wrap: wrap; }
.choice .label, .choice > label { color: var(--quiet); }
.choice select {
  font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .25rem .5rem; max-width: 100%;
}
.slider { flex: 1 1 18rem; flex-wrap: nowrap; }
.slider input { flex: 1 1 6rem; min-width: 4rem; accent-color: var(--accent); }
.slider output { flex: 0 0 auto; min-width: 11.5em; font-variant-numeric: tabular-nums; }
.play {
  flex: 0 0 auto; width: 2rem; height: 2rem; border-radius: 50%; border: 1px solid var(--line);
  background: var(--card); color: var(--accent); font-size: .72rem; line-height: 1; cursor: pointer;
}
.plot { position: relative; flex: 1 0 auto; width: 100%; min-width: 0; overflow: hidden; }
.canvas { position: absolute; inset: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem .35rem; margin: .35rem 0 .2rem; }
.legend button {
  display: inline-flex; align-items: center; gap: .4rem; padding: .14rem .5rem; border: 1px solid transparent;
  border-radius: 999px; background: none; color: var(--ink); font: inherit; font-size: .84rem; cursor: pointer;
  max-width: 100%; text-align: start;
}
.legend button:hover { border-color: var(--line); background: var(--page); }
.legend button[aria-pressed=false] { opacity: .42; text-decoration: line-through; }
.legend svg { width: 22px; height: 10px; flex: none; }
.legend bdi { overflow-wrap: anywhere; }
.tools {
  display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: flex-start; margin-top: auto;
  padding-top: .5rem; font-size: .86rem;
}
.tools > button {
  border: 1px solid var(--line); border-radius: 8px; background: none; color: var(--accent); font: inherit;
  padding: .22rem .7rem; cursor: pointer;
}
.tools > button:hover { background: var(--accent-soft); }
.tools details { flex: 1 1 9rem; min-width: 0; padding: .24rem 0; }
.tools details[open] { flex-basis: 100%; }
summary { cursor: pointer; color: var(--quiet); }
.table-scroll {
  overflow: auto; max-height: 22rem; margin-top: .5rem; border: 1px solid var(--line); border-radius: 8px;
}
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .6rem; text-align: end; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { position: sticky; top: 0; background: var(--card); font-weight: 600; }
tbody th { text-align: start; font-weight: 500; }
.verdicts { margin-top: 1.1rem; }
.verdicts .table-scroll, .texts .table-scroll { background: var(--card); }
.words { text-align: start; white-space: normal; min-width: 14rem; }
.texts { margin-top: 1.4rem; }
.texts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr)); gap: .4rem 1rem; }
.texts h3, .texts p, .texts details[open] { grid-column: 1 / -1; }
.texts details { min-width: 0; }
.texts td:last-child { text-align: start; white-space: normal; min-width: 16rem; }
.mind li { margin: .35rem 0; max-width: 60rem; }
.mind ul { padding-inline-start: 1.2rem; margin: .5rem 0 0; }
.mind .where { color: var(--quiet); font-size: .88rem; }
.config {
  margin-top: .8rem; border: 1px solid var(--line); border-radius: 12px; background: var(--card);
  padding: .7rem 1rem;
}
.config pre {
  margin: .7rem 0 .2rem; overflow: auto; max-height: 32rem;
  font: .82rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
footer { margin-top: 3.5rem; padding-bottom: 2.5rem; color: var(--quiet); font-size: .88rem; }
@media (max-width: 900px) { .panel, .panel.third { grid-column: 1 / -1; } }
@media (max-width: 620px) {
  .bar nav { display: none; }
  .bar > div { justify-content: center; }
  .panel { padding: .9rem .85rem .7rem; }
  .slider { flex-wrap: wrap; }
  .slider input { flex: 1 1 10rem; }
  .slider output { flex: 1 0 100%; }
  section { margin-top: 2.4rem; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
html.paper { font-size: 12px; }
.paper header.top, .paper main, .paper footer { max-width: 680px; padding: 0; }
.paper body { font-size: 1rem; }
.paper .grid { display: block; }
.paper .bar, .paper .tools, .paper .play, .paper .slider input { display: none; }
.paper .panel, .paper .key, .paper .notice, .paper .lead { break-inside: avoid; box-shadow: none; }
.paper .lead { max-width: none; }
.paper .spark { min-width: 1.5rem; }
.paper .panel { margin-bottom: 1rem; }
.paper .keys { grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; }
.paper section { margin-top: 1.8rem; }
.paper h2, .paper h3, .paper .lead { break-after: avoid; }
.paper .table-scroll, .paper .config pre { max-height: none; overflow: visible; }
.paper .config pre { white-space: pre-wrap; }
.paper .texts details:not([open]), .paper .texts:not(:has([open])) { display: none; }
.paper .config:not([open]), .paper #configuration:not(:has([open])) { display: none; }
@page { margin: 13mm; }
@media print {
  :root {
    --page: #fff; --card: #fff; --ink: #111; --quiet: #444; --line: #ccc; --accent: #0b66b0;
    --accent-soft: #fff; --warn: #8a4b00; --warn-soft: #fff;
  }
}
"""
