"""Held-out loss per language during training or over checkpoints."""

from typing import Any

from torch import nn

from ...analysis.concepts.text import load_text
from ...analysis.language_loss import LanguageLoss
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule


class PerLanguageLoss(AnalysisCallback):
    """Loss in nats per token and bits per byte of every language on held-out text."""

    name = LanguageLoss.name

    def __init__(
        self,
        schedule: StepSchedule | None = None,
        text: str | None = None,
        context: int = 2048,
        stride: int | None = None,
        max_tokens: int = 32768,
        batch_tokens: int = 8192,
        tokenizer: str | None = None,
        results: str | None = None,
    ) -> None:
        """Score held-out text.

        Args:
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            text: a prepared store, a folder of <language>.txt, a table with columns language and text, or `shipped`
                for the sentences that come with Babelscope; by default the validation documents of the run's own store.
            context: tokens of a window; the model's positions bound it.
            stride: tokens by which overlapping windows advance; half the context by default.
            max_tokens: tokens scored per language at most.
            batch_tokens: tokens of a forward pass.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
        """
        super().__init__(schedule, tokenizer, results)
        self.text = text
        self.settings: dict[str, Any] = {
            "context": context,
            "stride": stride,
            "max_tokens": max_tokens,
            "batch_tokens": batch_tokens,
        }

    def build(self, model: nn.Module, tokenizer: Any) -> Analysis:
        """Read the text."""
        path = self.text or self.store
        if path is None:
            raise ValueError("PerLanguageLoss.text is not set and the run has no token store: name held-out text")
        return LanguageLoss(load_text(path), **self.settings)
