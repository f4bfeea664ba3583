"""What is generated in a steering experiment: which units are forced for which texts, and the controls.

Shapes: C concepts, L languages, k experts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ...model.interventions import Forcing
from ..experts.activations import Units
from ..findings import Findings
from .settings import SteeringSettings

UNSTEERED, STEERED, RANDOM, OTHER = "unsteered", "steered", "random", "other_concept"


@dataclass(frozen=True)
class Condition:
    """Texts generated under the same condition, one a seed; seed s is forced by `forcings[s % len(forcings)]`.

    Attributes:
        kind: `unsteered`, `steered` or `random`.
        concept, language: whose experts are forced, or give the numbers of units; none if unsteered.
        k: number of forced units.
    """

    kind: str
    concept: str | None = None
    language: str | None = None
    k: int = 0
    forcings: tuple[Forcing, ...] = ()


@dataclass(frozen=True)
class Experts:
    """Experts of concepts in languages, as `ExpertAnalysis` found them.

    Attributes:
        concepts, languages: in the order of the arrays.
        indices_CLk, median_CLk: unit, and its median response to sentences of the concept; -1 where there are none.
        units: number of units of the model.
    """

    concepts: tuple[str, ...]
    languages: tuple[str, ...]
    indices_CLk: np.ndarray
    median_CLk: np.ndarray
    units: int

    @classmethod
    def of(cls, findings: Findings) -> "Experts":
        """Read them from the findings of `ExpertAnalysis`."""
        settings, arrays = findings.settings, findings.arrays
        return cls(
            tuple(settings["concepts"]),
            tuple(settings["languages"]),
            arrays["indices"],
            arrays["median"],
            settings["units"],
        )

    @property
    def k(self) -> int:
        """How many experts each concept and language has."""
        return self.indices_CLk.shape[2]

    def has(self, concept: str, language: str) -> bool:
        """Whether the concept had enough sentences in the language."""
        return bool(self.indices_CLk[self._at(concept, language)][0] >= 0)

    def forcing(self, concept: str, language: str, k: int, mode: str, strength: float) -> Forcing:
        """The k best experts, at `strength` times their median responses; in mode `multiply`, at `strength`."""
        at = self._at(concept, language)
        median_k = np.ones(k) if mode == "multiply" else self.median_CLk[at][:k].astype(np.float64)
        return Forcing(tuple(self.indices_CLk[at][:k].tolist()), tuple((strength * median_k).tolist()))

    def _at(self, concept: str, language: str) -> tuple[int, int]:
        return self.concepts.index(concept), self.languages.index(language)


def random_units(forcing: Forcing, units: Units, random: np.random.Generator) -> Forcing:
    """As many other units in each linear layer, with the values of those they stand for.

    Units that are forced themselves are drawn only where a layer has too few others.
    """
    unit_F, value_F = np.asarray(forcing.units, np.int64), np.asarray(forcing.values)
    number_F = units.site_number(unit_F)
    bounds = [*units.starts, units.n]
    chosen_F = np.empty_like(unit_F)
    for number in np.unique(number_F):
        here = number_F == number
        pool = random.permutation(np.arange(bounds[number], bounds[number + 1]))
        pool = pool[np.argsort(np.isin(pool, unit_F[here]), kind="stable")]
        chosen_F[here] = pool[: here.sum()]
    return Forcing(tuple(chosen_F.tolist()), tuple(value_F.tolist()))


def stream(seed: int, draw: int, concept: str, language: str) -> np.random.Generator:
    """Random numbers of one draw of a control, whatever else is run beside it."""
    return np.random.default_rng([seed, draw, crc32(concept.encode()), crc32(language.encode())])


def other_concepts(experts: Experts, chosen: Sequence[str], language: str) -> Mapping[str, str]:
    """For each chosen concept another one with experts in the language: the next chosen, else the next there is."""
    found = {}
    for concept in chosen:
        for ring in (list(chosen), list(experts.concepts)):
            start = ring.index(concept)
            others = [other for other in ring[start + 1 :] + ring[:start] if experts.has(other, language)]
            if others:
                found[concept] = others[0]
                break
    return found


Pair = tuple[str, str]
"""(concept, language) whose experts are meant."""


@dataclass(frozen=True)
class Plan:
    """Every condition of an experiment.

    Attributes:
        steered: by pair, those of other concepts that serve as a control included.
        random: by pair, with random units.
        sweep: by pair and number of experts.
        others: the other concept that is each pair's control, where there is one.
    """

    pairs: tuple[Pair, ...]
    steered: Mapping[Pair, Condition]
    random: Mapping[Pair, Condition]
    sweep: Mapping[tuple[Pair, int], Condition]
    others: Mapping[Pair, str]

    @classmethod
    def of(cls, experts: Experts, units: Units, pairs: Sequence[Pair], k: int, settings: SteeringSettings) -> "Plan":
        """What is to be generated to steer with `k` experts of each pair."""

        def steering(pair: Pair, count: int) -> Condition:
            if count == 0:
                return Condition(UNSTEERED)
            return Condition(STEERED, *pair, count, (experts.forcing(*pair, count, settings.mode, settings.strength),))

        def control(pair: Pair) -> Condition:
            draws = (stream(settings.seed, draw, *pair) for draw in range(settings.random_draws))
            forcing = steered[pair].forcings[0]
            return Condition(RANDOM, *pair, k, tuple(random_units(forcing, units, draw) for draw in draws))

        steered = {pair: steering(pair, k) for pair in pairs}
        random = {pair: control(pair) for pair in pairs}
        sweep = {(pair, count): steering(pair, count) for pair in pairs for count in settings.sweep}
        others: dict[Pair, str] = {}
        for language in dict.fromkeys(language for _, language in pairs):
            chosen = [concept for concept, tongue in pairs if tongue == language]
            for concept, other in other_concepts(experts, chosen, language).items():
                others[concept, language] = other
                steered.setdefault((other, language), steering((other, language), k))
        return cls(tuple(pairs), steered, random, sweep, others)

    def distinct(self) -> list[Condition]:
        """All conditions, each once, the unsteered model first."""
        found = [Condition(UNSTEERED), *self.steered.values(), *self.random.values(), *self.sweep.values()]
        return list(dict.fromkeys(found))

    def of_pair(self, pair: Pair) -> dict[str, Condition]:
        """The conditions that tell of one pair, by the name that its rows carry."""
        found = {STEERED: self.steered[pair], RANDOM: self.random[pair]}
        if pair in self.others:
            found[OTHER] = self.steered[self.others[pair], pair[1]]
        return found | {f"{STEERED}_k{count}": made for (of, count), made in self.sweep.items() if of == pair}
