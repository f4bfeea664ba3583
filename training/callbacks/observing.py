"""The callbacks in a training loop that has no trainer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn

from ...analysis.findings import Findings
from .base import AnalysisCallback, causal_lm
from .checks import repeated, unready


def observe(
    model: nn.Module,
    tokenizer: Any,
    step: int,
    callbacks: Sequence[AnalysisCallback],
    results: str | Path,
    tokens: int | None = None,
    last: int | None = None,
) -> list[Findings]:
    """Run those callbacks that are due at a step of anybody's training loop; the model is as before afterwards.

    To be called after every optimizer step, and with step 0 before the first one: each callback's schedule decides, and
    a call at which nothing is due costs microseconds. Where processes train together, all of them call it: the first one
    analyses, the others wait.

    Args:
        model: a Hugging Face causal LM, or a module that holds one (wrapped for DDP, compiled, with adapters).
        tokenizer: the model's tokenizer, for callbacks that name none.
        step: optimizer steps taken so far.
        callbacks: analysis callbacks, the same objects at each call; `ExpertNeurons` before `Steering`.
        results: folder of results; `babelscope report` takes the folder above it, if it is called `results`.
        tokens: training tokens that the model has seen, where they are counted.
        last: the last step of the training, where it is known, for schedules that look at the end.

    Returns:
        What was found, in the order of the callbacks; empty where nothing is due, and on all processes but the first.

    Raises:
        ValueError: at the first call, whatever the step: a callback twice, text or concepts that can't be read, weights
            that are split over processes.
    """
    get_ready(model, tokenizer, callbacks, last)
    due = [callback for callback in callbacks if callback.schedule.due(step, last)]
    found = []
    together = dist.is_available() and dist.is_initialized()
    if due and (not together or dist.get_rank() == 0):
        lm = causal_lm(model)
        for callback in due:
            words = callback.find_tokenizer(tokenizer)
            found.append(callback.run_or_record(lm, words, step, tokens, callback.results or results))
    if due and together:
        dist.barrier()
    return found


def get_ready(model: nn.Module, tokenizer: Any, callbacks: Sequence[AnalysisCallback], last: int | None) -> None:
    """Find what is wrong with callbacks before any of them works; done once for each.

    Raises:
        ValueError: with everything that is wrong.
    """
    if callbacks and all(isinstance(callback, AnalysisCallback) and callback.ready for callback in callbacks):
        return
    if not callbacks:
        raise ValueError("callbacks is empty: list at least one, for example LanguageProbe(text='shipped')")
    strange = [callback for callback in callbacks if not isinstance(callback, AnalysisCallback)]
    if strange:
        raise ValueError(
            f"callbacks has {strange[0]!r}, which is no analysis callback: use those of babelscope.training.callbacks, made "
            "with their arguments"
        )
    causal_lm(model)
    problems = list(repeated(((callback.name, callback.results) for callback in callbacks), "callbacks"))
    if _split(model):
        problems.append(
            "the model's weights are split over processes, and the analyses need them whole: train with DDP or on one "
            "device, or save checkpoints and run babelscope analyze on them"
        )
    for callback in callbacks:
        try:
            callback.find_tokenizer(tokenizer)
        except ValueError as error:
            problems.append(str(error))
    problems += unready(callbacks, last)
    if problems:
        raise ValueError("\n".join(problems))


def _split(model: nn.Module) -> bool:
    """Whether a process holds only parts of the weights: FSDP or tensor parallelism, or DeepSpeed's third stage."""
    # Known by what they carry: a DTensor its placements, FSDP's flat parameter its mark, DeepSpeed's its number.
    marks = ("placements", "_is_flat_param", "ds_id")
    return any(hasattr(parameter, mark) for parameter in model.parameters() for mark in marks)
