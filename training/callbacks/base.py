"""The callback that asks a schedule, runs an analysis, and hands the findings on."""

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from torch import nn
from transformers import PreTrainedModel

from ...analysis.failures import BrokenModelError, NoRoomError, failed_findings
from ...analysis.findings import Findings, has_findings, write_findings
from ...analysis.settings import Settings
from ...analysis.undisturbed import undisturbed
from ..errors import first_line, out_of_memory
from ..tokenizers import load_tokenizer
from .schedule import StepSchedule
from .tracking import log_findings

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"\d+(\.\d+)?")


class Analysis(Protocol):
    """A callable that looks at a model and reports; it leaves the model exactly as it found it."""

    name: str

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings: ...


class StepCallback(pl.Callback):
    """Calls `at_step` once for every due optimizer step: also under accumulation, and not again after a resume."""

    def __init__(self, schedule: StepSchedule | None = None) -> None:
        super().__init__()
        self.schedule = schedule or StepSchedule(powers_of=2, start=0)
        self._latest = -1

    def at_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, step: int) -> None:
        """Do the work of a due step; `step` optimizer steps have been taken."""
        raise NotImplementedError

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The untrained model is step 0; a resumed run begins behind a step whose work was done, or makes up for it."""
        self._latest = trainer.global_step
        resumed = trainer.ckpt_path is not None
        left = self.put_off(trainer) if resumed else trainer.global_step == 0
        if left:
            self._call(trainer, pl_module)

    def put_off(self, trainer: pl.Trainer) -> bool:
        """Whether the work of the step that a resumed run begins behind was put off, as it was told to stop."""
        return False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A batch ends an optimizer step only where the step count has grown."""
        if trainer.global_step != self._latest:
            self._latest = trainer.global_step
            self._call(trainer, pl_module)

    def _call(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        last = trainer.max_steps if trainer.max_steps > 0 else None
        if self.schedule.due(trainer.global_step, last):
            with paused(trainer):
                self.at_step(trainer, pl_module, trainer.global_step)


class AnalysisCallback(StepCallback):
    """Runs an `Analysis` at the scheduled optimizer steps, in any Trainer whose module holds a causal LM.

    Subclasses take plain arguments and implement `prepare`, or `build`; those of the instrument itself are its `Settings`.
    Findings go to `results`, by default `<trainer.default_root_dir>/results/<analysis>/`, and to the trainer's loggers. A
    sweep over checkpoints drives the same object through `run`.
    """

    name = "analysis"
    settings_type: type[Settings] = Settings
    """What the further keyword arguments are, with their defaults, text and checks."""

    def __init__(
        self,
        schedule: StepSchedule | None = None,
        tokenizer: str | None = None,
        results: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(schedule)
        self.settings = settings or Settings()
        self.tokenizer = tokenizer
        self.results = results
        self.store: str | None = None
        self.ready = False
        """Whether `check` has passed: what the analysis needs besides the model is there."""
        self._analysis: Analysis | None = None
        self._tokenizer: Any = None
        self._told: set[str] = set()

    def prepare(self) -> Analysis | None:
        """Make the analysis before there is a model, so that wrong files and settings are told before work starts.

        `self.store` is the run's token store, if any. None, as by default, leaves it to `build`.

        Raises:
            ValueError: what it needs is not there, can't be read, or is not enough.
        """
        return None

    def build(self, model: nn.Module, tokenizer: Any) -> Analysis:
        """Make the analysis with the model at hand; called once, before its first use. By default that of `prepare`."""
        analysis = self.prepare()
        if analysis is None:
            raise NotImplementedError(f"{type(self).__name__} implements neither prepare nor build")
        return analysis

    def check(
        self, before: Sequence[Any] = (), steps: Iterable[int] | None = None, results: str | Path | None = None
    ) -> None:
        """Find before work starts what would else stop the analysis at its first due step.

        Args:
            before: the callbacks that are listed before this one.
            steps: the steps at which it will be asked; None where the end is not known.
            results: where results of others lie already.

        Raises:
            ValueError: what is wrong.
        """
        self._analysis = self._analysis or self.prepare()

    def make_ready(
        self, before: Sequence[Any] = (), steps: Iterable[int] | None = None, results: str | Path | None = None
    ) -> None:
        """`check`, once."""
        if not self.ready:
            self.check(before, steps, results)
            self.ready = True

    def run(self, model: nn.Module, tokenizer: Any, step: int, tokens: int | None, results: str | Path) -> Findings:
        """Analyse `model` as the checkpoint of `step` and write what was found below `results`.

        Raises:
            BrokenModelError: the model's numbers are not finite, or there is not enough memory.
        """
        began = time.perf_counter()
        try:
            with undisturbed(model):
                if self._analysis is None:
                    self._analysis = self.build(model, tokenizer)
                findings = self._analysis(model, tokenizer, step).with_tokens(tokens)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            raise NoRoomError(f"it ran out of memory ({first_line(error)}): {self._less_memory()}") from error
        write_findings(findings, results)
        self.tell(findings)
        log.info("%s at step %d took %.1f s", findings.analysis, step, time.perf_counter() - began)
        return findings

    def run_or_record(
        self, model: nn.Module, tokenizer: Any, step: int, tokens: int | None, results: str | Path
    ) -> Findings:
        """As `run`; what can't be measured on a model that trains is recorded as failed at that step, and training goes on."""
        try:
            return self.run(model, tokenizer, step, tokens, results)
        except BrokenModelError as error:
            reason = str(error)
        # Behind the handler: until it is left, the error keeps what was in memory where it was raised.
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        return self.record_failure(step, tokens, reason, results)

    def record_failure(self, step: int, tokens: int | None, reason: str, results: str | Path) -> Findings:
        """Write, in the place of its results, why the analysis could not be done at a step."""
        findings = failed_findings(self.name, step, reason).with_tokens(tokens)
        write_findings(findings, results)
        log.warning("%s could not be done at step %d: %s", self.name, step, reason)
        return findings

    def _less_memory(self) -> str:
        chosen = self.settings.as_arguments()
        for name in ("memory_gb", "batch_tokens"):
            if name in chosen:
                return f"lower {type(self).__name__}.{name}, which is {chosen[name]}"
        return "leave more to it, or analyse the checkpoint elsewhere"

    def tell(self, findings: Findings) -> None:
        """Log what the findings warn of; the findings keep all of it."""
        self.warn(f"at step {findings.step}", findings.warnings)

    def warn(self, when: str, warnings: Sequence[str]) -> None:
        """Log warnings in one line: what comes again with other numbers is said once a run."""
        kinds: dict[str, list[str]] = {}
        for warning in warnings:
            kinds.setdefault(_NUMBER.sub("#", warning), []).append(warning)
        new = [same for kind, same in kinds.items() if kind not in self._told]
        self._told |= kinds.keys()
        if new:
            said = "; ".join(same[0] + (f" ({len(same)} of the kind)" if same[1:] else "") for same in new)
            log.warning("%s %s: %s", self.name, when, said)

    def has_results(self, results: str | Path, step: int) -> bool:
        """Whether this analysis already has whole results for a step; damaged ones are set aside."""
        return has_findings(results, self.name, step)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the run's token store and the tokenizer before training begins."""
        if stage != "fit":
            return
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        if trainer.world_size > 1 and not isinstance(trainer.strategy, pl.strategies.DDPStrategy):
            raise ValueError(
                f"trainer.strategy={type(trainer.strategy).__name__} splits the weights over processes, and "
                f"{type(self).__name__} needs them whole: use strategy=ddp, or run babelscope analyze on the checkpoints"
            )
        store = getattr(getattr(trainer, "datamodule", None), "store", None)
        if self.store is None and isinstance(store, str):
            self.store = store
        self._tokenizer = self.find_tokenizer(getattr(pl_module, "tokenizer", None))
        steps = self.schedule.steps(trainer.max_steps) if trainer.max_steps > 0 else None
        self.make_ready(callbacks[: callbacks.index(self)], steps)
        if not trainer.is_global_zero:
            self._analysis = None  # the first process analyses: text and concepts need not lie in memory again

    def at_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, step: int) -> None:
        """Analyse on the first process; the others wait. Once the run was told to stop this is put off, but at its end."""
        if trainer.is_global_zero:
            if step < trainer.max_steps and told_to_stop(trainer):
                log.info("%s at step %d is put off until the run goes on", self.name, step)
            else:
                results = self._results(trainer)
                tokens = tokens_seen(trainer, step)
                total = None if tokens is None else sum(tokens.values())
                findings = self.run_or_record(causal_lm(pl_module), self._tokenizer, step, total, results)
                log_findings(trainer.loggers, findings, results)
        trainer.strategy.barrier(type(self).__name__)

    def put_off(self, trainer: pl.Trainer) -> bool:
        """Whether there are no results of the step, by what the first process finds."""
        there = trainer.is_global_zero and self.has_results(self._results(trainer), trainer.global_step)
        return not trainer.strategy.broadcast(there, src=0)

    def _results(self, trainer: pl.Trainer) -> Path:
        return Path(self.results) if self.results else Path(trainer.default_root_dir) / "results"

    def find_tokenizer(self, own: Any) -> Any:
        """The tokenizer that was named, else the run's, else the model's `own`.

        Raises:
            ValueError: there is none.
        """
        if self.tokenizer is not None:
            return load_tokenizer(self.tokenizer)
        if self.store is not None:
            return load_tokenizer(Path(self.store) / "tokenizer")
        if own is not None:
            return own
        raise ValueError(
            f"{type(self).__name__} has no tokenizer: pass tokenizer=NAME_OR_FOLDER, or give the module an attribute "
            "`tokenizer`"
        )


def causal_lm(pl_module: nn.Module) -> PreTrainedModel:
    """The Hugging Face causal LM inside a module: the outermost `PreTrainedModel` with an LM head.

    Raises:
        ValueError: there is none.
    """
    for module in pl_module.modules():
        if isinstance(module, PreTrainedModel) and module.get_output_embeddings() is not None:
            return module
    raise ValueError(
        f"{type(pl_module).__name__} holds no Hugging Face causal language model: assign one to an attribute, for "
        "example self.model = AutoModelForCausalLM.from_pretrained(...)"
    )


def tokens_seen(trainer: pl.Trainer, step: int) -> dict[str, int] | None:
    """Training tokens per language after `step` optimizer steps, where the data module can tell."""
    count = getattr(getattr(trainer, "datamodule", None), "tokens_seen", None)
    return count(step) if callable(count) else None


def told_to_stop(trainer: pl.Trainer) -> bool:
    """Whether some callback knows that this process is to stop."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    return any(getattr(callback, "told_to_stop", False) for callback in callbacks)


@contextmanager
def paused(trainer: pl.Trainer) -> Iterator[None]:
    """Keep the time spent inside out of the throughput of every callback that measures it."""
    began = time.perf_counter()
    try:
        yield
    finally:
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            pause = getattr(callback, "pause", None)
            if callable(pause):
                pause(time.perf_counter() - began)
