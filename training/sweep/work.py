"""What a sweep does with one checkpoint: load it once, run what is due, take over what a copy has already."""

import gc
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import Logger

from ...analysis.failures import BrokenModelError, failure_of
from ...analysis.findings import Findings, find_findings, findings_path, read_findings, result_steps, write_findings
from ...analysis.health.analysis import HASH, broken_weights
from ...model.families import Family
from ..callbacks import AnalysisCallback, CheckpointHealth
from ..callbacks.tracking import log_findings
from ..errors import CheckpointDamagedError, ConfigError
from ..loading import load_model
from ..runs import RunFolder
from ..tokenizers import load_tokenizer
from .checkpoint import Checkpoint
from .settings import other_settings

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
    family: Family | str | None
    own_words: bool = False
    """Whether some checkpoint of the series is known to have a tokenizer: another without one is damaged."""
    _words: Any = None

    def due(self, step: int) -> list[AnalysisCallback]:
        """Callbacks that have yet to see a step."""
        return [c for c in self.callbacks if self.again or not c.has_results(self.folder.results, step)]

    def analyse(self, checkpoint: Checkpoint, path: Path) -> None:
        """Run all callbacks that are due; of weights that were seen under another step the results are taken over.

        What a broken checkpoint does not allow is recorded with the reason, in the place of its results.
        """
        model: Any = None
        words: Any = None
        try:
            for callback in self.due(checkpoint.step):
                twin = self._twin(checkpoint.step, callback)
                broken = self._broken(checkpoint.step, callback)
                try:
                    if broken is not None:
                        raise BrokenModelError(broken)
                    if twin is not None:
                        findings = self._copied(checkpoint, callback, twin)
                    else:
                        if model is None:
                            model = load_model(path, self.dtype, self.device, self.family)
                            words = self._tokenizer(path)
                        findings = callback.run(model, words, checkpoint.step, checkpoint.tokens, self.folder.results)
                        self._refuse_other_settings(callback, findings)
                except (BrokenModelError, CheckpointDamagedError) as error:
                    findings = callback.record_failure(
                        checkpoint.step, checkpoint.tokens, str(error), self.folder.results
                    )
                if self.logger is not None:
                    log_findings([self.logger], findings, self.folder.results)
        finally:
            large = model is not None and model.num_parameters() > 50_000_000
            del model
            if large:  # a full collection takes half a second: too long for a toy, nothing beside gigabytes
                gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def failures(self, step: int) -> dict[str, str]:
        """Why analyses of a step could not be done, by their names."""
        found = {}
        for callback in self.callbacks:
            findings = find_findings(self.folder.results, callback.name, step)
            reason = None if findings is None else failure_of(findings)
            if reason is not None:
                found[callback.name] = reason
        return found

    def _tokenizer(self, path: Path) -> Any:
        if self.tokenizer is None:
            try:
                words = load_tokenizer(path)
            except ValueError as error:
                if not self.own_words:
                    raise
                raise CheckpointDamagedError(str(error)) from error
            self.own_words = True
            return words
        if self._words is None:
            try:
                self._words = load_tokenizer(self.tokenizer)
            except CheckpointDamagedError as error:  # the fault of no checkpoint
                raise ConfigError([f"tokenizer: {error}"]) from error
        return self._words

    def _broken(self, step: int, callback: AnalysisCallback) -> str | None:
        """Why nothing can be measured on a checkpoint, where its health says so."""
        health = None if callback.name == CheckpointHealth.name else self._health(step)
        return None if health is None else failure_of(health) or broken_weights(health)

    def _health(self, step: int) -> Findings | None:
        return find_findings(self.folder.results, CheckpointHealth.name, step)

    def _twin(self, step: int, callback: AnalysisCallback) -> int | None:
        """Another step with the very same weights, for which this analysis has results."""
        weights = None if callback.name == CheckpointHealth.name else _weights(self._health(step))
        if weights is None:
            return None
        for other in result_steps(self.folder.results, CheckpointHealth.name):
            # Two copies never lean on each other when everything is to be done again.
            if other == step or (other > step and self.again) or _weights(self._health(other)) != weights:
                continue
            if callback.has_results(self.folder.results, other):
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


def _weights(health: Findings | None) -> bytes | None:
    """The hash of a checkpoint's weights, where it could be read."""
    return health.arrays[HASH].tobytes() if health is not None and HASH in health.arrays else None
