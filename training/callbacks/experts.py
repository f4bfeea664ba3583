"""Concept experts and what languages share of them, while a model trains or over its checkpoints."""

from pathlib import Path
from typing import Any

from ...analysis.concepts.concept_set import ConceptSet
from ...analysis.experts.analysis import ExpertAnalysis
from ...analysis.experts.settings import ExpertSettings
from .base import AnalysisCallback
from .schedule import StepSchedule

CONCEPTS_FILE = "concepts.parquet"
"""The concept set beside a token store, where its source knows the concepts (the toy world)."""


class ExpertNeurons(AnalysisCallback):
    """Finds the expert units of every concept in every language and measures how many the languages share.

    Args:
        concepts: concept set: a .parquet, .csv or .jsonl table (concept, language, text, label), a `datasets` folder,
            a folder of ml-selfcond files per language, or `shipped` for the sentences that come with Babelscope (24
            concepts, 16 languages). By default concepts.parquet in the run's token store.
        schedule: optimizer steps at which to look; by default 0 and the powers of two.
        tokenizer: name or folder of the tokenizer; by default the run's own.
        results: folder for the results; by default the run's own.
        settings: of `ExpertSettings`: how responses are read and experts chosen.
    """

    name = ExpertAnalysis.name
    settings_type = ExpertSettings

    def __init__(
        self,
        concepts: str | None = None,
        schedule: StepSchedule | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(schedule, tokenizer, results, ExpertSettings(**settings))
        self.concepts = concepts

    def prepare(self) -> ExpertAnalysis:
        """The analysis, with the concept set read from its file.

        Raises:
            ValueError: there is no concept set, or an argument is out of range.
        """
        return ExpertAnalysis(ConceptSet.load(self.concepts_path()), **self.settings.as_arguments())

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that experts are found in."""
        analysis = self._analysis or self.prepare()
        assert isinstance(analysis, ExpertAnalysis)
        self._analysis = analysis
        return analysis.languages

    def concepts_path(self) -> Path:
        """Where the concept set lies.

        Raises:
            ValueError: none was given, and the run's token store has none.
        """
        if self.concepts is not None:
            return Path(self.concepts)
        path = None if self.store is None else Path(self.store) / CONCEPTS_FILE
        if path is None or not path.exists():
            where = "there is no token store" if path is None else f"{path} does not exist"
            raise ValueError(
                f"ExpertNeurons has no concepts, and {where}: pass concepts=FILE "
                "(`babelscope concepts mine` builds one from text) or concepts='shipped'"
            )
        return path
