"""`babelscope analyze`: the callbacks of training over a series of checkpoints, by one or several processes."""

import gc
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from huggingface_hub.utils import disable_progress_bars
from lightning.pytorch.loggers import Logger

from ..analysis.findings import Findings, findings_path, read_findings, result_steps, write_findings
from ..analysis.health import HASH
from ..model.families import Family
from .callbacks import AnalysisCallback, CheckpointHealth
from .claims import Claims
from .errors import ConfigError, raise_if
from .hub import CheckpointMissing, Hub
from .loading import load_model, load_tokenizer
from .runs import RunFolder
from .series import Checkpoint, CheckpointSource, find_series
from .store import TokenStore
from .sweep_settings import changes, other_settings, remember
from .tracking import log_findings

log = logging.getLogger(__name__)


class SweepStoppedError(RuntimeError):
    """A sweep that ended before its last checkpoint, for a reason that the message explains; results are valid."""


def analyze(
    source: str | list[CheckpointSource],
    run: str,
    callbacks: list[AnalysisCallback],
    steps: list[int] | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    tokens_per_step: int | None = None,
    tokenizer: str | None = None,
    store: str | None = None,
    dtype: str = "float32",
    device: str = "auto",
    family: Family | None = None,
    sites: list[str] | None = None,
    health: bool = True,
    missing: str = "stop",
    keep: int = 2,
    shard: str = "1/1",
    again: bool = False,
    logger: Logger | None = None,
) -> None:
    """Run analysis callbacks over a series of checkpoints and write what they find below a run's folder.

    What has results is not done again; the same command goes on where a sweep was interrupted. Several processes may
    work on one run.

    Args:
        source: a Babelscope run, a folder of checkpoints, one checkpoint's folder, or a repository's name; or a list
            of sources (path, steps, revision, subfolder, tokens_per_step each).
        run: folder that results are written to; for a Babelscope run as the source it may be the run itself.
        callbacks: analysis callbacks, as under trainer.callbacks for pretraining; every checkpoint is analysed,
            whatever their schedules say.
        steps: restrict the series to these steps; required for a repository.
        revision: how a repository names the revision of a step; global_step{step} by default.
        subfolder: where the checkpoints are folders of a path or repository, how the folder of a step is named.
        tokens_per_step: training tokens per step, where the checkpoints do not say.
        tokenizer: name or folder of the tokenizer; by default the checkpoint's own.
        store: token store for callbacks that read held-out text or concepts from it; by default the run's own.
        dtype: float32, or bfloat16 to halve the memory.
        device: auto, cpu or cuda.
        family: where hidden states, blocks and units are, for an architecture that has no row of its own.
        sites: sites whose outputs are units (qkv, attn_out, ffn_in, ffn_act, ffn_out, …); by default the linear layers.
        health: examine every checkpoint first, whether or not CheckpointHealth is among the callbacks; of several
            checkpoints with the same weights one is analysed.
        missing: stop before any work where a checkpoint is missing, or skip it.
        keep: checkpoints fetched from a repository that may lie on disk at a time, the next one included.
        shard: i/n, to do the i-th of n parts of the series.
        again: analyse again what has results already.
        logger: a logger for the findings besides the results, for example
            babelscope.training.wandb_logger.RunWandbLogger.

    Raises:
        ConfigError: with everything that is wrong, before any model is loaded.
        SweepStoppedError: a checkpoint turned out to be missing or damaged, and missing is stop.
    """
    sources = [CheckpointSource(source, steps, revision, subfolder, tokens_per_step)] if isinstance(source, str) else source  # fmt: skip
    series, problems, absent = find_series(sources, skip_missing=missing == "skip")
    if not callbacks:
        problems.append(
            "callbacks is empty: list at least one, for example babelscope.training.callbacks.LanguageProbe"
        )
    problems += _problems(dtype, device, missing, keep, shard)
    if not isinstance(source, str) and any(v is not None for v in (steps, revision, subfolder, tokens_per_step)):
        problems.append("steps, revision, subfolder and tokens_per_step belong into the entries of the list of sources")
    try:
        store = _store_of(sources, store)
    except ValueError as error:
        problems.append(f"store: {error}")
    if health and not any(isinstance(callback, CheckpointHealth) for callback in callbacks):
        callbacks = [CheckpointHealth(), *callbacks]
    callbacks = sorted(callbacks, key=lambda callback: not isinstance(callback, CheckpointHealth))
    names = [callback.name for callback in callbacks]
    problems += [f"callbacks has {name} {names.count(name)} times: one of a kind writes to a run" for name in sorted({n for n in names if names.count(n) > 1})]  # fmt: skip
    for callback in callbacks:
        callback.store = callback.store or store
    folder = RunFolder(Path(run))
    common = {
        "source": [asdict(replace(entry, path=str(Path(entry.path)), steps=None)) for entry in sources],
        "dtype": dtype,
        "tokenizer": tokenizer,
        "family": None if family is None else asdict(family),
        "sites": list(sites or ()),
    }
    if not again:
        problems += changes(folder.path, common, callbacks)
    raise_if(problems)

    hub = Hub(folder.path / "downloads")
    gone = hub.missing(checkpoint for checkpoint in series if checkpoint.remote)
    absent += gone.values()
    if missing == "stop":
        raise_if(gone.values())
    for problem in absent:
        log.warning("Skipped: %s", problem)
    number, parts = (int(part) for part in shard.split("/"))
    series = [checkpoint for checkpoint in series if checkpoint not in gone][number - 1 :: parts]

    run_id = folder.run_id(f"Analysis of {', '.join(entry.path for entry in sources)}")
    remember(folder.path, common, callbacks)
    if logger is not None and hasattr(logger, "adopt_run"):
        logger.adopt_run(run_id if parts == 1 else f"{run_id}-{number}", str(folder.path))
    transformers.utils.logging.disable_progress_bar()
    disable_progress_bars()
    target = torch.device("cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu")
    work = _Work(callbacks, folder, again, logger, tokenizer, dtype, target, family, tuple(sites or ()))
    with Claims(folder.path / "claims") as claims:
        _Sweep(work, series, hub, claims, keep, missing == "skip").run()


def _problems(dtype: str, device: str, missing: str, keep: int, shard: str) -> list[str]:
    problems = []
    if dtype not in ("float32", "bfloat16"):
        problems.append(f"dtype={dtype}: choose float32 or bfloat16")
    if device not in ("auto", "cpu", "cuda"):
        problems.append(f"device={device}: choose auto, cpu or cuda")
    elif device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda: no GPU is visible here; use auto or cpu")
    if missing not in ("stop", "skip"):
        problems.append(f"missing={missing}: choose stop or skip")
    if keep < 1:
        problems.append(f"keep={keep}: at least the checkpoint at work must lie on disk; give 1 or more")
    number, _, parts = shard.partition("/")
    if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
        problems.append(f"shard={shard}: give i/n with i from 1 to n, for example 1/4")
    return problems


def _store_of(sources: Sequence[CheckpointSource], store: str | None) -> str | None:
    """The token store named, or the one that the source's configuration names and that is still there."""
    if store is not None:
        return str(TokenStore(store).path)
    for source in sources:
        config = RunFolder(Path(source.path)).config
        if config.exists():
            path = yaml.safe_load(config.read_text(encoding="utf-8")).get("data", {}).get("store")
            if path is not None and Path(path).exists():
                return path
    return None


@dataclass
class _Work:
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


@dataclass
class _Sweep:
    """The order of the work: claimed and fetched ahead, analysed one checkpoint at a time."""

    work: _Work
    series: list[Checkpoint]
    hub: Hub
    claims: Claims
    keep: int
    skip: bool

    def run(self) -> None:
        """Do all that is left, apart from what other living processes are at."""
        todo = deque(checkpoint for checkpoint in self.series if self.work.due(checkpoint.step))
        if len(todo) < len(self.series):
            log.info("%d of %d checkpoints have their results already", len(self.series) - len(todo), len(self.series))
        self._clear()
        ahead: deque[tuple[Checkpoint, Future[Path]]] = deque()
        total, done, skipped, began = len(todo), 0, 0, time.perf_counter()
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher:
            try:
                while todo or ahead:
                    self._claim(todo, ahead, fetcher)
                    if not ahead:
                        if self._others_live(todo):
                            break
                        continue
                    checkpoint, arriving = ahead.popleft()
                    started = time.perf_counter()
                    try:
                        self.work.analyse(checkpoint, arriving.result())
                        done += 1
                        spent = time.perf_counter() - began
                        left = spent / (done + skipped) * (total - done - skipped)
                        log.info(
                            "%d of %d: step %d in %.1f s; %s",
                            done + skipped,
                            total,
                            checkpoint.step,
                            time.perf_counter() - started,
                            f"about {_span(left)} left" if done + skipped < total else f"all in {_span(spent)}",
                        )
                    except CheckpointMissing as error:
                        if not self.skip:
                            raise SweepStoppedError(
                                f"{error}\nWhat was found so far is in {self.work.folder.results}; the same command "
                                "goes on, missing: skip goes on without this checkpoint"
                            ) from error
                        skipped += 1
                        log.warning("Skipped step %d: %s", checkpoint.step, error)
                    finally:
                        self._let_go(checkpoint)
            finally:
                self.hub.close()
                for checkpoint, arriving in ahead:
                    arriving.cancel()
                    self._release(checkpoint)
        if skipped:
            log.warning("%d checkpoints were skipped", skipped)

    def _claim(
        self, todo: deque[Checkpoint], ahead: deque[tuple[Checkpoint, "Future[Path]"]], fetcher: ThreadPoolExecutor
    ) -> None:
        """Claim the next checkpoint, and as many further ones as may be fetched ahead."""
        for _ in range(len(todo)):
            # What is local needs no fetching: to claim it early would only keep it from others.
            if len(ahead) >= (self.keep if todo[0].remote else 1):
                return
            checkpoint = todo.popleft()
            if not self.claims.take(_name(checkpoint)):
                todo.append(checkpoint)
            elif not self.work.due(checkpoint.step):
                self._release(checkpoint)  # another process did it in the meantime
            else:
                ahead.append((checkpoint, fetcher.submit(self.hub.fetch, checkpoint)))

    def _others_live(self, todo: deque[Checkpoint]) -> bool:
        """Whether all that is left is in the hands of living processes; waits until that is known."""
        for checkpoint in [checkpoint for checkpoint in todo if not self.work.due(checkpoint.step)]:
            todo.remove(checkpoint)
        if not todo:
            return False
        log.info("%d checkpoints are claimed by other processes: waiting for a sign of life", len(todo))
        until = time.monotonic() + self.claims.stale_after
        while time.monotonic() < until:
            if not any(self.claims.still(_name(checkpoint)) for checkpoint in todo):
                claimable = [c for c in todo if self.work.due(c.step) and not self.claims.held(_name(c))]
                if claimable:
                    return False
                log.info("Other processes are at work on steps %s", ", ".join(str(c.step) for c in todo))
                return True
            time.sleep(min(1.0, self.claims.beat))
        return False

    def _let_go(self, checkpoint: Checkpoint) -> None:
        if checkpoint.remote:
            self.hub.release(checkpoint)
        self.claims.release(_name(checkpoint))

    def _release(self, checkpoint: Checkpoint) -> None:
        # What was half fetched stays: the next process to claim it goes on from there.
        self.claims.release(_name(checkpoint))

    def _clear(self) -> None:
        """Remove what a dead process had fetched for work that others then finished."""
        for checkpoint in self.series:
            if checkpoint.remote and not self.work.due(checkpoint.step) and not self.claims.held(_name(checkpoint)):
                self.hub.release(checkpoint)


def _name(checkpoint: Checkpoint) -> str:
    return f"step_{checkpoint.step:08d}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
