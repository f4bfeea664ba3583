"""`babelscope pretrain`: configuration, preflight, fit, and going on where a run stopped."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datasets
import lightning.pytorch as pl
import torch
import transformers
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ...analysis.atomic import remove_leftovers, write_text
from ..callbacks.base import AnalysisCallback
from ..callbacks.checks import unready
from ..claims import Claims
from ..data.datamodule import TokenBlocks
from ..errors import raise_if
from ..hardware import accelerator_kind, multiplies_bf16
from ..paths import expand_paths
from ..runs import RunFolder
from .beginning import DEFAULT_PRESET
from .checkpoints import ResumeStates, ScheduledCheckpoints, StreamedCheckpoints, newest_whole_state
from .metrics import StepMetrics
from .module import Pretraining
from .preflight import changes_since, problems_of
from .progress import TrainingProgress
from .stopping import StopRequest, StopWatch
from .wandb_logger import RunWandbLogger

log = logging.getLogger(__name__)

TRAINING = "training"
"""The claim of who trains into a run's folder."""

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_epochs": -1,
    "accelerator": "auto",
    "devices": "auto",
    "gradient_clip_val": 1.0,
    "use_distributed_sampler": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "limit_val_batches": 0,
}


class PretrainCLI(LightningCLI):
    """LightningCLI with the run's folder, the run's own callbacks, and all mistakes reported at once."""

    resume_from: Path | None = None
    _begin_from: str | None = None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what belongs to a run rather than to the model, the data or the trainer."""
        parser.add_argument("--run", type=str, required=True, help="folder of the run: everything is written below it")
        parser.add_argument(
            "--resume",
            action="store_true",
            help="go on with the newest whole resume state of the run; a run that has not begun starts",
        )
        parser.add_argument(
            "--model.from",
            type=str | None,
            default=None,
            help="folder of a checkpoint, ours or an XGLM in Hugging Face form: step 0 of the run has its weights",
        )
        parser.add_argument("--note", type=str | None, default=None, help="shown at the top of the run's report")
        parser.add_lightning_class_args(ScheduledCheckpoints, "checkpoints")
        parser.add_lightning_class_args(ResumeStates, "resume_states")
        parser.add_lightning_class_args(StepMetrics, "metrics")

    def before_instantiate_classes(self) -> None:
        """Check everything, settle what to resume from, and fill in what follows from the run's folder."""
        raise_if(expand_paths(self.config))
        self._one_seed()
        self._precision()
        if self.config.model["from"] is None:
            self.config.model.preset = self.config.model.preset or DEFAULT_PRESET
        config = self.config.as_dict()
        raise_if(problems_of(config, config["resume"], _known_world_size(config["trainer"])))
        run = RunFolder(Path(self.config.run))
        self.resume_from = _state_to_resume(run, _comparable(config)) if self.config.resume else None
        self.config.trainer.default_root_dir = str(run.path)
        # No argument of the module: Python keeps the word for itself.
        self._begin_from = self.config.model.pop("from")

    def after_instantiate_classes(self) -> None:
        """Tell the module which weights to begin with; the configuration keeps it too."""
        self.model.begin_from = self.config.model["from"] = self._begin_from

    def _one_seed(self) -> None:
        """Initial weights, order of the data and dropout follow from one seed, unless the first two have their own."""
        seed = self.config.seed_everything
        for part in (self.config.model, self.config.data):
            if part.seed is None:
                part.seed = 0 if isinstance(seed, bool) else seed

    def _precision(self) -> None:
        """bf16-mixed where the device multiplies bf16 in hardware, else 32-true; a run that goes on keeps its own."""
        trainer = self.config.trainer
        fast = multiplies_bf16(accelerator_kind(str(trainer.accelerator)))
        if trainer.precision is None:
            run = RunFolder(Path(self.config.run))
            began = run.settings().get("trainer", {}) if self.config.resume and run.has_work() else {}
            if began.get("precision"):
                trainer.precision = began["precision"]
            else:
                trainer.precision = "bf16-mixed" if fast else "32-true"
                if not fast:
                    log.warning("Training in 32-true, as this processor multiplies bf16 in software, many times slower")
        elif str(trainer.precision).startswith("bf16") and not fast:
            log.warning(
                "trainer.precision=%s: this processor multiplies bf16 in software; 32-true is many times faster here",
                trainer.precision,
            )

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """A trainer with the run's loggers, unless the configuration names others."""
        run = RunFolder(Path(self.config.run))
        run_id = run.run_id(self.config.note)
        trainer_config = self.config.trainer
        if trainer_config.logger is None:
            kwargs["logger"] = [
                CSVLogger(str(run.path), name="logs"),
                RunWandbLogger(save_dir=str(run.path), id=run_id, name=run.path.name),
            ]
        kwargs["plugins"] = [StreamedCheckpoints()]
        if SLURMEnvironment.detect():
            # Its own requeueing saves inside the signal handler, which deadlocks when ranks differ in what they do.
            kwargs["plugins"].append(SLURMEnvironment(auto_requeue=False))
        trainer = super().instantiate_trainer(**kwargs)
        for logger in trainer.loggers:
            if isinstance(logger, RunWandbLogger):
                logger.adopt_run(run_id, str(run.path))
        return trainer


def pretrain(arguments: Sequence[str]) -> int:
    """Run `babelscope pretrain` with command-line arguments; returns the exit status.

    Signals are watched from the first moment on: whenever one arrives, what is there can be resumed.
    """
    request = StopRequest()
    request.watch()
    try:
        return _pretrain(arguments, request)
    except (SIGTERMException, SystemExit, KeyboardInterrupt):
        if not request.arrived:
            raise
        if request.at_once:
            log.warning("Ended at once: --resume goes on from the state that was saved last")
        else:
            log.warning("Told to stop before the first step: nothing to save yet; go on with --resume")
        return request.exit_status
    finally:
        request.release()


def _pretrain(arguments: Sequence[str], request: StopRequest) -> int:
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("lightning.pytorch", "lightning.fabric"):
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        library.handlers.clear()  # it would print what it passes on to ours a second time
    cli = PretrainCLI(
        Pretraining,
        TokenBlocks,
        run=False,
        save_config_callback=None,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        trainer_defaults={**TRAINER_DEFAULTS, "callbacks": [TrainingProgress()]},
        parser_kwargs={"prog": "babelscope pretrain", "description": pretrain_help(), "exit_on_error": False},
        args=list(arguments),
    )
    run = RunFolder(Path(cli.config.run))
    trainer: pl.Trainer = cli.trainer
    raise_if(_callbacks_not_ready(trainer, cli.datamodule))
    trainer.callbacks.insert(0, StopWatch(request))  # type: ignore[attr-defined]
    states = [c for c in trainer.callbacks if isinstance(c, ResumeStates)]  # type: ignore[attr-defined]
    for callback in states:
        callback.request = request
    with _alone(run, cli.resume_from) if trainer.is_global_zero else nullcontext():
        if trainer.is_global_zero:
            remove_leftovers(run.path)
            config = _comparable(cli.config.as_dict())
            write_text(run.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
            for logger in trainer.loggers:
                logger.log_hyperparams({key: config[key] for key in ("run", "data", "trainer", "checkpoints")})
            _announce(cli, run)
        began = time.monotonic()
        trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=cli.resume_from, weights_only=True)
    if any(callback.stopped for callback in states):
        return request.exit_status
    if trainer.is_global_zero:
        took = time.monotonic() - began
        if trainer.global_step < trainer.max_steps:
            log.warning(
                "Ended by a callback at step %d of %d, %.0f s in this stretch. %s",
                trainer.global_step,
                trainer.max_steps,
                took,
                run.path,
            )
        else:
            log.info("Done: %d steps, %.0f s in this stretch. %s", trainer.global_step, took, run.path)
        log.info("Look at it: babelscope report %s", run.path)
    return 0


@contextmanager
def _alone(run: RunFolder, resumed: Path | None) -> Iterator[None]:
    """Hold the run's folder: of two that would train into it, the second is told who does.

    Raises:
        ConfigError: another process trains there, or did until now.
    """
    with Claims(run.path / "claims") as claims:
        if not claims.take_or_wait(TRAINING):
            raise_if(
                [f"run={run.path} is in training by {claims.holder(TRAINING)}: stop that first, or name another folder"]
            )
        newest = next((path for _, path in run.resume_states()), None)
        if newest != resumed and newest_whole_state(run) != resumed:
            raise_if([f"run={run.path} has gone on meanwhile: give the command again, with --resume"])
        yield


def _callbacks_not_ready(trainer: pl.Trainer, data: TokenBlocks) -> list[str]:
    """What would stop a callback at its first due step: text and concepts are read before anything is written."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, AnalysisCallback):
            callback.store = callback.store or data.store
    return list(unready(callbacks, trainer.max_steps))


def pretrain_help() -> str:
    """The first words of `babelscope pretrain --help`."""
    return (
        "Pretrain a multilingual language model from a prepared token store, with checkpoints, probes and expert "
        "neurons on the fly. Single settings: --model.learning_rate 5e-4, --trainer.max_steps 1000, ..."
    )


def _announce(cli: PretrainCLI, run: RunFolder) -> None:
    data: TokenBlocks = cli.datamodule
    weights = zip(data.languages, data.mixture.weights, strict=True)
    shares = ", ".join(f"{language} {weight:.1%}" for language, weight in weights)
    steps = cli.trainer.max_steps
    tokens = data.global_batch_size * data.block_length
    origin = cli.config.model.preset or f"from {cli.model.begin_from}"
    log.info("Run %s: %s, %d steps of %s tokens", run.path, origin, steps, f"{tokens:,}")
    log.info("Languages: %s", shares)
    if cli.resume_from is not None:
        log.info("Resuming from %s", cli.resume_from)
    elif cli.config.resume:
        over = ", over what it wrote before its first state" if run.has_work() else ""
        log.info("Nothing to resume in %s: starting at step 0%s", run.path, over)


def _state_to_resume(run: RunFolder, config: dict[str, Any]) -> Path | None:
    if not run.has_work():
        return None
    state = newest_whole_state(run)
    if state is None and run.resume_states():
        raise_if([f"run={run.path}: no resume state is whole; start again in another folder"])
    if run.config.exists():
        began = run.settings()
        step = next((step for step, path in run.resume_states() if path == state), 0)
        decisive, harmless = changes_since(began, config, step)
        raise_if(decisive)
        for line in harmless:
            log.warning("Resumed with a change: %s", line)
    return state


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """The resolved configuration as plain YAML types, without what only says how this process was called."""
    plain = yaml.safe_load(yaml.safe_dump(_plain({k: v for k, v in config.items() if k not in ("config", "resume")})))
    plain["trainer"].pop("default_root_dir", None)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _known_world_size(trainer: dict[str, Any]) -> int | None:
    """Number of processes where the configuration says it in plain numbers."""
    nodes = int(os.environ.get("SLURM_NNODES", trainer.get("num_nodes") or 1))
    devices = str(trainer.get("devices"))
    if devices == "auto" and trainer.get("accelerator") in ("auto", "gpu", "cuda"):
        count = torch.cuda.device_count()
        return nodes * max(1, count) if count or trainer["accelerator"] == "auto" else None
    return nodes * int(devices) if devices.isdigit() else None
