"""Steering: force a concept's experts, let the model write freely, and see which language it speaks and about what."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from torch import nn

from ...model.interventions import Forcing
from ...model.sites import read_as, reading_of, recorded_family
from ..experts.activations import Units
from ..findings import Findings, Row
from ..progress import telling
from ..undisturbed import undisturbed
from .conditions import UNSTEERED, Condition, Experts, Plan
from .generation import check_room, generate, start_tokens, text_nats
from .identification import ConceptWords, Identifier
from .rows import Text, condition_rows, mean_rows, presence_rows
from .settings import SteeringSettings

Written = dict[Condition, list[Text]]
# What of the settings the numbers depend on, besides k.
_RECORDED = ("seeds", "length", "temperature", "top_p", "mode", "positions", "strength", "random_draws", "seed")


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
        settings: of `SteeringSettings`.

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
        **settings: Any,
    ) -> None:
        self.settings = SteeringSettings(**settings)
        self.experts, self.identifier, self.words = experts, identifier, words
        self.concepts = None if concepts is None else tuple(dict.fromkeys(concepts))
        self.source_languages = None if source_languages is None else tuple(dict.fromkeys(source_languages))

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Steer a causal LM; it is left as it was."""
        found = self.experts(step)
        family, sites = found.settings.get("family"), found.settings.get("sites", ())
        # Units have the numbers that the experts were found under.
        with read_as(model, recorded_family(family) if family else None, sites):
            return self._steer(model, tokenizer, step, Experts.of(found))

    def _steer(self, model: nn.Module, tokenizer: Any, step: int, experts: Experts) -> Findings:
        check_room(model, start_tokens(tokenizer), self.settings.length)
        units = Units.of(model)
        if experts.units != units.n:
            raise ValueError(
                f"the experts of step {step} are those of a model with {experts.units} units, and this one has "
                f"{units.n}: name results of the same model"
            )
        pairs, warnings = self._pairs(experts)
        k = experts.k if self.settings.k is None else self.settings.k
        plan = Plan.of(experts, units, pairs, k, self.settings)
        with undisturbed(model):
            written = self._write(model, tokenizer, plan.distinct())
        rows = list(self._rows(written, plan))
        unknown = sorted({concept for concept, _ in pairs} - self.words.concepts)
        if unknown:
            warnings.append(f"presence is not measured for {', '.join(unknown)}: no list has words of these concepts")
        lonely = [f"{concept} in {language}" for concept, language in pairs if (concept, language) not in plan.others]
        if lonely:
            warnings.append(f"no control with another concept for {', '.join(lonely)}: no other concept has experts")
        warnings += [*self.identifier.warnings, *self.words.warnings]
        settings = {
            "concepts": list(dict.fromkeys(concept for concept, _ in pairs)),
            "source_languages": list(dict.fromkeys(language for _, language in pairs)),
            "languages": list(self.identifier.languages),
            "k": k,
            "k_sweep": list(self.settings.sweep),
            **self.settings.pick(*_RECORDED),
            **reading_of(model),
            "start": start_tokens(tokenizer),
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
        for k in (self.settings.k or 1, *self.settings.sweep):
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

    def _write(self, model: nn.Module, tokenizer: Any, conditions: Sequence[Condition]) -> Written:
        """Texts of all conditions, `batch_size` at a time, whatever their condition."""
        start, end = start_tokens(tokenizer), tokenizer.eos_token_id
        count, batch = self.settings.seeds, self.settings.batch_size
        how = self.settings.pick("length", "temperature", "top_p", "mode", "positions")
        forcings: list[Forcing] = [forcing for condition in conditions for forcing in condition.forcings]
        counts = [len(condition.forcings) for condition in conditions]
        first = dict(zip(conditions, accumulate(counts, initial=0), strict=False))
        work = [
            (seed, first[condition] + seed % len(condition.forcings) if condition.forcings else -1)
            for condition in conditions
            for seed in range(count)
        ]
        ids: list[list[int]] = []
        for at in telling(range(0, len(work), batch), self.name, "batch of texts"):
            seeds, rows = zip(*work[at : at + batch], strict=True)
            used = sorted(set(rows) - {-1})
            ids += generate(
                model, start, seeds, forcings=[forcings[row] for row in used],
                rows=[used.index(row) if row >= 0 else -1 for row in rows], end=end, **how,
            )  # fmt: skip
        nats = text_nats(model, start, ids, batch)
        texts = [tokenizer.decode(text, skip_special_tokens=True) for text in ids]
        # Many texts may be equal, under strong steering and early in training.
        distinct = list(dict.fromkeys(texts))
        languages = dict(zip(distinct, self.identifier.identify(distinct), strict=True))
        shown = dict(zip(distinct, self.words.shown(distinct), strict=True))
        done = [
            Text(seed, tuple(i), text, languages[text], shown[text], n)
            for (seed, _), i, text, n in zip(work, ids, texts, nats, strict=True)
        ]
        return {condition: done[at * count : (at + 1) * count] for at, condition in enumerate(conditions)}

    def _rows(self, written: Written, plan: Plan) -> Iterator[Row]:
        """All rows: the unsteered model, then each concept and language under each condition, then means."""
        languages = self.identifier.languages
        unsteered = written[Condition(UNSTEERED)]
        yield from condition_rows(unsteered, UNSTEERED, languages)
        rows: list[Row] = []
        for concept in dict.fromkeys(concept for concept, _ in plan.pairs):
            if concept in self.words.concepts:
                rows += presence_rows(unsteered, UNSTEERED, languages, concept)
        for concept, language in plan.pairs:
            forced = len(plan.steered[concept, language].forcings[0].units)
            rows.append({"metric": "k", "value": float(forced), "concept": concept, "language": language})
            for name, condition in plan.of_pair((concept, language)).items():
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
