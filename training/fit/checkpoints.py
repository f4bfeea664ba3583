"""What training leaves behind: scheduled weights that are never pruned, and a rolling state to resume from."""

import json
import logging
import random
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint, Timer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ...analysis.atomic import atomic_file, atomic_folder, write_text
from ...analysis.integrity import file_digest
from ..callbacks.base import StepCallback, causal_lm, paused, tokens_seen
from ..callbacks.schedule import StepSchedule
from ..runs import CHECKPOINT_FILE, RunFolder
from .stopping import StopRequest

log = logging.getLogger(__name__)

KEPT_RESUME_STATES = 2


class ScheduledCheckpoints(StepCallback, Checkpoint):
    """Weights and tokenizer at the scheduled steps, in Hugging Face form, each whole or absent, never pruned."""

    def __init__(self, schedule: StepSchedule | None = None) -> None:
        """Write `checkpoints/step_*` below the trainer's root folder.

        Args:
            schedule: when; by default step 0 and all powers of two, and the last step.
        """
        super().__init__(schedule)

    def at_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, step: int) -> None:
        """Write the checkpoint of this step on the first process."""
        if trainer.is_global_zero:
            tokens = tokens_seen(trainer, step) or {}
            loss = getattr(pl_module, "step_loss", None)
            with atomic_folder(RunFolder(Path(trainer.default_root_dir)).checkpoint(step)) as folder:
                causal_lm(pl_module).save_pretrained(folder)
                store = getattr(getattr(trainer, "datamodule", None), "store", None)
                if isinstance(store, str):
                    shutil.copytree(Path(store) / "tokenizer", folder, dirs_exist_ok=True)
                info = {
                    "step": step,
                    "tokens": sum(tokens.values()),
                    "tokens_per_language": tokens,
                    "loss": None if loss is None else float(loss),
                    "attention": causal_lm(pl_module).config._attn_implementation,
                }
                (folder / CHECKPOINT_FILE).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
        trainer.strategy.barrier("checkpoint")


class StreamedCheckpoints(TorchCheckpointIO):
    """States written straight into their file.

    Lightning would build them whole in memory, write that to the system's temporary folder and move it from there, across
    file systems as a rule. Here the caller names a temporary beside the target (`atomic_file`).
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a state; a file that a full disk cut short is the caller's to remove."""
        torch.save(checkpoint, path)


def _time_is_up(trainer: pl.Trainer) -> bool:
    """Whether `trainer.max_time` has ended the run."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    return any((timer.time_remaining() or 0) <= 0 for timer in timers if timer.time_remaining() is not None)


class ResumeStates(StepCallback, Checkpoint):
    """The full training state every so many steps or minutes, written atomically; the last two are kept.

    The first one is that of step 0. On SIGTERM, SIGUSR1 or Ctrl-C it saves the state of the step in progress and ends the
    run; analyses that have not begun by then are made up for when it goes on. It has to be the last callback of all: what
    else is due at a step is done before the state that a resumed run starts behind.
    """

    def __init__(self, every_steps: int | None = None, every_minutes: float | None = 15.0) -> None:
        """Write `resume/step_*.ckpt` below the trainer's root folder, and at the end of the run.

        Args:
            every_steps: optimizer steps between two states; none by default.
            every_minutes: minutes between two states; none to go by steps alone.
        """
        super().__init__(StepSchedule(every=every_steps))
        if every_minutes is not None and every_minutes <= 0:
            raise ValueError(f"resume.every_minutes={every_minutes}: give a positive number, or null to go by steps")
        self.every_minutes = every_minutes
        self.stopped = False
        self.request = StopRequest()
        self._saved_at = time.monotonic()
        self._random: dict[str, Any] | None = None

    @property
    def told_to_stop(self) -> bool:
        """Whether this process was told to stop: what takes long is put off until the run goes on."""
        return self.request.arrived

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the state of step 0: from here on a run that dies can go on, and the disk has room for a state."""
        assert trainer.callbacks[-1] is self, "ResumeStates is not the last callback"  # type: ignore[attr-defined]
        self.request.watch()
        self._latest = trainer.global_step
        self._saved_at = time.monotonic()
        fresh = trainer.ckpt_path is None
        self.stopped = trainer.strategy.reduce_boolean_decision(self.request.arrived, all=False)
        if fresh:
            self.save(trainer)
        if self.stopped:
            self._stop(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """After a resume, put the random state back: later than anything in the start-up that draws from it."""
        if self._random is not None:
            restore_random_state(self._random[str(trainer.global_rank)])
            self._random = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when the steps, the clock of the first process or a signal to any process say so."""
        if trainer.global_step == self._latest:
            if trainer.should_stop and _time_is_up(trainer):
                trainer.should_stop = False  # in the middle of a step: not before its end
            return
        self._latest = trainer.global_step
        due = self.schedule.due(trainer.global_step, trainer.max_steps)
        if not due and self.every_minutes is not None:
            late = time.monotonic() - self._saved_at >= 60 * self.every_minutes
            due = trainer.strategy.broadcast(late, src=0)
        asked = self.request.arrived or (trainer.global_step < trainer.max_steps and _time_is_up(trainer))
        self.stopped = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if due or self.stopped:
            with paused(trainer):
                self.save(trainer)
        if self.stopped:
            self._stop(trainer)

    def _stop(self, trainer: pl.Trainer) -> None:
        reason = "Told to stop" if self.request.arrived else "trainer.max_time is over"
        path = RunFolder(Path(trainer.default_root_dir)).resume_state(self._latest)
        log.warning("%s: the state of step %d is saved in %s; go on with --resume", reason, self._latest, path)
        trainer.should_stop = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        self.request.release()

    def save(self, trainer: pl.Trainer) -> None:
        """Write the state of this moment and drop all but the last two."""
        run = RunFolder(Path(trainer.default_root_dir))
        path = run.resume_state(trainer.global_step)
        # Every process takes part in the save, and only the first one writes.
        if trainer.is_global_zero:
            with atomic_file(path) as temporary:
                trainer.save_checkpoint(temporary)
                write_text(_digest_of(path), file_digest(temporary))
            for _, old in run.resume_states()[KEPT_RESUME_STATES:]:
                old.unlink(missing_ok=True)
                _digest_of(old).unlink(missing_ok=True)
            for logger in trainer.loggers:
                logger.save()  # a table that waits for its hundredth line would lose what a killed run had logged
        else:
            trainer.save_checkpoint(path)
        self._saved_at = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add every process's random state."""
        states: list[Any] = [None] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(states, random_state())
        else:
            states = [random_state()]
        checkpoint["random_states"] = {str(rank): state for rank, state in enumerate(states)}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the random states until the first batch."""
        self._random = checkpoint["random_states"]
        if len(self._random) != trainer.world_size:
            log.warning(
                "The state was saved by %d processes and is resumed by %d: dropout will differ from the uninterrupted "
                "run; data order and everything else will not",
                len(self._random),
                trainer.world_size,
            )
            self._random = {
                str(rank): self._random[str(rank % len(self._random))] for rank in range(trainer.world_size)
            }


def random_state() -> dict[str, Any]:
    """Python's, NumPy's and torch's random states in types that load without pickle."""
    state: Any = np.random.get_state(legacy=True)
    kind, keys, position, has_gauss, gauss = state
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` took."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def newest_whole_state(run: RunFolder) -> Path | None:
    """The newest resume state that can be read to its end; damaged ones are named in a warning."""
    for _, path in run.resume_states():
        damage = _damage(path)
        if damage is None:
            return path
        log.warning("Resume state %s is damaged (%s): trying the one before it", path, damage)
    return None


def _digest_of(state: Path) -> Path:
    return state.with_name(state.name + ".blake2b")


def _damage(path: Path) -> str | None:
    """What is wrong with a state, by its digest; where that was lost, by the checksums within, which do not cover all of it."""
    kept = _digest_of(path)
    try:
        if kept.exists():
            return None if kept.read_text(encoding="utf-8") == file_digest(path) else "it is not what was written"
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            return f"checksum of {broken}"
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return None
