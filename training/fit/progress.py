"""What a person sees while it trains: a bar on a terminal, a line now and then in a log file."""

import logging
import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from .metrics import StepMetrics

log = logging.getLogger(__name__)


class TrainingProgress(ProgressBar):
    """Optimizer steps done and left, loss, tokens per second, time left."""

    def __init__(self, line_every_seconds: float = 30.0) -> None:
        """Show a bar where standard error is a terminal, and otherwise log a line.

        Args:
            line_every_seconds: seconds between two lines in a log.
        """
        super().__init__()
        self.line_every_seconds = line_every_seconds
        self._enabled = True
        self._bar: tqdm | None = None
        self._step = 0
        self._began_step, self._began, self._line_at = 0, 0.0, 0.0

    def disable(self) -> None:
        """Stay silent: Lightning calls this on all but the first process."""
        self._enabled = False

    def enable(self) -> None:
        """Show progress again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar at the step that training begins with."""
        self._step = self._began_step = trainer.global_step
        self._began = self._line_at = time.monotonic()
        if self._enabled and sys.stderr.isatty():
            self._bar = tqdm(
                total=trainer.max_steps, initial=self._step, unit="step", desc="training", dynamic_ncols=True
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance by optimizer steps."""
        taken = trainer.global_step - self._step
        if not taken or not self._enabled:
            return
        self._step = trainer.global_step
        shown = self._shown(trainer)
        if self._bar is not None:
            self._bar.update(taken)
            self._bar.set_postfix_str(shown, refresh=False)
        elif time.monotonic() - self._line_at >= self.line_every_seconds or self._step == trainer.max_steps:
            self._line_at = time.monotonic()
            log.info("step %d of %d  %s  %s left", self._step, trainer.max_steps, shown, self._time_left(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the terminal in order."""
        self._close()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _shown(self, trainer: pl.Trainer) -> str:
        metrics = next((c for c in trainer.callbacks if isinstance(c, StepMetrics)), None)  # type: ignore[attr-defined]
        if metrics is None or not metrics.latest:
            return ""
        return f"loss {metrics.latest['loss']:.3f}  {metrics.latest['tokens_per_second']:,.0f} tokens/s"

    def _time_left(self, trainer: pl.Trainer) -> str:
        rate = (time.monotonic() - self._began) / max(1, self._step - self._began_step)
        return tqdm.format_interval(rate * (trainer.max_steps - self._step))
