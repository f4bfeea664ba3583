"""Whether checkpoints are sound, during training or before any curve is drawn over those of others."""

import logging
from pathlib import Path
from typing import Any

from torch import nn

from ...analysis.concepts.text import load_text
from ...analysis.findings import Findings, read_findings
from ...analysis.health.analysis import HealthAnalysis
from ...analysis.health.settings import HealthSettings
from ...analysis.health.verdicts import review
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule

log = logging.getLogger(__name__)


class CheckpointHealth(AnalysisCallback):
    """A hash of the weights, broken tensors, norms, held-out loss, and what that says about the series.

    Copies under another step, losses that jump and broken weights are named in the log and in the rows `sound` and
    `duplicate_of`; every new checkpoint may change the verdict on those before it.
    """

    name = HealthAnalysis.name
    settings_type = HealthSettings

    def __init__(
        self,
        schedule: StepSchedule | None = None,
        text: str | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        **settings: Any,
    ) -> None:
        """Examine checkpoints.

        Args:
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            text: held-out text as for PerLanguageLoss; by default the run's own store. Without any, losses are left
                out, and which of two steps with the same weights is the true one cannot be told.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
            settings: of `HealthSettings`: how held-out text is scored, and how far a loss may rise.
        """
        made = HealthSettings(**settings)
        super().__init__(schedule, tokenizer, results, made)
        self.text = text
        self._jump = made.jump
        self._reported: dict[int, tuple[str, ...]] = {}

    def prepare(self) -> Analysis:
        """Read the text."""
        path = self.text or self.store
        if path is None:
            log.warning("CheckpointHealth has no held-out text: losses are left out (name one with text=…)")
        return HealthAnalysis(None if path is None else load_text(path), **self.settings.as_arguments())

    def run(self, model: nn.Module, tokenizer: Any, step: int, tokens: int | None, results: str | Path) -> Findings:
        """Examine the checkpoint of `step`, and judge all those below `results` again."""
        super().run(model, tokenizer, step, tokens, results)
        self.judge(results)
        return read_findings(results, self.name, step)

    def record_failure(self, step: int, tokens: int | None, reason: str, results: str | Path) -> Findings:
        """Record that a checkpoint could not be examined, and judge all those below `results` again."""
        super().record_failure(step, tokens, reason, results)
        self.judge(results)
        return read_findings(results, self.name, step)

    def tell(self, findings: Findings) -> None:
        """Nothing: `judge` tells of what is not sound, and `build` of a text that is missing."""

    def judge(self, results: str | Path) -> None:
        """Judge all checkpoints below `results`, and tell of those whose verdict is another than before."""
        for other, verdict in review(results, self._jump).items():
            if verdict.reasons and self._reported.get(other) != verdict.reasons:
                log.warning("Step %d is not sound: %s", other, "; ".join(verdict.reasons))
            self._reported[other] = verdict.reasons
