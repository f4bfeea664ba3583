"""Concept experts of every language, what they share, and how well they serve other languages: the whole analysis.

Experts are chosen by average precision on one half of the sentences; whatever is reported about precision is measured
on the other half. Shapes: C concepts, L languages, U units, S sentences, k experts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ...model.families import Family
from ...model.sites import read_as, reading_of
from ..concepts.concept_set import ConceptSet
from ..findings import Findings
from ..undisturbed import undisturbed
from .activations import POOLINGS, Units, iter_unit_responses
from .halves import CHOOSING, LanguageSentences, sentences_of
from .memory import Division, divide
from .rows import ExpertTable, expert_rows
from .scoring import precision_in_halves
from .search import BestUnits, Scores
from .selection import expert_count


class ExpertAnalysis:
    """Finds the experts of every concept in every language and compares the languages.

    After Suau et al. (2020, 2022) and Riemenschneider and Frank (2025). Findings depend on the weights, the sentences
    and the seed alone; rows are described in `expert_rows`. Arrays, in the order of `settings["concepts"]` and
    `settings["languages"]`: `indices` int32 (C, L, k), highest AP first, -1 where a concept has too few sentences in a
    language; `ap` float32, the AP in the choosing half; `median` float32, the unit's median response to the positives
    of the choosing half (what steering sets it to).

    Args:
        concepts: labelled sentences.
        k: number of experts, or a fraction of the units; by default 500 as in the study, at most 1 % of the units.
        pooling: over a sentence's tokens: `max`, `mean` or `last`.
        special_tokens: whether the tokenizer's own tokens count as tokens of a sentence.
        seed: of the halves and of the bootstrap.
        max_length: tokens of a sentence that are read.
        batch_tokens: tokens of a batch, padding included.
        memory_gb: gigabytes (1e9 bytes) that bound what is allocated beside the model and the concept set, but for
            `memory.OVERHEAD_GB`. Where responses do not fit, the text is read in several passes over blocks of layers;
            scores of all units that do not fit go to a temporary file. Results are the same bit by bit.
        min_sentences: positives, and negatives, that a concept needs in each half to be used in a language.
        max_positives, max_negatives: take at most so many of a concept's sentences in a language.
        languages, only: languages and concepts to use; by default all.
        sites: whose outputs are units (see `model.families`); by default the linear layers of every block.
        family: where blocks and units are, for an architecture without a row of its own.

    Raises:
        ValueError: an argument is out of range, or no concept has enough sentences.
    """

    name = "experts"

    def __init__(
        self,
        concepts: ConceptSet,
        *,
        k: int | float | None = None,
        pooling: str = "max",
        special_tokens: bool = True,
        seed: int = 0,
        max_length: int = 128,
        batch_tokens: int = 4096,
        memory_gb: float = 2.0,
        min_sentences: int = 10,
        max_positives: int | None = None,
        max_negatives: int | None = None,
        languages: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
        sites: Sequence[str] | None = None,
        family: Family | None = None,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r}: choose one of {', '.join(POOLINGS)}")
        if min_sentences < 1:
            raise ValueError(f"min_sentences={min_sentences}: a half without sentences ranks nothing; give at least 1")
        if not memory_gb > 0:
            raise ValueError(f"memory_gb={memory_gb}: give a positive number of gigabytes")
        if languages is not None or only is not None:
            concepts = concepts.subset(only, languages)
        self.k = k
        self.sites, self.family = tuple(sites or ()), family
        self.memory_gb = memory_gb
        self.concepts = concepts.concepts
        self.languages = concepts.languages
        self.reading: dict[str, Any] = {
            "pooling": pooling,
            "special_tokens": special_tokens,
            "max_length": max_length,
        }
        self.batch_tokens = batch_tokens
        self.choice: dict[str, Any] = {
            "seed": seed,
            "min_sentences": min_sentences,
            "max_positives": max_positives,
            "max_negatives": max_negatives,
        }
        self.fingerprint = concepts.fingerprint()
        self.plans = [sentences_of(concepts, language, **self.choice) for language in self.languages]
        if not any(plan.sentences for plan in self.plans):
            raise ValueError(
                f"concepts: none of {len(self.concepts)} concepts has {min_sentences} positives and {min_sentences} "
                "negatives in each half of its sentences in any language; add sentences, or lower min_sentences"
            )
        self.warnings = _left_out(self.concepts, self.plans, min_sentences)

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Analyse a causal LM; it is left as it was."""
        with read_as(model, self.family, self.sites):
            return self._analyse(model, tokenizer, step)

    def _analyse(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        units = Units.of(model)
        k = expert_count(self.k, units.n)
        shape_CLk = len(self.concepts), len(self.languages), k
        indices_CLk = np.full(shape_CLk, -1, np.int64)
        ap_CLk, median_CLk = np.full(shape_CLk, np.nan), np.full(shape_CLk, np.nan, np.float32)
        division = self._division(units.n, k)
        shape = len(self.languages), len(self.concepts), units.n
        with undisturbed(model), Scores(shape, division.scores_in_memory) as scores:
            for number, plan in enumerate(self.plans):
                for concept, best in self._experts(model, tokenizer, plan, k, division, scores, number):
                    indices_CLk[concept, number] = best.index
                    ap_CLk[concept, number] = best.ap
                    median_CLk[concept, number] = best.median
            score_CLL, mean_CL = _scores(scores, indices_CLk)
        table = ExpertTable(
            self.concepts, self.languages, units, indices_CLk, ap_CLk, score_CLL, mean_CL, self.choice["seed"]
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
            **self.reading,
            **self.choice,
        }
        return Findings(self.name, step, rows, arrays, settings, (*self.warnings, *notes))

    def _division(self, units: int, k: int) -> Division:
        parts = [part for plan in self.plans for half in plan.halves for part in half.concepts]
        return divide(
            self.memory_gb,
            sentences=max(len(plan.sentences) for plan in self.plans),
            positives=max(len(part.positive_P) for part in parts),
            concepts=len(self.concepts),
            languages=len(self.languages),
            units=units,
            k=k,
        )

    def _experts(
        self,
        model: nn.Module,
        tokenizer: Any,
        plan: LanguageSentences,
        k: int,
        division: Division,
        scores: Scores,
        language: int,
    ) -> list[tuple[int, BestUnits]]:
        """Experts of each concept of a language; the AP of all units in the scoring half goes to `scores`."""
        if not plan.sentences:
            return []
        parts = plan.halves[CHOOSING].concepts
        best = [BestUnits.none(k) for _ in parts]
        groups = iter_unit_responses(
            model,
            tokenizer,
            plan.sentences,
            batch_tokens=self.batch_tokens,
            memory_gb=self.memory_gb,
            fixed=division.fixed,
            **self.reading,
        )
        for group, responses in groups:
            responses_SU = responses.numpy()
            del responses
            for first in range(0, group.stop - group.start, division.block):
                block_SU = responses_SU[:, first : first + division.block]
                choosing_CU, scoring_CU = precision_in_halves(block_SU, plan, division.chunk)
                for row, (found, part) in enumerate(zip(best, parts, strict=True)):
                    scores.put(language, part.concept, group.start + first, scoring_CU[row])
                    found.see(group.start + first, choosing_CU[row], block_SU, part.positive_P)
            del responses_SU, block_SU
        return [(part.concept, found) for part, found in zip(parts, best, strict=True)]


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
