"""`babelscope analyze`: the callbacks of training over a series of checkpoints, by one or several processes."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars
from lightning.pytorch.loggers import Logger

from ...analysis.health.resolution import resolution_of
from ...model.families import Family, family_problems
from ..callbacks import AnalysisCallback, CheckpointHealth
from ..callbacks.checks import repeated, unready
from ..claims import Claims
from ..data.store import TokenStore
from ..errors import raise_if
from ..loading import placed, placement_problems
from ..runs import RunFolder
from ..tokenizers import has_tokenizer
from .hub import CheckpointMissing, Hub
from .order import Sweep
from .series import CheckpointSource, Phase, Point, find_series
from .settings import changes, remember
from .work import CheckpointWork

log = logging.getLogger(__name__)


def analyze(
    source: str | list[CheckpointSource],
    run: str,
    callbacks: list[AnalysisCallback] | None = None,
    steps: list[int] | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    tokens_per_step: int | None = None,
    tokens_at: dict[int, int] | None = None,
    phases: list[Phase] | None = None,
    checkpoints: dict[str, Point] | None = None,
    tokenizer: str | None = None,
    store: str | None = None,
    dtype: str = "float32",
    device: str = "auto",
    family: Family | str | None = None,
    health: bool = True,
    missing: str = "stop",
    keep: int = 2,
    shard: str = "1/1",
    again: bool = False,
    logger: Logger | None = None,
) -> list[str]:
    """Run analysis callbacks over a series of checkpoints and write what they find below a run's folder.

    What has results is not done again; the same command goes on where a sweep was interrupted. Several processes may
    work on one run.

    Args:
        source: a Babelscope run, a folder of checkpoints, one checkpoint's folder, or a repository's name; or a list
            of sources (path, steps, revision, subfolder, tokens_per_step, tokens_at, phases, checkpoints each).
        run: folder that results are written to; for a Babelscope run as the source it may be the run itself.
        callbacks: analysis callbacks, as under trainer.callbacks for pretraining; every checkpoint is analysed,
            whatever their schedules say. By default those that the run was trained with, where the source is a run.
        steps: restrict the series to these steps; by default all that there are.
        revision: how a repository names the revision of a step; global_step{step} by default. Patterns have {step},
            {step:07d} (filled with zeros), {tokens} (with a unit, 210B), {index} or *.
        subfolder: where the checkpoints are folders of a path or repository, how the folder of a step is named.
        tokens_per_step: training tokens per step, where the checkpoints do not say.
        tokens_at: training tokens until a step, for steps that tokens_per_step does not fit (a batch that grew).
        phases: the patterns of phases whose steps restart, in their order (revision or subfolder, with after: previous
            or an offset in steps); instead of revision and subfolder.
        checkpoints: revision or folder -> step and, where they are known, tokens, where no pattern fits.
        tokenizer: name or folder of the tokenizer; by default the checkpoint's own.
        store: token store for callbacks that read held-out text or concepts from it; by default the run's own.
        dtype: float32, or bfloat16 to halve the memory.
        device: auto, cpu or cuda.
        family: where hidden states, blocks and units are, for an architecture that has no row of its own: the paths,
            the name of a row, or auto to derive one from the model.
        health: examine every checkpoint first, whether or not CheckpointHealth is among the callbacks; of several
            checkpoints with the same weights one is analysed.
        missing: stop before any work where a checkpoint is missing, or skip it.
        keep: checkpoints fetched from a repository that may lie on disk at a time, the next one included.
        shard: i/n, to do the i-th of n parts of the series.
        again: analyse again what has results already, or what could not be analysed.
        logger: a logger for the findings besides the results, for example
            babelscope.training.fit.wandb_logger.RunWandbLogger.

    Returns:
        What could not be analysed, a line a checkpoint: a damaged file or weights that are not finite never stop a
        sweep. The reasons are recorded in place of the results, and such a checkpoint is not tried again of itself.

    Raises:
        ConfigError: with everything that is wrong, before any model is loaded.
        SweepStoppedError: a checkpoint turned out to be missing, and missing is stop.
    """
    where = (steps, revision, subfolder, tokens_per_step, tokens_at, phases, checkpoints)
    sources = [CheckpointSource(source, *where)] if isinstance(source, str) else source
    folder = RunFolder(Path(run))
    hub = Hub(folder.path / "downloads")
    try:
        series, problems, absent = find_series(sources, missing == "skip", hub)
    except CheckpointMissing as error:
        series, problems, absent = [], [f"source: no such folder here, and on the hub: {error}"], []
    if not callbacks:
        problems.append(
            "callbacks is empty: list at least one, for example babelscope.training.callbacks.LanguageProbe; a source that "
            "is a run of ours brings its own"
        )
    callbacks = callbacks or []
    problems += [*_problems(dtype, device, missing, keep, shard), *family_problems(family)]
    if not isinstance(source, str) and any(value is not None for value in where):
        problems.append(
            "steps, revision, subfolder, tokens_per_step, tokens_at, phases and checkpoints belong into the entries of the "
            "list of sources"
        )
    try:
        store = _store_of(sources, store)
    except ValueError as error:
        problems.append(f"store: {error}")
    if health and not any(isinstance(callback, CheckpointHealth) for callback in callbacks):
        callbacks = [CheckpointHealth(), *callbacks]
    callbacks = sorted(callbacks, key=lambda callback: not isinstance(callback, CheckpointHealth))
    problems += repeated(((callback.name, None) for callback in callbacks), "callbacks")
    for callback in callbacks:
        callback.store = callback.store or store
    problems += unready(callbacks, steps=[checkpoint.step for checkpoint in series], results=folder.results)
    common = {
        "source": [asdict(replace(entry, path=str(Path(entry.path)), steps=None)) for entry in sources],
        "dtype": dtype,
        "tokenizer": tokenizer,
        "family": asdict(family) if isinstance(family, Family) else family,
    }
    problems += [
        f"run={run} is a folder that a model was trained in, and source={entry.path} is another: its results would be mixed "
        "with the run's, name a folder of its own"
        for entry in sources
        if folder.config.exists() and not _lies_in(entry.path, folder.path)
    ]
    if not again:
        problems += changes(folder, common, callbacks)
    raise_if(problems)

    gone = hub.missing(checkpoint for checkpoint in series if checkpoint.remote)
    absent += gone.values()
    if missing == "stop":
        raise_if(gone.values())
    for problem in absent:
        log.warning("Skipped: %s", problem)
    number, parts = (int(part) for part in shard.split("/"))
    series = [checkpoint for checkpoint in series if checkpoint not in gone]
    planned = [checkpoint.step for checkpoint in series]
    resolution = resolution_of((checkpoint.step, checkpoint.tokens) for checkpoint in series)
    if resolution is not None:
        log.info("%d checkpoints. %s", len(series), resolution)
    run_id = folder.run_id(f"Analysis of {', '.join(entry.path for entry in sources)}")
    remember(folder.path, common, callbacks, planned)
    series = series[number - 1 :: parts]
    if logger is not None and hasattr(logger, "adopt_run"):
        logger.adopt_run(run_id if parts == 1 else f"{run_id}-{number}", str(folder.path))
    disable_progress_bars()
    target = placed(device, dtype)
    local = [checkpoint.path for checkpoint in series if not checkpoint.remote]
    work = CheckpointWork(
        callbacks, folder, again, logger, tokenizer, dtype, target, family, own_words=any(map(has_tokenizer, local))
    )
    with Claims(folder.path / "claims") as claims:
        failed = Sweep(work, series, hub, claims, keep, missing == "skip").run()
    if logger is not None:
        logger.finalize("success")
    return failed


def _problems(dtype: str, device: str, missing: str, keep: int, shard: str) -> list[str]:
    problems = placement_problems(dtype, device)
    if missing not in ("stop", "skip"):
        problems.append(f"missing={missing}: choose stop or skip")
    if keep < 1:
        problems.append(f"keep={keep}: at least the checkpoint at work must lie on disk; give 1 or more")
    number, _, parts = shard.partition("/")
    if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
        problems.append(f"shard={shard}: give i/n with i from 1 to n, for example 1/4")
    return problems


def _lies_in(source: str, folder: Path) -> bool:
    path = Path(source).resolve()
    return folder.resolve() in (path, *path.parents)


def _store_of(sources: Sequence[CheckpointSource], store: str | None) -> str | None:
    """The token store named, or the one that the source's configuration names and that is still there."""
    if store is not None:
        return str(TokenStore(store).path)
    for source in sources:
        path = RunFolder(Path(source.path)).store()
        if path is not None:
            return path
    return None
