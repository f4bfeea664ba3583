"""Whether translations are represented alike, while a model trains or over its checkpoints."""

from pathlib import Path
from typing import Any

from ...analysis.alignment.analysis import AlignmentAnalysis, load_parallel
from ...analysis.alignment.settings import AlignmentSettings
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule

PARALLEL_FILE = "parallel.parquet"
"""Parallel sentences beside a token store, where its source knows translations (the toy world)."""


class ParallelAlignment(AnalysisCallback):
    """Retrieval of translations both ways, their cosine margin, and linear CKA, per layer and pair of languages."""

    name = AlignmentAnalysis.name
    settings_type = AlignmentSettings

    def __init__(
        self,
        parallel: str | None = None,
        schedule: StepSchedule | None = None,
        languages: list[str] | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        **settings: Any,
    ) -> None:
        """Compare translations.

        Args:
            parallel: a .parquet, .csv or .jsonl table with columns id, language and text; sentences with one id mean
                the same. By default parallel.parquet in the run's token store.
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            languages: languages to use; by default all of the table.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
            settings: of `AlignmentSettings`: which sentences are compared and how they are read.
        """
        super().__init__(schedule, tokenizer, results, AlignmentSettings(**settings))
        self.parallel, self.languages = parallel, languages

    def prepare(self) -> Analysis:
        """Read the sentences."""
        return AlignmentAnalysis(load_parallel(self.parallel_path(), self.languages), **self.settings.as_arguments())

    def parallel_path(self) -> Path:
        """Where the sentences lie.

        Raises:
            ValueError: no table was given, and the run's token store has none.
        """
        if self.parallel is not None:
            return Path(self.parallel)
        path = None if self.store is None else Path(self.store) / PARALLEL_FILE
        if path is None or not path.exists():
            where = "there is no token store" if path is None else f"{path} does not exist"
            raise ValueError(
                f"ParallelAlignment has no sentences, and {where}: pass parallel=FILE, a table with id, language, text"
            )
        return path
