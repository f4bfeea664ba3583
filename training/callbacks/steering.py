"""Force concept experts and let the model write, while it trains or over its checkpoints."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import nn

from ...analysis.concepts.lexicon import SHIPPED, Lexicon
from ...analysis.failures import BrokenModelError, failure_of
from ...analysis.findings import Findings, findings_path, read_findings, result_steps
from ...analysis.steering.analysis import SteeringAnalysis
from ...analysis.steering.generation import check_room, start_tokens
from ...analysis.steering.identification import (
    ConceptWords,
    Identifier,
    KnownWords,
    LexiconWords,
    LinguaIdentifier,
    WordIdentifier,
)
from ...analysis.steering.settings import SteeringSettings
from ..data.store import TokenStore
from ..toy.world import ToyWorld
from .base import AnalysisCallback, causal_lm
from .experts import ExpertNeurons
from .schedule import StepSchedule


class Steering(AnalysisCallback):
    """Steers with the experts that `ExpertNeurons` found at the same step; list it before this callback.

    Units are those of the sites that `ExpertNeurons` was asked for.

    In a run on the toy world, its own lexicon tells languages and concepts; elsewhere lingua and the concept lexicon.

    Args:
        concepts: concepts to steer; by default all that have experts, which for many concepts takes long.
        source_languages: languages whose experts are forced; by default all that have any.
        schedule: optimizer steps at which to look; by default 0 and the powers of two. ExpertNeurons must be due too.
        languages: languages that texts are told apart in; by default the run's, else those that have experts.
        words: word lists of concepts, a YAML file or a folder of them; by default those that come with Babelscope.
        experts_results: folder of results with the experts; by default those written beside this callback's own.
        tokenizer: name or folder of the tokenizer; by default the run's own.
        results: folder for the results; by default the run's own.
        settings: of `SteeringSettings`: how experts are forced and texts written.
    """

    name = SteeringAnalysis.name
    settings_type = SteeringSettings

    def __init__(
        self,
        concepts: list[str] | None = None,
        source_languages: list[str] | None = None,
        schedule: StepSchedule | None = None,
        languages: list[str] | None = None,
        words: str | None = None,
        experts_results: str | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(schedule, tokenizer, results, SteeringSettings(**settings))
        self.concepts, self.source_languages = concepts, source_languages
        self.languages, self.words, self.experts_results = languages, words, experts_results
        self._experts_folder = Path(experts_results) if experts_results else None
        self._step = 0

    def check(
        self, before: Sequence[Any] = (), steps: Iterable[int] | None = None, results: str | Path | None = None
    ) -> None:
        """Whether there will be experts at every step that is due, and languages and words can be told.

        Raises:
            ValueError: there won't be, or they can't.
        """
        finders = [callback for callback in before if isinstance(callback, ExpertNeurons)]
        folder = self.experts_results or results
        if self.experts_results is None and finders:
            if results is None:
                check_experts_are_due(finders, steps or ())
            spoken: Any = lambda: finders[-1].languages  # noqa: E731
        elif folder is None:
            raise ValueError(
                "Steering needs the experts that ExpertNeurons finds: list ExpertNeurons before it in trainer.callbacks, "
                "or name experts_results"
            )
        else:
            wanted = list(result_steps(folder, ExpertNeurons.name)[:1] if steps is None else steps)
            for step in wanted or [0]:
                check_experts_exist(Path(folder), step)
            spoken = lambda: read_findings(folder, ExpertNeurons.name, wanted[0]).settings["languages"]  # noqa: E731
        warnings = [w for tells in instruments(self.store, self.languages, self.words, spoken) for w in tells.warnings]
        if warnings:
            self.warn("before it begins", warnings)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find before step 0 that texts would be longer than the model reads."""
        assert isinstance(self.settings, SteeringSettings)
        check_room(causal_lm(pl_module), start_tokens(self._tokenizer), self.settings.length)

    def run(self, model: nn.Module, tokenizer: Any, step: int, tokens: int | None, results: str | Path) -> Findings:
        """Steer `model` as the checkpoint of `step` and write what was found, texts included, below `results`."""
        if self.experts_results is None:
            self._experts_folder = Path(results)
        self._step = step
        return super().run(model, tokenizer, step, tokens, results)

    def build(self, model: nn.Module, tokenizer: Any) -> SteeringAnalysis:
        """The analysis, with what tells languages and concepts apart in this run.

        Raises:
            ValueError: there are no experts at the step, no way to tell the languages apart, or an argument is out of
                range.
        """
        identifier, words = instruments(self.store, self.languages, self.words, self._languages_with_experts)
        return SteeringAnalysis(
            self.experts_at, identifier, words, concepts=self.concepts, source_languages=self.source_languages,
            **self.settings.as_arguments(),
        )  # fmt: skip

    def experts_at(self, step: int) -> Findings:
        """What `ExpertNeurons` found at a step.

        Raises:
            ValueError: there is nothing.
        """
        assert self._experts_folder is not None, "run() says where results lie"
        return read_experts(self._experts_folder, step)

    def _languages_with_experts(self) -> Sequence[str]:
        return self.experts_at(self._step).settings["languages"]


def read_experts(results: Path, step: int) -> Findings:
    """The findings of the expert analysis at a step.

    Raises:
        BrokenModelError: the analysis could not be done.
        ValueError: there are none, with the steps that have any.
    """
    check_experts_exist(results, step)
    found = read_findings(results, ExpertNeurons.name, step)
    reason = failure_of(found)
    if reason is not None:
        raise BrokenModelError(f"there are no experts to steer with at step {step}: {reason}")
    return found


def check_experts_exist(results: Path, step: int) -> None:
    """Whether the expert analysis has results at a step, be it the reason why it could not be done.

    Raises:
        ValueError: it has none, with the steps that have any.
    """
    if not findings_path(results, ExpertNeurons.name, step).exists():
        steps = result_steps(results, ExpertNeurons.name)
        there = f"it has them at {', '.join(map(str, steps))}" if steps else "it has none at all"
        raise ValueError(
            f"steering at step {step} needs the experts of that step, and {results} has none ({there}): list "
            "ExpertNeurons before Steering with a schedule that has this step, or name experts_results"
        )


def check_experts_are_due(finders: Sequence[ExpertNeurons], steps: Iterable[int]) -> None:
    """Whether some `ExpertNeurons` is due whenever steering is.

    Raises:
        ValueError: the first step at which none is.
    """
    steps = list(steps)
    due = {step for finder in finders for step in finder.schedule.steps(max(steps, default=0))}
    missing = [step for step in steps if step not in due]
    if missing:
        raise ValueError(
            f"Steering.schedule is due at step {missing[0]}, where ExpertNeurons is not: give both the same schedule"
        )


def instruments(
    store: str | None, languages: Sequence[str] | None, words: str | None, languages_of_experts: Any
) -> tuple[Identifier, ConceptWords]:
    """What tells languages and concepts in texts: the toy world's own lexicon, or lingua and a concept lexicon.

    Args:
        store: the run's token store, if any.
        languages: languages to tell apart; by default those of the store, else `languages_of_experts()`.
        words: file or folder of a concept lexicon; by default the one that comes with the package.

    Raises:
        ValueError: a language that cannot be identified, or a lexicon that cannot be read.
    """
    opened = None if store is None else TokenStore(store)
    world = None if opened is None else toy_world(opened)
    if world is not None:
        lexicon = world.lexicon()
        everything = {language: sum(concepts.values(), ()) for language, concepts in lexicon.items()}
        topics = {
            language: {concept: forms for concept, forms in concepts.items() if concept != "function"}
            for language, concepts in lexicon.items()
        }
        return WordIdentifier(everything), KnownWords(topics)
    spoken = languages or (languages_of_experts() if opened is None else opened.languages)
    return LinguaIdentifier(spoken), LexiconWords(Lexicon.load(words or SHIPPED), spoken)


def toy_world(store: TokenStore) -> ToyWorld | None:
    """The toy world that a store was prepared from, if it was."""
    sources = store.manifest.get("settings", {}).get("sources", [])
    settings = next((source["toy"] for source in sources if "toy" in source), None)
    return None if settings is None else ToyWorld(**settings)
