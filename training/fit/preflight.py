"""Everything that can be wrong with a run's configuration, found before anything is loaded."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...analysis.concepts.concept_set import SHIPPED_SENTENCES
from ..callbacks.checks import repeated, settings_out_of_range, writers
from ..callbacks.schedule import StepSchedule
from ..data.datamodule import micro_batches
from ..data.mixture import Mixture
from ..data.store import TokenStore
from ..runs import RunFolder
from .beginning import run_config, words_differ
from .optimizer import DECAYS, learning_rate_factor


def problems_of(config: Mapping[str, Any], resume: bool, world_size: int | None = None) -> list[str]:
    """All mistakes in a resolved `pretrain` configuration, each with field, value and remedy.

    Args:
        config: the configuration as nested mappings.
        resume: whether the run may go on in a folder that has work in it.
        world_size: number of processes, where it is known already.
    """
    return [
        *_run(RunFolder(Path(config["run"])), resume),
        *_trainer(config["trainer"]),
        *_optimisation(config["model"], config["trainer"]),
        *_model_and_data(config["model"], config["data"], world_size),
        *_schedules(config),
        *_paths(config["trainer"]),
        *settings_out_of_range(config["trainer"].get("callbacks"), "trainer.callbacks"),
        *repeated(writers(config["trainer"].get("callbacks")), "trainer.callbacks"),
    ]


def _run(run: RunFolder, resume: bool) -> Iterator[str]:
    if run.path.exists() and not run.path.is_dir():
        yield f"run={run.path} is a file: name a folder"
    elif not resume and run.has_work():
        yield f"run={run.path} holds a run already: go on with --resume, or name another folder"
    elif resume and run.has_work() and run.resume.is_dir() and not run.resume_states():
        # A run that died before it saved any state has no such folder, and begins again.
        yield (
            f"run={run.path} has results, and its resume states are gone: name another folder, or remove this one to start "
            "again"
        )


def _trainer(trainer: Mapping[str, Any]) -> Iterator[str]:
    if (trainer.get("max_steps") or -1) < 1:
        yield f"trainer.max_steps={trainer.get('max_steps')}: give the number of optimizer steps of the run"
    if str(trainer.get("precision") or "").startswith("16"):
        yield f"trainer.precision={trainer['precision']}: XGLM overflows in fp16; use bf16-mixed or 32-true"
    clip = trainer.get("gradient_clip_val")
    if clip is not None and clip <= 0:
        yield f"trainer.gradient_clip_val={clip}: give a positive norm, or null for no clipping"
    if trainer.get("gradient_clip_algorithm") == "value":
        yield "trainer.gradient_clip_algorithm=value: gradients are clipped by norm here; leave it out"


def _optimisation(model: Mapping[str, Any], trainer: Mapping[str, Any]) -> Iterator[str]:
    steps = trainer.get("max_steps") or 0
    if model["decay"] not in DECAYS:
        yield f"model.decay={model['decay']}: choose from {', '.join(DECAYS)}"
    for field in ("learning_rate", "epsilon"):
        if not model[field] > 0 or not math.isfinite(model[field]):
            yield f"model.{field}={model[field]}: give a positive number"
    for field in ("decay_floor", "decay_share"):
        if not 0 <= model[field] <= 1:
            yield f"model.{field}={model[field]}: give a share from 0 to 1"
    if model["weight_decay"] < 0:
        yield f"model.weight_decay={model['weight_decay']}: give 0 or more"
    if not all(0 <= beta < 1 for beta in model["betas"]):
        yield f"model.betas={list(model['betas'])}: give two numbers from 0 to below 1"
    if model["warmup_steps"] < 0 or 0 < steps < model["warmup_steps"]:
        yield f"model.warmup_steps={model['warmup_steps']}: give 0 to trainer.max_steps={steps}"
    if model["attention"] not in ("sdpa", "eager"):
        yield f"model.attention={model['attention']}: choose sdpa or eager"


def _model_and_data(model: Mapping[str, Any], data: Mapping[str, Any], world_size: int | None) -> Iterator[str]:
    config = store = None
    try:
        config = run_config(model)
    except (ValueError, TypeError) as error:
        yield f"model: {error}"
    try:
        store = TokenStore(data["store"])
    except ValueError as error:
        yield f"data.store: {error}"
    if config is not None and store is not None and model.get("from") is not None:
        yield from words_differ(Path(model["from"]), store)
    for field in ("global_batch_size", "micro_batch_size"):
        if data[field] < 1:
            yield f"data.{field}={data[field]}: give at least 1 sequence"
    if data["global_batch_size"] >= 1 and data["micro_batch_size"] >= 1:
        try:
            micro_batches(data["global_batch_size"], data["micro_batch_size"], world_size or 1)
        except ValueError as error:
            yield f"data: {error}"
    if not 0 <= data["alpha"] <= 1:
        yield f"data.alpha={data['alpha']}: give 0 (all languages alike) to 1 (in proportion to their text)"
    if store is not None:
        sizes = {
            language: entry["splits"]["train"]["blocks"] for language, entry in store.manifest["languages"].items()
        }
        if 0 <= data["alpha"] <= 1:
            try:
                Mixture(sizes, seed=data["seed"] or 0, alpha=data["alpha"], weights=data.get("weights"))
            except ValueError as error:
                yield f"data: {error}"
        if config is not None and store.block_length > config.max_position_embeddings:
            yield (
                f"data.store has blocks of {store.block_length} tokens, the model has {config.max_position_embeddings} "
                "positions: set model.overrides.max_position_embeddings or prepare shorter blocks"
            )
        if config is not None and store.vocab_size > config.vocab_size:
            yield (
                f"data.store's tokenizer has {store.vocab_size} words, the model {config.vocab_size}: set "
                f"model.overrides.vocab_size to {store.vocab_size} or more"
            )


def _schedules(config: Mapping[str, Any]) -> Iterator[str]:
    last = config["trainer"].get("max_steps") or 0
    places = [("checkpoints.schedule", config.get("checkpoints", {}).get("schedule"))]
    for index, callback in enumerate(config["trainer"].get("callbacks") or []):
        schedule = (callback.get("init_args") or {}).get("schedule")
        places.append((f"trainer.callbacks[{index}].schedule", schedule))
    for place, schedule in places:
        if schedule is None:
            continue
        try:
            at = StepSchedule(**schedule).at
        except ValueError as error:
            yield f"{place}: {error}"
            continue
        late = [step for step in at if step > last > 0]
        if late:
            yield f"{place}.at contains {late[0]}, beyond trainer.max_steps={last}: drop it or train longer"


def _paths(trainer: Mapping[str, Any]) -> Iterator[str]:
    for index, callback in enumerate(trainer.get("callbacks") or []):
        for field in ("text", "concepts", "parallel", "words"):
            path = (callback.get("init_args") or {}).get(field)
            shipped = path == SHIPPED_SENTENCES and field in ("text", "concepts")
            if isinstance(path, str) and not shipped and not Path(path).exists():
                yield f"trainer.callbacks[{index}].{field}={path} does not exist: name a file or folder that does"


def changes_since(began: Mapping[str, Any], now: Mapping[str, Any], step: int) -> tuple[list[str], list[str]]:
    """Differences between the configuration a run began with and the one it is resumed with at a step.

    A run may become longer (or shorter) where the learning rates that it has had so far are the same for both lengths.

    Returns:
        Those that would make another run of it, with what to do, and those that only change what is watched, how fast
        it goes, or how far.
    """
    decisive: list[str] = []
    harmless: list[str] = []
    same_course = False
    if began["trainer"].get("max_steps") != now["trainer"].get("max_steps"):
        problem = _other_length(began, now, step)
        same_course = problem is None
        decisive += [] if problem is None else [problem]
    free = ("data.num_workers", "data.micro_batch_size", "data.store", "model.compile", "model.recompute_activations")
    for field, before, after in _differences(began, now):
        if field in ("run", "note") or (field == "trainer.max_steps" and not same_course):
            continue
        line = f"{field} was {before!r} and is {after!r}"
        part = field.split(".")[0]
        course = field in ("trainer.precision", "trainer.gradient_clip_val", "seed_everything")
        if course or (part in ("model", "data") and field not in free):
            decisive.append(f"{line} since the run began: set it back, or start a new run")
        else:
            harmless.append(line)
    return decisive, harmless


def _other_length(began: Mapping[str, Any], now: Mapping[str, Any], step: int) -> str | None:
    """Why a run that stands at a step can't be made longer or shorter; None if it can."""
    old, new = began["trainer"]["max_steps"], now["trainer"]["max_steps"]
    line = f"trainer.max_steps was {old} when the run began and is {new}"
    if new < step:
        return f"{line}, and the run is at step {step} already: give a later step"
    model = began["model"]
    course = (model["decay"], model["decay_floor"], model["decay_share"])
    before, after = (learning_rate_factor(model["warmup_steps"], total, *course) for total in (old, new))
    # The rate of the next step is part of the state already.
    if all(before(taken) == after(taken) for taken in range(step + 1)):
        return None
    unlike = next(taken for taken in range(step + 1) if before(taken) != after(taken))
    return (
        f"{line}, and with model.decay={model['decay']} the learning rates of the {step} steps taken depend on it from step "
        f"{unlike + 1} on: set it back, or begin a new run from a checkpoint (model.from). A run with model.decay=constant, "
        f"or wsd before its decay begins, can be made longer"
    )


def _differences(a: Any, b: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in sorted({*a, *b}, key=str):
            yield from _differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else str(key))
    elif a != b and not (isinstance(a, list | tuple) and isinstance(b, list | tuple) and list(a) == list(b)):
        yield prefix, a, b
