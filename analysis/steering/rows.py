"""The rows of the steering analysis, and the statistics in them.

Metrics end in the condition: `_steered`, by the experts of (concept, language); `_random`, by random units instead;
`_other_concept`, by another concept's experts in the same language; `_unsteered`; and, with a sweep, `_steered_k50`.
Rows have concept and language, the experts' own; those of the unsteered model have no language, and without regard to a
concept none either.

`share_*` (other_language): share of the texts identified as that language, or `unclear`. `presence_*`: share of the
texts with a word of the concept in any language, or (other_language) in that one. `empty_*`, `repetitive_*`: shares of
texts without a visible character, and of texts fewer than half of whose token pairs are distinct. Each share comes with
`*_low` and `*_high`, its 95 % Wilson interval (with the condition in front: `share_steered_low`); texts of one
condition count as independent draws, which for random units they are only given the draws of units. `perplexity_*`: of
all texts' tokens together under the unsteered model; `distinct2_*`: distinct pairs of tokens among all of them;
`texts_*`: their number. `share_*_mean` (language, other_language), `presence_*_mean` and `perplexity_*_mean`
(language): plain means over concepts. `k`: units forced in texts steered, of random units and of another concept.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..findings import UNCLEAR, Row
from ..stats import wilson_interval
from .identification import Shown

FEWEST_PAIRS = 5
"""Texts with fewer token pairs are not called repetitive."""


@dataclass(frozen=True)
class Text:
    """A generated text and what was found in it; `nats` is its negative log-likelihood under the unsteered model."""

    seed: int
    ids: tuple[int, ...]
    text: str
    language: str
    shown: Shown
    nats: float

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self.text.strip()

    @property
    def repetitive(self) -> bool:
        """Whether fewer than half of the token pairs are distinct."""
        pairs = list(zip(self.ids, self.ids[1:], strict=False))
        return len(pairs) >= FEWEST_PAIRS and 2 * len(set(pairs)) < len(pairs)


def condition_rows(
    texts: Sequence[Text], name: str, languages: Sequence[str], concept: str | None = None, language: str | None = None
) -> Iterator[Row]:
    """Languages, fluency and counts of the texts of one condition."""
    where = {"concept": concept, "language": language}
    for other in (*languages, UNCLEAR):
        count = sum(text.language == other for text in texts)
        yield from _share(f"share_{name}", count, len(texts), where | {"other_language": other})
    yield from _share(f"empty_{name}", sum(text.empty for text in texts), len(texts), where)
    yield from _share(f"repetitive_{name}", sum(text.repetitive for text in texts), len(texts), where)
    mean_nats = math.fsum(text.nats for text in texts) / sum(len(text.ids) for text in texts)
    # A broken model may give a likelihood that no float can hold.
    perplexity = math.exp(mean_nats) if mean_nats < 700 else math.inf
    yield {"metric": f"perplexity_{name}", "value": perplexity, **where}
    pairs = [pair for text in texts for pair in zip(text.ids, text.ids[1:], strict=False)]
    if pairs:
        yield {"metric": f"distinct2_{name}", "value": len(set(pairs)) / len(pairs), **where}
    yield {"metric": f"texts_{name}", "value": float(len(texts)), **where}


def presence_rows(
    texts: Sequence[Text], name: str, languages: Sequence[str], concept: str, language: str | None = None
) -> Iterator[Row]:
    """How many of the texts have a word of the concept, in any language and in each."""
    where = {"concept": concept, "language": language}
    found = [{tongue for shown, tongue in text.shown if shown == concept} for text in texts]
    yield from _share(f"presence_{name}", sum(map(bool, found)), len(texts), where)
    for other in languages:
        count = sum(other in tongues for tongues in found)
        yield from _share(f"presence_{name}", count, len(texts), where | {"other_language": other})


def mean_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """Means over concepts of shares, presence in any language, and perplexity."""
    values: dict[tuple[str, str | None, str | None], list[float]] = defaultdict(list)
    for row in rows:
        metric, other = row["metric"], row.get("other_language")
        wanted = metric.startswith("share_") or (metric.startswith(("presence_", "perplexity_")) and other is None)
        if wanted and row.get("concept") is not None and not metric.endswith(("_low", "_high")):
            values[metric, row.get("language"), other].append(row["value"])
    for (metric, language, other), found in values.items():
        value = math.fsum(found) / len(found)
        yield {"metric": f"{metric}_mean", "value": value, "language": language, "other_language": other}


def _share(metric: str, count: int, total: int, where: Row) -> Iterator[Row]:
    low, high = wilson_interval(count, total)
    for name, value in ((metric, count / total), (f"{metric}_low", low), (f"{metric}_high", high)):
        yield {"metric": name, "value": value, **where}
