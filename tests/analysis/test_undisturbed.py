"""Looking leaves no trace, also when looking fails."""

import random

import numpy as np
import pytest
import torch
from babelscope.analysis.undisturbed import undisturbed
from torch import nn


def model():
    made = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 1)).train()
    made[0].eval()  # a part that the user froze
    made(torch.ones(1, 3)).sum().backward()
    return made


def look(made):
    assert not any(module.training for module in made.modules())
    assert not torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    random.random(), np.random.rand(), torch.rand(3)


def look_within(made, fail):
    with undisturbed(made):
        look(made)
        if fail:
            raise RuntimeError("on purpose")


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(fails):
    made = model()
    gradients = [p.grad.clone() for p in made.parameters()]
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = (torch.rand(1).item(), random.random(), np.random.rand())
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        if fails:
            with pytest.raises(RuntimeError, match="on purpose"):
                look_within(made, fail=True)
        else:
            look_within(made, fail=False)
        assert torch.is_autocast_enabled("cpu")
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected
    assert [module.training for module in made.modules()] == [True, False, True, True]
    assert torch.is_grad_enabled()
    assert all(torch.equal(p.grad, g) for p, g in zip(made.parameters(), gradients, strict=True))
