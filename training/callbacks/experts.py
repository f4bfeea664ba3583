"""Concept experts and what languages share of them, while a model trains or over its checkpoints."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import nn

from ...analysis.concepts.concept_set import ConceptSet
from ...analysis.experts.analysis import ExpertAnalysis
from ...model.families import Family
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
        k: number of experts of a concept and language, or a fraction of the model's units (0.01). By default 500, as
            in the study, but at most 1 % of the units.
        pooling: how a unit's responses to the tokens of a sentence become one: max, mean or last.
        special_tokens: whether the tokenizer's own tokens, such as a leading </s>, count as tokens of the sentence.
        seed: decides which half of the sentences chooses experts and which scores them, and seeds the bootstrap.
        max_length: tokens of a sentence that are read.
        batch_tokens: tokens of a batch, padding included.
        memory_gb: gigabytes (1e9 bytes) that the analysis may take beside the model, the forward pass on a CPU included;
            less means reading the text more often, never other results.
        min_sentences: positives, and negatives, that a concept needs in each half to be used in a language.
        max_positives: take at most so many positives of a concept in a language; by default all.
        max_negatives: take at most so many negatives of a concept in a language; by default all.
        languages: languages to use; by default all of the concept set.
        only: concepts to use; by default all of the concept set.
        sites: sites whose outputs are units; by default all linear layers of a block: qkv, attn_out, ffn_gate (where
            there is one), ffn_in, ffn_out. Others are ffn_act, the FFN after its activation (act(gate) in a gated block),
            and ffn_gated, act(gate) * up. Steering forces units of the same sites.
        family: where blocks and units are (backbone, blocks, units, activation), for an architecture that has no row of
            its own; for Steering as well.
        tokenizer: name or folder of the tokenizer; by default the run's own.
        results: folder for the results; by default the run's own.
    """

    name = ExpertAnalysis.name

    def __init__(
        self,
        concepts: str | None = None,
        schedule: StepSchedule | None = None,
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
        languages: list[str] | None = None,
        only: list[str] | None = None,
        sites: list[str] | None = None,
        family: Family | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
    ) -> None:
        super().__init__(schedule, tokenizer, results)
        self.concepts = concepts
        self.settings: dict[str, Any] = {
            "k": k,
            "pooling": pooling,
            "special_tokens": special_tokens,
            "seed": seed,
            "max_length": max_length,
            "batch_tokens": batch_tokens,
            "memory_gb": memory_gb,
            "min_sentences": min_sentences,
            "max_positives": max_positives,
            "max_negatives": max_negatives,
            "languages": languages,
            "only": only,
            "sites": sites,
            "family": family,
        }

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the concept set before training begins, rather than fail at the first step that is due."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self.concepts_path()

    def build(self, model: nn.Module, tokenizer: Any) -> ExpertAnalysis:
        """The analysis, with the concept set read from its file.

        Raises:
            ValueError: there is no concept set, or an argument is out of range.
        """
        return ExpertAnalysis(ConceptSet.load(self.concepts_path()), **self.settings)

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
