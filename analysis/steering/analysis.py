"""Steering: force a concept's experts, let the model write freely, and see which language it speaks and about what."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from torch import nn

from ...model.interventions import MODES, POSITIONS, Forcing
from ...model.sites import read_as, reading_of, recorded_family
from ..experts.activations import Units
from ..findings import Findings, Row
from ..undisturbed import undisturbed
from .conditions import (
    RANDOM,
    STEERED,
    UNSTEERED,
    Condition,
    Experts,
    other_concepts,
    random_units,
    stream,
)
from .generation import generate, start_tokens, text_nats
from .identification import ConceptWords, Identifier
from .rows import Text, condition_rows, mean_rows, presence_rows

Written = dict[Condition, list[Text]]


class SteeringAnalysis:
    """Sets the experts of each concept and language to their median responses and generates, with the controls.

    After Suau et al. (2022) and Riemenschneider and Frank (2025). Controls, always: the unsteered model; as many random
    units in each linear layer, set to the experts' values (texts are dealt out to `random_draws` draws); another
    concept's experts in the same language. Rows are described in `steering_rows`; the texts are kept with their seed.

    Args:
        experts: step -> the findings of `ExpertAnalysis` there.
        identifier: tells the languages of texts.
        words: tells concepts in texts; presence is not measured for concepts that it does not know.
        concepts: concepts to steer; by default all that have experts.
        source_languages: languages whose experts are forced; by default all that have any.
        seeds: texts a condition; text s has seed s.
        k: experts forced; by default all that were found.
        k_sweep: further numbers of experts to steer with; 0 is the unsteered model.
        length, temperature, top_p: of generation, see `generate`.
        mode: `set` experts to `strength` times their medians, `add` that to them, or `multiply` them by `strength`.
        positions: `all`, or the `last` one alone.
        strength: see `mode`.
        random_draws: draws of random units.
        seed: of the draws.
        batch_size: texts of a forward pass.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "steering"

    def __init__(
        self,
        experts: Callable[[int], Findings],
        identifier: Identifier,
        words: ConceptWords,
        *,
        concepts: Sequence[str] | None = None,
        source_languages: Sequence[str] | None = None,
        seeds: int = 100,
        k: int | None = None,
        k_sweep: Sequence[int] = (),
        length: int = 20,
        temperature: float = 0.8,
        top_p: float = 0.9,
        mode: str = "set",
        positions: str = "all",
        strength: float = 1.0,
        random_draws: int = 4,
        seed: int = 0,
        batch_size: int = 400,
    ) -> None:
        for field, value, choices in (("mode", mode, MODES), ("positions", positions, POSITIONS)):
            if value not in choices:
                raise ValueError(f"{field}={value!r}: choose one of {', '.join(choices)}")
        for field, number in (("seeds", seeds), ("length", length), ("random_draws", random_draws)):
            if number < 1:
                raise ValueError(f"{field}={number}: give at least 1")
        if batch_size < 1 or temperature <= 0 or not 0 < top_p <= 1:
            raise ValueError(
                f"batch_size={batch_size}, temperature={temperature}, top_p={top_p}: give at least 1, a positive "
                "temperature, and top_p above 0 and at most 1"
            )
        if mode == "multiply" and strength == 1:
            raise ValueError("mode=multiply with strength=1 changes nothing: give another strength, for example 2")
        if (k is not None and k < 1) or any(number < 0 for number in k_sweep):
            raise ValueError(f"k={k}, k_sweep={list(k_sweep)}: give at least 1 expert, and 0 or more in a sweep")
        self.experts, self.identifier, self.words = experts, identifier, words
        self.concepts = None if concepts is None else tuple(dict.fromkeys(concepts))
        self.source_languages = None if source_languages is None else tuple(dict.fromkeys(source_languages))
        self.seeds, self.k, self.k_sweep = seeds, k, tuple(sorted(set(k_sweep)))
        self.sampling: dict[str, Any] = {"length": length, "temperature": temperature, "top_p": top_p}
        self.forcing: dict[str, Any] = {"mode": mode, "positions": positions}
        self.strength, self.random_draws, self.seed, self.batch_size = strength, random_draws, seed, batch_size

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Steer a causal LM; it is left as it was."""
        found = self.experts(step)
        family, sites = found.settings.get("family"), found.settings.get("sites", ())
        # Units have the numbers that the experts were found under.
        with read_as(model, recorded_family(family) if family else None, sites):
            return self._steer(model, tokenizer, step, Experts.of(found))

    def _steer(self, model: nn.Module, tokenizer: Any, step: int, experts: Experts) -> Findings:
        units = Units.of(model)
        if experts.units != units.n:
            raise ValueError(
                f"the experts of step {step} are those of a model with {experts.units} units, and this one has "
                f"{units.n}: name results of the same model"
            )
        pairs, warnings = self._pairs(experts)
        k = experts.k if self.k is None else self.k
        steered, sweep, random, others = self._conditions(experts, units, pairs, k)
        everything = [Condition(UNSTEERED), *steered.values(), *random.values(), *sweep.values()]
        with undisturbed(model):
            written = self._write(model, tokenizer, list(dict.fromkeys(everything)))
        rows = list(self._rows(written, pairs, k, steered, sweep, random, others))
        unknown = sorted({concept for concept, _ in pairs} - self.words.concepts)
        if unknown:
            warnings.append(f"presence is not measured for {', '.join(unknown)}: no list has words of these concepts")
        lonely = [f"{concept} in {language}" for concept, language in pairs if (concept, language) not in others]
        if lonely:
            warnings.append(f"no control with another concept for {', '.join(lonely)}: no other concept has experts")
        warnings += getattr(self.words, "warnings", ())
        settings = {
            "concepts": list(dict.fromkeys(concept for concept, _ in pairs)),
            "source_languages": list(dict.fromkeys(language for _, language in pairs)),
            "languages": list(self.identifier.languages),
            "k": k,
            "seeds": self.seeds,
            "k_sweep": list(self.k_sweep),
            "strength": self.strength,
            "random_draws": self.random_draws,
            "seed": self.seed,
            **reading_of(model),
            "start": start_tokens(tokenizer),
            **self.sampling,
            **self.forcing,
        }
        texts = (_record(condition, text) for condition, found in written.items() for text in found)
        return Findings.from_rows(self.name, step, rows, settings=settings, warnings=warnings, texts=texts)

    def _pairs(self, experts: Experts) -> tuple[list[tuple[str, str]], list[str]]:
        """Which experts to steer with, and what is left out."""
        for field, wanted, known in (
            ("concepts", self.concepts, experts.concepts),
            ("source_languages", self.source_languages, experts.languages),
        ):
            missing = [name for name in wanted or () if name not in known]
            if missing:
                raise ValueError(f"{field}: {', '.join(missing)} has no experts; choose from {', '.join(known)}")
        for k in (self.k or 1, *self.k_sweep):
            if k > experts.k:
                raise ValueError(
                    f"{k} experts are to be forced, and {experts.k} of each concept were found: lower k and k_sweep, or "
                    "let ExpertNeurons find more (its k)"
                )
        wanted_pairs = [
            (concept, language)
            for concept in self.concepts or experts.concepts
            for language in self.source_languages or experts.languages
        ]
        pairs = [pair for pair in wanted_pairs if experts.has(*pair)]
        left_out = [
            f"{concept} in {language}" for concept, language in wanted_pairs if not experts.has(concept, language)
        ]
        if not pairs:
            raise ValueError(f"no experts to steer with: {', '.join(left_out)} had too few sentences")
        warnings = [f"not steered, for want of experts: {', '.join(left_out)}"] if left_out else []
        return pairs, warnings

    def _conditions(
        self, experts: Experts, units: Units, pairs: Sequence[tuple[str, str]], k: int
    ) -> tuple[dict, dict, dict, dict]:
        """Conditions by (concept, language): steered, with further k, with random units; and the other concept."""

        def steering(concept: str, language: str, count: int) -> Condition:
            if count == 0:
                return Condition(UNSTEERED)
            forcing = experts.forcing(concept, language, count, self.forcing["mode"], self.strength)
            return Condition(STEERED, concept, language, count, (forcing,))

        steered = {pair: steering(*pair, k) for pair in pairs}
        sweep = {(*pair, count): steering(*pair, count) for pair in pairs for count in self.k_sweep}
        random = {
            pair: Condition(RANDOM, *pair, k, tuple(
                random_units(steered[pair].forcings[0], units, stream(self.seed, draw, *pair))
                for draw in range(self.random_draws)
            ))
            for pair in pairs
        }  # fmt: skip
        others = {}
        for language in dict.fromkeys(language for _, language in pairs):
            chosen = [concept for concept, tongue in pairs if tongue == language]
            for concept, other in other_concepts(experts, chosen, language).items():
                others[concept, language] = other
                steered.setdefault((other, language), steering(other, language, k))
        return steered, sweep, random, others

    def _write(self, model: nn.Module, tokenizer: Any, conditions: Sequence[Condition]) -> Written:
        """Texts of all conditions, `batch_size` at a time, whatever their condition."""
        start, end = start_tokens(tokenizer), tokenizer.eos_token_id
        forcings: list[Forcing] = [forcing for condition in conditions for forcing in condition.forcings]
        counts = [len(condition.forcings) for condition in conditions]
        first = dict(zip(conditions, accumulate(counts, initial=0), strict=False))
        work = [
            (seed, first[condition] + seed % len(condition.forcings) if condition.forcings else -1)
            for condition in conditions
            for seed in range(self.seeds)
        ]
        ids: list[list[int]] = []
        for at in range(0, len(work), self.batch_size):
            seeds, rows = zip(*work[at : at + self.batch_size], strict=True)
            used = sorted(set(rows) - {-1})
            ids += generate(
                model, start, seeds, forcings=[forcings[row] for row in used],
                rows=[used.index(row) if row >= 0 else -1 for row in rows], end=end, **self.sampling, **self.forcing,
            )  # fmt: skip
        nats = text_nats(model, start, ids, self.batch_size)
        texts = [tokenizer.decode(text, skip_special_tokens=True) for text in ids]
        # Many texts may be equal, under strong steering and early in training.
        distinct = list(dict.fromkeys(texts))
        languages = dict(zip(distinct, self.identifier.identify(distinct), strict=True))
        shown = dict(zip(distinct, self.words.shown(distinct), strict=True))
        done = [
            Text(seed, tuple(i), text, languages[text], shown[text], n)
            for (seed, _), i, text, n in zip(work, ids, texts, nats, strict=True)
        ]
        return {condition: done[at * self.seeds : (at + 1) * self.seeds] for at, condition in enumerate(conditions)}

    def _rows(
        self, written: Written, pairs: Sequence[tuple[str, str]], k: int, steered: dict, sweep: dict, random: dict,
        others: dict,
    ) -> Iterator[Row]:  # fmt: skip
        """All rows: the unsteered model, then each concept and language under each condition, then means."""
        languages = self.identifier.languages
        unsteered = written[Condition(UNSTEERED)]
        yield from condition_rows(unsteered, UNSTEERED, languages)
        rows: list[Row] = []
        for concept in dict.fromkeys(concept for concept, _ in pairs):
            if concept in self.words.concepts:
                rows += presence_rows(unsteered, UNSTEERED, languages, concept)
        for concept, language in pairs:
            forced = len(steered[concept, language].forcings[0].units)
            rows.append({"metric": "k", "value": float(forced), "concept": concept, "language": language})
            conditions = {STEERED: steered[concept, language], RANDOM: random[concept, language]}
            if (concept, language) in others:
                conditions["other_concept"] = steered[others[concept, language], language]
            conditions |= {f"{STEERED}_k{count}": sweep[concept, language, count] for count in self.k_sweep}
            for name, condition in conditions.items():
                rows += condition_rows(written[condition], name, languages, concept, language)
                if concept in self.words.concepts:
                    rows += presence_rows(written[condition], name, languages, concept, language)
        yield from rows
        yield from mean_rows(rows)


def _record(condition: Condition, text: Text) -> dict[str, Any]:
    """A text as it is kept."""
    return {
        "condition": condition.kind,
        "concept": condition.concept,
        "source_language": condition.language,
        "k": condition.k,
        "seed": text.seed,
        "draw": text.seed % len(condition.forcings) if len(condition.forcings) > 1 else None,
        "language": text.language,
        "text": text.text,
        "tokens": len(text.ids),
        "nats": round(text.nats, 4),
        "shown": sorted(text.shown),
    }
