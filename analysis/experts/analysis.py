"""Concept experts of every language, what they share, and how well they serve other languages: the whole analysis.

Experts are chosen by average precision on one half of the sentences; whatever is reported about precision is measured
on the other half. Shapes: C concepts, L languages, U units, S sentences, k experts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ...model.sites import read_as, reading_of
from ..concepts.concept_set import ConceptSet
from ..findings import Findings
from ..progress import telling
from ..undisturbed import undisturbed
from .activations import Units
from .halves import CHOOSING, LanguageSentences, sentences_of
from .memory import Division, divide
from .rows import ExpertTable, expert_rows
from .search import Scores, Search
from .selection import expert_count
from .settings import ExpertSettings

# What of the settings the numbers depend on, besides k and what units are.
_READING = ("pooling", "special_tokens", "max_length")
_CHOICE = ("seed", "min_sentences", "max_positives", "max_negatives")


class ExpertAnalysis:
    """Finds the experts of every concept in every language and compares the languages.

    After Suau et al. (2020, 2022) and Riemenschneider and Frank (2025). Findings depend on the weights, the sentences
    and the seed alone; rows are described in `expert_rows`. Arrays, in the order of `settings["concepts"]` and
    `settings["languages"]`: `indices` int32 (C, L, k), highest AP first, -1 where a concept has too few sentences in a
    language; `ap` float32, the AP in the choosing half; `median` float32, the unit's median response to the positives
    of the choosing half (what steering sets it to).

    Args:
        concepts: labelled sentences.
        settings: of `ExpertSettings`.

    Raises:
        ValueError: an argument is out of range, or no concept has enough sentences.
    """

    name = "experts"

    def __init__(self, concepts: ConceptSet, **settings: Any) -> None:
        self.settings = ExpertSettings(**settings)
        if self.settings.languages is not None or self.settings.only is not None:
            concepts = concepts.subset(self.settings.only, self.settings.languages)
        self.concepts, self.languages = concepts.concepts, concepts.languages
        self.fingerprint = concepts.fingerprint()
        choice = self.settings.pick(*_CHOICE)
        min_sentences = self.settings.min_sentences
        self.plans = [sentences_of(concepts, language, **choice) for language in self.languages]
        if not any(plan.sentences for plan in self.plans):
            raise ValueError(
                f"concepts: none of {len(self.concepts)} concepts has {min_sentences} positives and {min_sentences} "
                "negatives in each half of its sentences in any language; add sentences, or lower min_sentences"
            )
        self.warnings = _left_out(self.concepts, self.plans, min_sentences)

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Analyse a causal LM; it is left as it was."""
        with read_as(model, self.settings.family, tuple(self.settings.sites or ())):
            return self._analyse(model, tokenizer, step)

    def _analyse(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        units = Units.of(model)
        k = expert_count(self.settings.k, units.n)
        shape_CLk = len(self.concepts), len(self.languages), k
        indices_CLk = np.full(shape_CLk, -1, np.int64)
        ap_CLk, median_CLk = np.full(shape_CLk, np.nan), np.full(shape_CLk, np.nan, np.float32)
        division = self._division(units.n, k)
        shape = len(self.languages), len(self.concepts), units.n
        with undisturbed(model), Scores(shape, division.scores_in_memory) as scores:
            search = Search(model, tokenizer, self.settings, k, division, scores)
            languages = telling(list(enumerate(self.plans)), self.name, "language", lambda item: item[1].language)
            for number, plan in languages:
                for concept, best in search.experts(number, plan):
                    indices_CLk[concept, number] = best.index
                    ap_CLk[concept, number] = best.ap
                    median_CLk[concept, number] = best.median
            score_CLL, mean_CL = _scores(scores, indices_CLk)
        table = ExpertTable(
            self.concepts, self.languages, units, indices_CLk, ap_CLk, score_CLL, mean_CL, self.settings.seed
        )
        rows, notes = expert_rows(table, self.name, step)
        arrays = {"indices": indices_CLk.astype(np.int32), "ap": ap_CLk.astype(np.float32), "median": median_CLk}
        settings = {
            "concepts": list(self.concepts),
            "languages": list(self.languages),
            "concept_set": self.fingerprint,
            "k": k,
            "units": units.n,
            "layers": len(units.per_layer()),
            **reading_of(model),
            **self.settings.pick(*_READING, *_CHOICE),
        }
        return Findings(self.name, step, rows, arrays, settings, (*self.warnings, *notes))

    def _division(self, units: int, k: int) -> Division:
        parts = [part for plan in self.plans for half in plan.halves for part in half.concepts]
        return divide(
            self.settings.memory_gb,
            sentences=max(len(plan.sentences) for plan in self.plans),
            positives=max(len(part.positive_P) for part in parts),
            concepts=len(self.concepts),
            languages=len(self.languages),
            units=units,
            k=k,
        )


def _scores(scores: Scores, indices_CLk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean AP in the scoring half: [c, A, B] of A's experts on B's sentences, and [c, B] of all units there."""
    present_CL = indices_CLk[:, :, 0] >= 0
    score_CLL = np.full((*present_CL.shape, present_CL.shape[1]), np.nan)
    mean_CL = np.full(present_CL.shape, np.nan)
    for concept, other in zip(*np.nonzero(present_CL), strict=True):
        ap_U = scores.get(other, concept)
        chosen = np.flatnonzero(present_CL[concept])
        score_CLL[concept, chosen, other] = ap_U[indices_CLk[concept, chosen]].mean(axis=1)
        mean_CL[concept, other] = ap_U.mean()
    return score_CLL, mean_CL


def _left_out(concepts: Sequence[str], plans: Sequence[LanguageSentences], least: int) -> list[str]:
    """One line for all concepts and languages with too few sentences."""
    parts = []
    for plan in plans:
        used = {part.concept for part in plan.halves[CHOOSING].concepts}
        missing = [concept for number, concept in enumerate(concepts) if number not in used]
        if len(missing) == len(concepts):
            parts.append(f"{plan.language}: all {len(missing)}")
        elif missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            parts.append(f"{plan.language}: {', '.join(missing[:5])}{more}")
    if not parts:
        return []
    return [
        f"concepts left out for having fewer than {least} positives or {least} negatives in a half — "
        + "; ".join(parts)
    ]
