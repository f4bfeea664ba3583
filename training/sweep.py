"""`babelscope analyze`: the callbacks of training over a series of checkpoints."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from ..model import XGLMForCausalLM
from .callbacks.base import AnalysisCallback
from .errors import raise_if
from .runs import CHECKPOINT_FILE, STEP_FOLDER, RunFolder, checkpoint_info
from .store import TokenStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Revision:
    """One checkpoint of a series: a folder, or a repository's revision, with what is known about its training."""

    step: int
    path: str
    revision: str | None = None
    tokens: int | None = None

    def __str__(self) -> str:
        return f"{self.path}@{self.revision}" if self.revision else self.path


def analyze(
    source: str,
    run: str,
    callbacks: list[AnalysisCallback],
    steps: list[int] | None = None,
    revision: str = "global_step{step}",
    tokens_per_step: int | None = None,
    tokenizer: str | None = None,
    store: str | None = None,
    dtype: str = "float32",
    device: str = "auto",
    again: bool = False,
) -> None:
    """Run analysis callbacks over a series of checkpoints and write what they find below a run's folder.

    Args:
        source: a Babelscope run, a folder of step_* checkpoints, one checkpoint's folder, or a repository's name.
        run: folder that results are written to; for a Babelscope run as the source it may be the run itself.
        callbacks: analysis callbacks, as under trainer.callbacks for pretraining; every checkpoint is analysed,
            whatever their schedules say.
        steps: restrict the series to these steps; required for a repository.
        revision: how a repository names the revision of a step.
        tokens_per_step: training tokens per step, where the checkpoints do not say.
        tokenizer: name or folder of the tokenizer; by default the checkpoint's own.
        store: token store for callbacks that read held-out text or concepts from it; by default the run's own.
        dtype: float32, or bfloat16 to halve the memory.
        device: auto, cpu or cuda.
        again: analyse again what has results already.

    Raises:
        ConfigError: with everything that is wrong, before any model is loaded.
    """
    series, problems = find_series(source, steps, revision, tokens_per_step)
    if not callbacks:
        problems.append(
            "callbacks is empty: list at least one, for example babelscope.training.callbacks.LanguageProbe"
        )
    if dtype not in ("float32", "bfloat16"):
        problems.append(f"dtype={dtype}: choose float32 or bfloat16")
    if device not in ("auto", "cpu", "cuda"):
        problems.append(f"device={device}: choose auto, cpu or cuda")
    elif device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda: no GPU is visible here; use auto or cpu")
    try:
        store = _store_of(source, store)
    except ValueError as error:
        problems.append(f"store: {error}")
    raise_if(problems)

    target = torch.device("cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu")
    folder = RunFolder(Path(run))
    folder.run_id(f"Analysis of {source}")
    for callback in callbacks:
        callback.store = callback.store or store
    transformers.utils.logging.disable_progress_bar()
    for number, checkpoint in enumerate(series, 1):
        due = [c for c in callbacks if again or not c.has_results(folder.results, checkpoint.step)]
        if not due:
            log.info("%d of %d: step %d has its results already", number, len(series), checkpoint.step)
            continue
        began = time.perf_counter()
        model = load_model(checkpoint, dtype).to(target)
        words = AutoTokenizer.from_pretrained(
            tokenizer or checkpoint.path, revision=_for_tokenizer(checkpoint, tokenizer)
        )
        for callback in due:
            callback.run(model, words, checkpoint.step, checkpoint.tokens, folder.results)
        del model
        log.info("%d of %d: step %d in %.1f s", number, len(series), checkpoint.step, time.perf_counter() - began)


def find_series(
    source: str, steps: Sequence[int] | None, revision: str, tokens_per_step: int | None
) -> tuple[list[Revision], list[str]]:
    """The checkpoints of a source, ascending by step, and what is wrong with asking for them."""
    path = Path(source)
    if not path.exists():
        return _repository(source, steps, revision, tokens_per_step)
    found = sorted(_local(path), key=lambda checkpoint: checkpoint.step)
    if not found:
        return [], [
            f"source={source} holds no checkpoint: name a run, a folder of step_*, or a folder with config.json"
        ]
    if steps is None:
        return found, []
    known = {checkpoint.step: checkpoint for checkpoint in found}
    missing = [step for step in steps if step not in known]
    problems = [f"steps={missing} are not in {source}: it has {sorted(known)}"] if missing else []
    return [known[step] for step in sorted(set(steps) & set(known))], problems


def _local(path: Path) -> Iterator[Revision]:
    if (path / "config.json").exists():
        yield _local_checkpoint(path)
        return
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    for child in sorted(folder.iterdir()):
        if STEP_FOLDER.fullmatch(child.name) and (child / "config.json").exists():
            yield _local_checkpoint(child)


def _local_checkpoint(path: Path) -> Revision:
    if (path / CHECKPOINT_FILE).exists():
        info = checkpoint_info(path)
        return Revision(info["step"], str(path), tokens=info["tokens"])
    match = STEP_FOLDER.fullmatch(path.name)
    return Revision(int(match[1]) if match else 0, str(path))


def _repository(
    name: str, steps: Sequence[int] | None, revision: str, tokens_per_step: int | None
) -> tuple[list[Revision], list[str]]:
    problems = []
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        problems.append(f"source={name} is neither a folder that exists nor a repository's name (owner/name)")
    if not steps:
        problems.append(f"steps is not set: list the steps of {name} to analyse")
    if "{step}" not in revision:
        problems.append(f"revision={revision!r}: it must contain {{step}}, as in global_step{{step}}")
    if problems:
        return [], problems
    assert steps
    series = [
        Revision(step, name, revision.format(step=step), step * tokens_per_step if tokens_per_step else None)
        for step in sorted(set(steps))
    ]
    return series, []


def load_model(checkpoint: Revision, dtype: str = "float32") -> Any:
    """A causal LM in evaluation mode; XGLM in our class, so that a replay computes what the run computed."""
    source = {"pretrained_model_name_or_path": checkpoint.path, "revision": checkpoint.revision or "main"}
    config = AutoConfig.from_pretrained(checkpoint.path, revision=checkpoint.revision or "main")
    kind: Any = XGLMForCausalLM if config.model_type == "xglm" else AutoModelForCausalLM
    return kind.from_pretrained(**source, dtype=getattr(torch, dtype)).eval()


def _for_tokenizer(checkpoint: Revision, tokenizer: str | None) -> str:
    return "main" if tokenizer is not None or checkpoint.revision is None else checkpoint.revision


def _store_of(source: str, store: str | None) -> str | None:
    """The token store named, or the one that the source's configuration names and that is still there."""
    if store is not None:
        return str(TokenStore(store).path)
    config = RunFolder(Path(source)).config
    if not config.exists():
        return None
    path = yaml.safe_load(config.read_text(encoding="utf-8")).get("data", {}).get("store")
    return path if path is not None and Path(path).exists() else None
