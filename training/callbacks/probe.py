"""The language probe during training or over checkpoints."""

from typing import Any

from ...analysis.concepts.text import load_text
from ...analysis.probe.analysis import ProbeAnalysis
from ...analysis.probe.settings import ProbeSettings
from .base import Analysis, AnalysisCallback
from .schedule import StepSchedule


class LanguageProbe(AnalysisCallback):
    """How well each layer's hidden states tell languages apart, by a linear probe."""

    name = ProbeAnalysis.name
    settings_type = ProbeSettings

    def __init__(
        self,
        schedule: StepSchedule | None = None,
        text: str | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        **settings: Any,
    ) -> None:
        """Probe hidden states.

        Args:
            schedule: optimizer steps; by default 0 and all powers of two, and the last.
            text: a prepared store, a folder of <language>.txt, a table with columns language and text, or `shipped`
                for the sentences that come with Babelscope; by default the validation documents of the run's own store.
            tokenizer: name or folder; by default the run's own.
            results: folder of results; by default below the run's folder.
            settings: of `ProbeSettings`: how tokens are sampled and probes fitted.
        """
        super().__init__(schedule, tokenizer, results, ProbeSettings(**settings))
        self.text = text

    def prepare(self) -> Analysis:
        """Read the text and check the settings."""
        path = self.text or self.store
        if path is None:
            raise ValueError("LanguageProbe.text is not set and the run has no token store: name text by language")
        return ProbeAnalysis(load_text(path), **self.settings.as_arguments())
