"""A checkpoint as a causal LM in evaluation mode, whole or not at all."""

import logging
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from ..model import XGLMForCausalLM
from ..model.families import Family
from ..model.sites import use_family
from .errors import CheckpointDamagedError, first_line, out_of_memory
from .hardware import multiplies_bf16
from .runs import CHECKPOINT_FILE, checkpoint_info

log = logging.getLogger(__name__)

# Masks and tables that older releases saved among the weights.
_NO_WEIGHTS = (".inv_freq", ".masked_bias", ".attn.bias", ".attention.bias", ".position_ids")


def placement_problems(dtype: str, device: str) -> list[str]:
    """What is wrong with where, and in which precision, a model is to be loaded."""
    problems = []
    if dtype not in ("float32", "bfloat16"):
        problems.append(f"dtype={dtype}: choose float32 or bfloat16")
    if device not in ("auto", "cpu", "cuda"):
        problems.append(f"device={device}: choose auto, cpu or cuda")
    elif device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda: no GPU is visible here; use auto or cpu")
    return problems


def placed(device: str, dtype: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` means here; a warning where it is slow at the precision asked for."""
    kind = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    if dtype == "bfloat16" and not multiplies_bf16(kind):
        log.warning("dtype=bfloat16: this processor multiplies bf16 in software; float32 is many times faster here")
    return torch.device(kind)


def load_model(
    path: str | Path,
    dtype: str = "float32",
    device: torch.device | str = "cpu",
    family: Family | str | None = None,
) -> PreTrainedModel:
    """Load a checkpoint; XGLM in our class, so that a replay computes what the run computed.

    No code of a repository is ever run, and pickled weights are read as weights only.

    Raises:
        CheckpointDamagedError: weights are missing, damaged, or of another shape than the configuration says.
        ValueError: the architecture needs code of its own, or the family does not fit it.
    """
    path = str(path)
    disable_progress_bar()  # a bar of every shard of every checkpoint would drown a sweep's log
    config = _read(
        path, lambda: AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True), "config.json"
    )
    kind: Any = XGLMForCausalLM if config.model_type == "xglm" else AutoModelForCausalLM
    own = Path(path) / CHECKPOINT_FILE
    try:
        attention = checkpoint_info(Path(path)).get("attention") if own.exists() else None
    except ValueError as error:
        raise CheckpointDamagedError(str(error)) from error
    model, report = _read(
        path,
        lambda: kind.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            # What a model says about its own generation is not used here, and may be what no library takes.
            generation_config=GenerationConfig.from_model_config(config),
            output_loading_info=True,
            weights_only=True,
            trust_remote_code=False,
            local_files_only=True,
        ),
        "the weights",
    )
    # The library fills what is missing with random numbers.
    missing = sorted(report["missing_keys"])
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise CheckpointDamagedError(f"{path} is half there: {', '.join(missing[:3])}{more} is not among its weights")
    # The library leaves out what the configuration has no place for: a model of fewer layers is another model.
    left = sorted(name for name in report["unexpected_keys"] if not name.endswith(_NO_WEIGHTS))
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise CheckpointDamagedError(
            f"{path} has weights that its config.json has no place for: {', '.join(left[:3])}{more}"
        )
    if family is not None:
        use_family(model, family)
    return model.to(device).eval()


def _read(path: str, load: Callable[[], Any], what: str) -> Any:
    try:
        return load()
    except UnpicklingError as error:
        raise CheckpointDamagedError(
            f"{path}: its pickled weights hold more than weights, and are not loaded: {first_line(error)}"
        ) from error
    except Exception as error:  # a configuration's odd field ends in any kind of error inside the library
        if out_of_memory(error):
            raise  # the machine's fault, not the checkpoint's
        if "trust_remote_code" in str(error):
            raise ValueError(
                f"{path} needs code of its own repository, which is never run here: only architectures that "
                "transformers knows can be analysed"
            ) from error
        raise CheckpointDamagedError(f"{path}: {what} can't be read ({first_line(error)})") from error
