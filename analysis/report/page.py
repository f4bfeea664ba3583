"""A report as one HTML file that needs nothing else: no network, no other file, and no script but its own two."""

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape

from plotly.offline import get_plotlyjs

from ..figures.axis import geometric
from ..figures.data import of_checkpoints, steps_of
from ..figures.style import DARK, DARK_SEQUENTIAL
from ..health.verdicts import VERDICT
from .glance import KeyFigure, common_scale, extent, key_figures, sparkline
from .panels import Panel, Section, dump_json, panel_data
from .run import Run
from .script import script, style
from .sections.health import health_table
from .sections.steering import sample_texts
from .together import different_languages


def render_page(runs: Sequence[Run], sections: Sequence[Section]) -> str:
    """The page for one or several runs."""
    names = " against ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs"
    plotly = get_plotlyjs()
    assert "</script" not in plotly
    below = {"steering": _texts(runs), "health": health_table(runs)}
    log = geometric([run.rows for run in runs])
    together = different_languages({run.name: run.rows for run in runs})
    page = {"file": _slug(names) or "report", "dark": DARK, "scale": DARK_SEQUENTIAL, "log": log}
    links = "".join(f'<a href="#{section.slug}">{escape(section.title)}</a>' for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(plotly, script())}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(names)} · Babelscope</title>
<link rel="icon" href="data:,">
<style>{style()}</style>
</head>
<body>
<header class="top">
<p class="eyebrow">Babelscope report</p>
<h1 dir="auto">{escape(names)}</h1>
<p class="lede">What was measured {_occasion(runs)}: how well each
language is predicted, where a hidden state still betrays its language, whether translations come together, and which
neurons languages come to share for the same concept.</p>
{"".join(_facts(run, len(runs) > 1) for run in runs)}
{_notice(runs, together)}
<noscript><p class="notice">The figures need JavaScript, which is off or blocked here. The file asks for nothing from a
network.</p></noscript>
{_keys(runs)}
</header>
<div class="bar"><div>
<nav aria-label="Sections">{links}<a href="#mind">Keep in mind</a></nav>
<div class="axes">Horizontal axis
<span class="segments" data-axis="x" role="group" aria-label="Horizontal axis counts">
<button type="button" value="steps" aria-pressed="true">Steps</button><button type="button" value="tokens"
 aria-pressed="false"{_disabled(runs)}>Tokens</button></span>
<span class="segments" data-axis="scale" role="group" aria-label="Scale of the horizontal axis">
<button type="button" value="log" aria-pressed="{str(log).lower()}">Log</button><button type="button" value="linear"
 aria-pressed="{str(not log).lower()}">Linear</button></span>
</div></div></div>
<main>
{"".join(_section(section, below.get(section.slug, "")) for section in sections)}
{_mind(runs, together)}
{_configurations(runs)}
</main>
<footer>Made by Babelscope. This file holds everything it shows and asks for nothing from a network.</footer>
<script type="application/json" id="page-data">{dump_json(page)}</script>
<script>{plotly}</script>
<script>{script()}</script>
</body>
</html>
"""


def _occasion(runs: Sequence[Run]) -> str:
    """When the rows were measured: while models learned, or on single checkpoints."""
    models = "this model" if len(runs) == 1 else "these models"
    if any(len(steps_of(of_checkpoints(run.rows))) > 1 for run in runs):
        return f"while {models} learned"
    return f"on one checkpoint of {models}" if len(runs) == 1 else f"on one checkpoint of each of {models}"


def _policy(*scripts: str) -> str:
    """Only these scripts may run, nothing may be fetched; plotly sets styles and draws its images as data."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _facts(run: Run, several: bool) -> str:
    facts = ({"run": run.name} if several else {}) | extent(run.rows) | run.facts()
    if run.digest:
        facts["configuration"] = run.digest
    items = "".join(
        f"<div><dt>{escape(key)}</dt><dd dir=auto>{escape(value)}</dd></div>" for key, value in facts.items()
    )
    return f'<dl class="facts">{items}</dl>'


def _notice(runs: Sequence[Run], together: str) -> str:
    """What is to be known about each run, toy data above all, and about all of them together; up front."""
    several = len(runs) > 1
    found = [f"<p dir=auto>{escape(together)}</p>"] if together else []
    found += [
        f"<p dir=auto>{f'<b>{escape(run.name)}.</b> ' if several else ''}{escape(said)}</p>"
        for run in runs
        for said in run.notices
    ]
    return f'<div class="notice" role="note">{"".join(found)}</div>' if found else ""


def _keys(runs: Sequence[Run]) -> str:
    by_title: dict[str, list[tuple[Run, KeyFigure]]] = {}
    for run in runs:
        for figure in key_figures(run.rows):
            by_title.setdefault(figure.title, []).append((run, figure))
    cards = []
    for title, entries in by_title.items():
        low, high = common_scale([figure for _, figure in entries])
        parts = "".join(
            f'<div class="of">{f"<div class=run dir=auto>{escape(run.name)}</div>" if len(runs) > 1 else ""}'
            f'<div class="number"><b>{escape(figure.value)}</b>{sparkline(figure.course, low, high)}</div>'
            f"<p>{escape(figure.sentence)}</p></div>"
            for run, figure in entries
        )
        cards.append(f'<div class="key"><h3>{escape(title)}</h3>{parts}</div>')
    return f'<div class="keys" aria-label="Key figures at the last step">{"".join(cards)}</div>' if cards else ""


def _texts(runs: Sequence[Run]) -> str:
    """Texts of each run, below its name if there are several."""
    found = {run.name: sample_texts(run.folder / "results", run.unsound) for run in runs}
    title = "<h3 class=run dir=auto>{}</h3>" if len(runs) > 1 else ""
    return "".join(title.format(escape(name)) + texts for name, texts in found.items() if texts)


def _section(section: Section, below: str) -> str:
    lead = f'<p class="lead">{_tied(section.lead)}</p>' if section.lead else ""
    panels = "".join(_panel(panel, f"{section.slug}-{number}") for number, panel in enumerate(section.panels, 1))
    slug, title = escape(section.slug, quote=True), escape(section.title)
    return f'<section id="{slug}"><h2>{title}</h2>{lead}<div class="grid">{panels}</div>{below}</section>'


def _panel(panel: Panel, slug: str) -> str:
    height = next(iter(panel.figures.values())).layout.height
    label = escape(f"{panel.title}. {panel.how_to_read}", quote=True)
    return f"""
<figure class="panel {panel.size}" id="{escape(slug, quote=True)}">
<figcaption><h3>{escape(panel.title)}</h3><p class="how">{_tied(panel.how_to_read)}</p></figcaption>
<div class="controls"></div>
<div class="plot" role="img" aria-label="{label}" style="min-height:{height}px"><div class="canvas"></div></div>
<div class="legend" role="group" aria-label="Lines shown"></div>
<div class="tools"><button type="button" class="download">Download data (CSV)</button>
<button type="button" class="save">Save figure (SVG)</button>
<details><summary>Show as table</summary><div class="table-scroll" tabindex="0" role="region"
 aria-label="Data of this figure"></div></details></div>
<script type="application/json">{dump_json(panel_data(panel))}</script>
</figure>"""


def _tied(words: str) -> str:
    """Escaped, with numbers that stay with their per cent sign."""
    return escape(words).replace(" %", "\u00a0%")


def _mind(runs: Sequence[Run], together: str) -> str:
    """Notes, warnings of the analyses, and what holds for every run."""
    several = len(runs) > 1
    items = [f"<li dir=auto>{escape(together)}</li>"] if together else []
    for run in runs:
        prefix = f"<b dir=auto>{escape(run.name)}:</b> " if several else ""
        items += [f"<li dir=auto>{prefix}{escape(said)}</li>" for said in (*run.notices, run.left_out) if said]
        by_text: dict[tuple[str, str], list[int]] = {}
        for (analysis, step), said in run.warnings.items():
            for warning in said:
                if warning.removeprefix(VERDICT) == str(run.resolution):
                    continue  # said above
                by_text.setdefault((analysis, warning), []).append(step)
        for (analysis, warning), steps in by_text.items():
            where = f"step {steps[0]:,}" if len(steps) == 1 else f"{len(steps)} steps, {steps[0]:,} to {steps[-1]:,}"
            items.append(
                f'<li dir=auto>{prefix}{escape(warning)} <span class="where">({escape(analysis)}, {where})</span></li>'
            )
    items.append(
        "<li>Seeds of a probe are not seeds of training: one run is one run, however narrow the bands "
        "look. Overlap means something only beside its control and chance.</li>"
    )
    return f'<section id="mind" class="mind"><h2>What to keep in mind</h2><ul>{"".join(items)}</ul></section>'


def _configurations(runs: Sequence[Run]) -> str:
    found = "".join(
        f'<details class="config"><summary>Configuration of <b dir=auto>{escape(run.name)}</b> <code>{run.digest}</code>'
        f'</summary><pre dir="auto" tabindex="0">{escape(run.config)}</pre></details>'
        for run in runs
        if run.config
    )
    return f'<section id="configuration"><h2>Configuration</h2>{found}</section>' if found else ""


def _disabled(runs: Sequence[Run]) -> str:
    """Attributes of the choice of tokens, which is off where no run recorded any."""
    known = any(run.rows["tokens"].null_count < run.rows.num_rows for run in runs)
    return "" if known else ' disabled title="The runs did not record tokens"'


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80]
