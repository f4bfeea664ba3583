"""What a sweep does with one checkpoint: load it once, run what is due, take over what a copy has already."""

import gc
import logging
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import Logger

from ..analysis.findings import Findings, findings_path, read_findings, result_steps, write_findings
from ..analysis.health import HASH
from ..model.families import Family
from .callbacks import AnalysisCallback, CheckpointHealth
from .errors import ConfigError
from .loading import load_model, load_tokenizer
from .runs import RunFolder
from .series import Checkpoint
from .sweep_settings import other_settings
from .tracking import log_findings

log = logging.getLogger(__name__)


@dataclass
class CheckpointWork:
    """What is done with each checkpoint."""

    callbacks: list[AnalysisCallback]
    folder: RunFolder
    again: bool
    logger: Logger | None
    tokenizer: str | None
    dtype: str
    device: torch.device
    family: Family | None
    sites: tuple[str, ...]
    _words: Any = None

    def due(self, step: int) -> list[AnalysisCallback]:
        """Callbacks that have yet to see a step."""
        return [c for c in self.callbacks if self.again or not c.has_results(self.folder.results, step)]

    def analyse(self, checkpoint: Checkpoint, path: Path) -> None:
        """Run all callbacks that are due; of weights that were seen under another step the results are taken over."""
        due = deque(self.due(checkpoint.step))
        words = self._tokenizer(path)
        model: Any = None
        try:
            while due:
                callback = due.popleft()
                twin = self._twin(checkpoint.step, callback)
                if twin is not None:
                    findings = self._copied(checkpoint, callback, twin)
                else:
                    if model is None:
                        model = load_model(path, self.dtype, self.device, self.family, self.sites)
                    findings = callback.run(model, words, checkpoint.step, checkpoint.tokens, self.folder.results)
                    self._refuse_other_settings(callback, findings)
                if self.logger is not None:
                    log_findings([self.logger], findings, self.folder.results)
        finally:
            large = model is not None and model.num_parameters() > 50_000_000
            del model
            if large:  # a full collection takes half a second: too long for a toy, nothing beside gigabytes
                gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _tokenizer(self, path: Path) -> Any:
        if self.tokenizer is None:
            return load_tokenizer(path)
        if self._words is None:
            self._words = load_tokenizer(self.tokenizer)
        return self._words

    def _twin(self, step: int, callback: AnalysisCallback) -> int | None:
        """Another step with the very same weights, for which this analysis has results."""
        results, name = self.folder.results, CheckpointHealth.name
        if callback.name == name or not findings_path(results, name, step).exists():
            return None
        weights = read_findings(results, name, step).arrays[HASH].tobytes()
        for other in result_steps(results, name):
            same = other != step and read_findings(results, name, other).arrays[HASH].tobytes() == weights
            # Two copies never lean on each other when everything is to be done again.
            if same and callback.has_results(results, other) and (other < step or not self.again):
                return other
        return None

    def _copied(self, checkpoint: Checkpoint, callback: AnalysisCallback, twin: int) -> Findings:
        found = read_findings(self.folder.results, callback.name, twin)
        note = f"step {checkpoint.step} has the weights of step {twin}: these are its results, not computed again"
        copied = replace(found, step=checkpoint.step, warnings=(*found.warnings, note)).with_columns(
            step=[checkpoint.step] * found.table.num_rows, tokens=[checkpoint.tokens] * found.table.num_rows
        )
        write_findings(copied, self.folder.results)
        log.info("%s: %s", callback.name, note)
        return copied

    def _refuse_other_settings(self, callback: AnalysisCallback, findings: Findings) -> None:
        if self.again:
            return
        differences = other_settings(findings, self.folder.results)
        if differences:
            findings_path(self.folder.results, findings.analysis, findings.step).unlink()
            raise ConfigError(
                f"{type(callback).__name__}: {difference}; set again: true to replace the results, or name another run"
                for difference in differences
            )
