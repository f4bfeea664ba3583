"""An analysis that notes every call, and a sweep with it."""

import os
import signal
import time
from pathlib import Path

from babelscope.analysis.findings import Findings
from babelscope.training.callbacks import AnalysisCallback, CheckpointHealth
from babelscope.training.sweep.analyze import analyze

from tests.patience import wait_until


class Watch(AnalysisCallback):
    """Notes every call below a folder that processes share; may wait for another process's notes, or fail at a step."""

    name = "watch"

    def __init__(self, notes, in_company=False, fail_at=None, die_at=None, seed=0):
        super().__init__()
        self._notes, self._in_company, self._fail_at, self._die_at = Path(notes), in_company, fail_at, die_at
        self.seed = seed
        self._notes.mkdir(parents=True, exist_ok=True)

    def build(self, model, tokenizer):
        def look(model, tokenizer, step):
            (self._notes / f"{step}-{os.getpid()}-{time.monotonic_ns()}").touch()
            if self._in_company:
                wait_until(lambda: len(self.processes()) > 1, "a note of another process")
            if step == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if step == self._fail_at:
                raise RuntimeError("a fault of an analysis")
            total = sum(p.double().sum().item() for p in model.parameters())
            return Findings.from_rows("watch", step, [{"metric": "sum", "value": total}], settings={"seed": self.seed})

        return look

    def processes(self):
        """Who has noted anything."""
        return {path.name.split("-")[1] for path in self._notes.iterdir()}

    def seen(self):
        """Steps that were computed, in order."""
        notes = sorted((int(p.name.split("-")[2]), int(p.name.split("-")[0])) for p in self._notes.iterdir())
        return [step for _, step in notes]


def health(series):
    return CheckpointHealth(text=str(series / "text"), context=16)


def sweep(series, run, *callbacks, **arguments):
    arguments = {"source": str(series), "tokens_per_step": 8, **arguments}
    analyze(run=str(run), callbacks=[health(series), *callbacks], **arguments)


def watched_sweep(series, run, notes, **how):
    sweep(series, run, Watch(notes, **how))
