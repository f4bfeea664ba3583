"""An analysis that notes every call, and a sweep with it."""

import os
import signal
import time
from pathlib import Path

from babelscope.analysis.findings import Findings
from babelscope.training.callbacks import AnalysisCallback, CheckpointHealth
from babelscope.training.sweep.analyze import analyze


class Watch(AnalysisCallback):
    """Notes every call below a folder that processes share; may dawdle, or fail at a step."""

    name = "watch"

    def __init__(self, notes, dawdle=0.0, fail_at=None, die_at=None, seed=0):
        super().__init__()
        self._notes, self._dawdle, self._fail_at, self._die_at = Path(notes), dawdle, fail_at, die_at
        self.seed = seed
        self._notes.mkdir(parents=True, exist_ok=True)

    def build(self, model, tokenizer):
        def look(model, tokenizer, step):
            (self._notes / f"{step}-{os.getpid()}-{time.monotonic_ns()}").touch()
            time.sleep(self._dawdle)
            if step == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if step == self._fail_at:
                raise RuntimeError("a fault of an analysis")
            total = sum(p.double().sum().item() for p in model.parameters())
            return Findings.from_rows("watch", step, [{"metric": "sum", "value": total}], settings={"seed": self.seed})

        return look

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
