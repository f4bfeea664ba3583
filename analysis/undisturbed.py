"""Look at a model without leaving a trace: mode, gradients, random state and autocast are as before afterwards."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

ACCELERATE = "_original_forward"
"""What accelerate leaves in a module whose `forward` it has wrapped for mixed precision."""


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put Python's, NumPy's and torch's random states back on leaving, whatever was drawn inside."""
    python, numpy = random.getstate(), np.random.get_state()
    cpu = torch.get_rng_state()
    # Asking for the state of a device that was never used would initialise it.
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients and without autocast; everything is put back on leaving, also on an error.

    The mode is kept module by module, for a model whose user froze a part of it in evaluation mode. Autocast may also sit
    in the model itself: accelerate, and with it `transformers.Trainer`, puts a `forward` of its own before the class's.
    """
    modes = [(module, module.training) for module in model.modules()]
    wrapped = [
        (module, vars(module)["forward"])
        for module in model.modules()
        if {"forward", ACCELERATE} <= vars(module).keys()
    ]
    device_type = next(model.parameters()).device.type
    with random_state_kept(), torch.no_grad(), torch.autocast(device_type, enabled=False):
        try:
            model.eval()
            for module, _ in wrapped:
                del module.forward
            yield
        finally:
            for module, forward in wrapped:
                module.forward = forward
            for module, training in modes:
                module.training = training
