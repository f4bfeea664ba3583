"""The section of a report on whether checkpoints are sound, and the table that names those that are not."""

from collections.abc import Sequence
from html import escape

from ... import figures
from ...figures.data import Runs, has, languages_of, only, steps_of, tokens_of
from ...health.verdicts import VERDICT
from ...numbers import short
from ..drawing import panels, per_run, section
from ..panels import Panel, Section
from ..run import Run

NAME = "health"


def health_section(runs: Runs) -> Section | None:
    """What was found of the checkpoints' weights before any curve was drawn."""
    languages = languages_of(runs)
    found: list[Panel] = []
    found += panels(
        "Held-out loss of each checkpoint",
        "Mean loss in nats per token of a little held-out text, one line per language; the thick line is their mean. In a "
        "sound series it falls or levels off: a jump, or a value that belongs to another step, marks a checkpoint whose "
        "label or weights are wrong. No interval: the text is the same at every step.",
        per_run(runs, lambda rows: figures.metric_curves(rows, NAME, "loss", languages, "nats per token"), NAME, "loss"), "Run",
    )  # fmt: skip
    found += panels(
        "Norm of the weights",
        "L2 norm of all parameters (curve), and of those of each block (map). It changes smoothly while a model trains; a "
        "break points to weights of another run or step.",
        per_run(
            runs,
            lambda rows: {
                ("whole model",): figures.metric_curves(only(rows, layer=None), NAME, "norm", title="L2 norm"),
                **({("each block",): figures.metric_heatmap(rows, NAME, "norm", "block", title="L2 norm")}
                   if has(only(rows, layer=...), NAME, "norm") else {}),
            }, NAME, "norm",
        ), "Run", "View",
    )  # fmt: skip
    return section(NAME, "Health of the checkpoints", "Are these the weights that their labels say they are?", found)


def health_table(runs: Sequence[Run]) -> str:
    """Checkpoints that are not sound with their reasons, as HTML; empty where no run's health was examined."""
    examined = {run.name: steps_of(only(run.rows, analysis=NAME, metric="sound")) for run in runs}
    if not any(examined.values()):
        return ""
    several = len(runs) > 1
    rows = []
    for run in runs:
        tokens = tokens_of(run.rows)
        for step, reason in run.unsound.items():
            said = [words.removeprefix(VERDICT) for words in run.warnings.get((NAME, step), ())]
            seen = tokens.get(step)
            rows.append(
                f"<tr>{f'<th scope=row dir=auto>{escape(run.name)}</th>' if several else ''}<td>{step:,}</td>"
                f"<td>{'' if seen is None else short(seen)}</td><td class=words>{escape(reason)}</td>"
                f"<td class=words dir=auto>{escape('; '.join(said))}</td></tr>"
            )
    total = sum(map(len, examined.values()))
    if not rows:
        return f'<p class="verdicts">All {total} checkpoints that were examined are sound.</p>'
    return (
        f'<div class="verdicts"><h3>{len(rows)} of {total} checkpoints are not sound</h3><div class="table-scroll" tabindex="0" '
        'role="region" aria-label="Checkpoints that are not sound"><table><thead><tr>'
        f"{'<th>run</th>' if several else ''}<th>step</th><th>tokens</th><th class=words>why</th>"
        f"<th class=words>what the health check wrote</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div></div>"
    )
