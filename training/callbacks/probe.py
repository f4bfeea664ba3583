"""The language probe during training or over checkpoints."""

from typing import Any

from torch import nn

from ...analysis.concepts.text import load_text
from ...analysis.probe.analysis import ProbeAnalysis
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule


class LanguageProbe(AnalysisCallback):
    """How well each layer's hidden states tell languages apart, by a linear probe."""

    name = ProbeAnalysis.name

    def __init__(
        self,
        schedule: StepSchedule | None = None,
        text: str | None = None,
        tokens_per_language: int | list[int] = 500,
        seeds: list[int] | None = None,
        C: float = 1.0,
        test_share: float = 0.25,
        sentences_per_language: int = 1000,
        min_sentences: int = 40,
        tokens_per_sentence: int = 4,
        max_length: int = 128,
        batch_tokens: int = 4096,
        memory_gb: float = 2.0,
        tokenizer: str | None = None,
        results: str | None = None,
    ) -> None:
        """Probe hidden states.

        Args:
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            text: a prepared store, a folder of <language>.txt, a table with columns language and text, or `shipped`
                for the sentences that come with Babelscope; by default the validation documents of the run's own store.
            tokens_per_language: tokens of each language for training and test together; further numbers in a list
                train on fewer tokens as well (`accuracy_20`), which shows more of what is lost early.
            seeds: probe seeds, by default 0, 1, 2: each draws its own sentences, split and tokens.
            C: inverse strength of the L2 penalty, as in scikit-learn.
            test_share: share of the sentences that test.
            sentences_per_language: sentences of a language used per seed at most.
            min_sentences: languages with fewer are left out, with a warning.
            tokens_per_sentence: tokens drawn from one sentence at most.
            max_length: tokens of a sentence that are read.
            batch_tokens: tokens of a forward pass, padding included.
            memory_gb: gigabytes for solving probes side by side; less means more passes, never other results.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
        """
        super().__init__(schedule, tokenizer, results)
        self.text = text
        self.settings: dict[str, Any] = {
            "tokens_per_language": tokens_per_language,
            "seeds": (0, 1, 2) if seeds is None else seeds,
            "C": C,
            "test_share": test_share,
            "sentences_per_language": sentences_per_language,
            "min_sentences": min_sentences,
            "tokens_per_sentence": tokens_per_sentence,
            "max_length": max_length,
            "batch_tokens": batch_tokens,
            "memory_gb": memory_gb,
        }

    def build(self, model: nn.Module, tokenizer: Any) -> Analysis:
        """Read the text and check the settings."""
        path = self.text or self.store
        if path is None:
            raise ValueError("LanguageProbe.text is not set and the run has no token store: name text by language")
        return ProbeAnalysis(load_text(path), **self.settings)
