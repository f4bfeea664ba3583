"""Whether translations are represented alike, while a model trains or over its checkpoints."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import nn

from ...analysis.alignment.analysis import AlignmentAnalysis, load_parallel
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule

PARALLEL_FILE = "parallel.parquet"
"""Parallel sentences beside a token store, where its source knows translations (the toy world)."""


class ParallelAlignment(AnalysisCallback):
    """Retrieval of translations both ways, their cosine margin, and linear CKA, per layer and pair of languages."""

    name = AlignmentAnalysis.name

    def __init__(
        self,
        parallel: str | None = None,
        schedule: StepSchedule | None = None,
        max_sentences: int = 200,
        permutations: int = 99,
        seed: int = 0,
        special_tokens: bool = False,
        max_length: int = 128,
        batch_tokens: int = 4096,
        memory_gb: float = 2.0,
        languages: list[str] | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
    ) -> None:
        """Compare translations.

        Args:
            parallel: a .parquet, .csv or .jsonl table with columns id, language and text; sentences with one id mean
                the same. By default parallel.parquet in the run's token store.
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            max_sentences: ids used at most.
            permutations: of the sentences, for the null of CKA.
            seed: of the draw of sentences and of the permutations.
            special_tokens: whether the tokenizer's own tokens count in a sentence's mean.
            max_length: tokens of a sentence that are read.
            batch_tokens: tokens of a forward pass.
            memory_gb: gigabytes of states held at a time; less means more passes, never other results.
            languages: languages to use; by default all of the table.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
        """
        super().__init__(schedule, tokenizer, results)
        self.parallel, self.languages = parallel, languages
        self.settings: dict[str, Any] = {
            "max_sentences": max_sentences,
            "permutations": permutations,
            "seed": seed,
            "special_tokens": special_tokens,
            "max_length": max_length,
            "batch_tokens": batch_tokens,
            "memory_gb": memory_gb,
        }

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the sentences before training begins, rather than fail at the first step that is due."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self.parallel_path()

    def build(self, model: nn.Module, tokenizer: Any) -> Analysis:
        """Read the sentences."""
        return AlignmentAnalysis(load_parallel(self.parallel_path(), self.languages), **self.settings)

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
