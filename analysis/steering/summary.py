"""Steering of one concept as text for a terminal: shares with their intervals, and some of what was written."""

from collections.abc import Iterable

from ..findings import UNCLEAR, Findings
from ..stats import wilson_interval

CONDITIONS = {
    "unsteered": "unsteered",
    "steered": "steered",
    "random": "random units",
    "other_concept": "other concept",
}
LARGEST = 5
"""Languages that have a line of their own; the source language has one in any case, the rest is one line."""
WIDTH = 100
_ZERO_WIDTH_JOINERS = "\u200c\u200d"  # they decide the shapes of letters in Persian and in Indic scripts

Values = dict[tuple[str, str | None], float]


def summary(findings: Findings, concept: str, language: str, samples: int) -> str:
    """What became of each condition, measure by measure, and the first `samples` texts of each.

    Args:
        concept, language: whose experts were forced.
    """
    values: Values = {}
    for row in findings.table.to_pylist():
        if row["concept"] in (None, concept) and row["language"] in (None, language):
            values.setdefault((row["metric"], row["other_language"]), row["value"])
    names = dict(CONDITIONS) | {f"steered_k{k}": f"steered, k={k}" for k in findings.settings["k_sweep"]}
    names = {name: title for name, title in names.items() if (f"texts_{name}", None) in values}
    lines = [
        f"{findings.settings['k']} experts of {concept} in {language}, {findings.settings['seeds']} texts a condition, "
        "95 % Wilson intervals",
        *_table(values, names, findings.settings["languages"], language),
    ]
    for condition in ("steered", "unsteered", "random"):
        texts = [text for text in findings.texts if text["condition"] == condition]
        own = [
            text for text in texts if text["concept"] in (None, concept) and text["k"] in (0, findings.settings["k"])
        ]
        lines += ["", f"{CONDITIONS[condition]}:"]
        lines += [f"  {text['seed']:>3} {text['language']:<8} {on_one_line(text['text'])}" for text in own[:samples]]
    return "\n".join([*lines, *(f"\n{warning}" for warning in findings.warnings)])


def _table(values: Values, names: dict[str, str], languages: list[str], own: str) -> Iterable[str]:
    """Measures down, conditions across, in as many blocks as a terminal's width makes of them."""
    most = sorted(languages, key=lambda other: -max(values.get((f"share_{name}", other), 0.0) for name in names))
    shown = [*most[:LARGEST], *([own] if own in most[LARGEST:] else [])]
    rest = [other for other in languages if other not in shown]
    rows = {other: {name: _cell(values, "share", name, other) for name in names} for other in shown}
    if rest:
        rows[f"{len(rest)} others"] = {name: _together(values, name, rest) for name in names}
    rows[UNCLEAR] = {name: _cell(values, "share", name, UNCLEAR) for name in names}
    rows["about the concept"] = {name: _cell(values, "presence", name) for name in names}
    rows |= {metric: {name: _cell(values, metric, name) for name in names} for metric in ("empty", "repetitive")}
    rows["perplexity"] = {name: f"{values[f'perplexity_{name}', None]:.1f}" for name in names}
    first = max(map(len, rows))
    widths = {name: max(len(title), *(len(row[name]) for row in rows.values())) + 2 for name, title in names.items()}
    block: list[str] = []
    for name in [*names, None]:
        if block and (name is None or first + sum(widths[n] for n in block) + widths[name] > WIDTH):
            yield ""
            yield " " * first + "".join(f"{names[n]:>{widths[n]}}" for n in block)
            for label, row in rows.items():
                yield f"{label:<{first}}" + "".join(f"{row[n]:>{widths[n]}}" for n in block)
            block = []
        block += [] if name is None else [name]


def _cell(values: Values, metric: str, name: str, other: str | None = None) -> str:
    parts = [values.get((f"{metric}_{name}{end}", other)) for end in ("", "_low", "_high")]
    return "-" if None in parts else "{:.0%} [{:.0%}, {:.0%}]".format(*parts)  # type: ignore[str-format]


def _together(values: Values, name: str, languages: Iterable[str]) -> str:
    """The share of several languages, whose texts are counted together."""
    texts = round(values[f"texts_{name}", None])
    count = round(texts * sum(values.get((f"share_{name}", other), 0.0) for other in languages))
    return "{:.0%} [{:.0%}, {:.0%}]".format(count / texts, *wilson_interval(count, texts))


def on_one_line(text: str) -> str:
    """Model output on one line of a terminal, without anything that could steer that; joiners within words stay."""
    return "".join(char if char.isprintable() or char in _ZERO_WIDTH_JOINERS else " " for char in text)
