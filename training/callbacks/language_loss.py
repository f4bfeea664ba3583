"""Held-out loss per language during training or over checkpoints."""

from typing import Any

from ...analysis.concepts.text import load_text
from ...analysis.language_loss import LanguageLoss, LossSettings
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule


class PerLanguageLoss(AnalysisCallback):
    """Loss in nats per token and bits per byte of every language on held-out text."""

    name = LanguageLoss.name
    settings_type = LossSettings

    def __init__(
        self,
        schedule: StepSchedule | None = None,
        text: str | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        **settings: Any,
    ) -> None:
        """Score held-out text.

        Args:
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            text: a prepared store, a folder of <language>.txt, a table with columns language and text, or `shipped`
                for the sentences that come with Babelscope; by default the validation documents of the run's own store.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
            settings: of `LossSettings`: windows, and how much is scored.
        """
        super().__init__(schedule, tokenizer, results, LossSettings(**settings))
        self.text = text

    def prepare(self) -> Analysis:
        """Read the text."""
        path = self.text or self.store
        if path is None:
            raise ValueError("PerLanguageLoss.text is not set and the run has no token store: name held-out text")
        return LanguageLoss(load_text(path), **self.settings.as_arguments())
