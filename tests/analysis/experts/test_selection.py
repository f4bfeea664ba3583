"""Average precision against scikit-learn, the order of experts, and how many there are."""

import math

import numpy as np
import pytest
import torch
from babelscope.analysis.experts import selection as experts
from babelscope.analysis.experts.selection import average_precision, expert_count, top_experts
from sklearn.metrics import average_precision_score

RESPONSES = {
    "continuous": lambda x: x,
    "heavily tied": lambda x: x.round(),
    "saturated above": lambda x: np.minimum(x, 0.2),
    "saturated below": lambda x: np.maximum(x, 0.5),
    "constant": lambda x: np.full_like(x, 3.0),
    "both zeros": lambda x: np.copysign(np.zeros_like(x), x),
    "zeros among others": lambda x: np.where(np.abs(x) < 0.5, np.copysign(np.zeros_like(x), x), x),
    "tiny and huge": lambda x: x * np.where(x > 0, np.float32(1e37), np.float32(1e-42)).astype(x.dtype),
    "integers": lambda x: (4 * x).astype(np.int64),
}


def _sklearn(positive_PU: np.ndarray, negative_NU: np.ndarray) -> np.ndarray:
    labels = np.r_[np.ones(len(positive_PU)), np.zeros(len(negative_NU))]
    both = np.concatenate([positive_PU, negative_NU]).astype(np.float64)
    return np.array([average_precision_score(labels, unit) for unit in both.T])


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize(("positives", "negatives"), [(1, 40), (23, 1), (20, 140)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scikit_learn(kind, positives, negatives, dtype):
    random = np.random.default_rng(positives + negatives)
    units = 12
    positive = RESPONSES[kind](random.standard_normal((positives, units)).astype(dtype) + 0.3)
    negative = RESPONSES[kind](random.standard_normal((negatives, units)).astype(dtype))
    ap = average_precision(positive, negative)
    assert ap.dtype == np.float64
    assert np.abs(ap - _sklearn(positive, negative)).max() <= 2e-15


def test_by_hand():
    # Descending: + (1/1), − , + and − tied (2/4), + (3/5): (1 + 1/2 + 3/5) / 3.
    ap = average_precision(torch.tensor([[4.0], [2.0], [1.0]]), torch.tensor([[3.0], [2.0]]))
    assert isinstance(ap, torch.Tensor)
    assert ap.dtype == torch.float64
    assert ap.item() == pytest.approx((1 + 1 / 2 + 3 / 5) / 3, abs=1e-15)


def test_float64_differences_below_float32_are_seen():
    positive, negative = np.array([[1.0 + 1e-12]]), np.array([[1.0]])
    assert average_precision(positive, negative)[0] == 1.0
    assert average_precision(positive.astype(np.float32), negative.astype(np.float32))[0] == 0.5


def test_half_precision_tensors():
    positive = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    negative = torch.randn(9, 7, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = _sklearn(positive.float().numpy(), negative.float().numpy())
    np.testing.assert_allclose(average_precision(positive, negative), expected, atol=4e-16)


def test_chunks_and_threads_do_not_show(monkeypatch):
    random = np.random.default_rng(0)
    positive = random.standard_normal((9, 500)).astype(np.float32).round(1)
    negative = random.standard_normal((31, 500)).astype(np.float32).round(1)
    whole = average_precision(positive, negative)
    monkeypatch.setattr(experts, "CHUNK_NUMBERS", 40 * 7)
    monkeypatch.setattr(experts, "CHUNK_UNITS", 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert np.array_equal(average_precision(positive, negative), whole)


def test_input_is_left_as_it_was():
    positive = torch.tensor([[-0.0, 2.0], [1.0, 0.0]])
    negative = torch.tensor([[0.0, 1.0]])
    before = positive.clone(), negative.clone()
    average_precision(positive, negative)
    assert torch.equal(positive.view(torch.int32), before[0].view(torch.int32))
    assert torch.equal(negative, before[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_has_no_rank(bad):
    negative = np.zeros((3, 4), np.float32)
    negative[2, 1] = bad
    with pytest.raises(ValueError, match=rf"negative_NU is {bad} for sentence 2, unit 1: such a response has no rank"):
        average_precision(np.zeros((2, 4), np.float32), negative)


def test_refuses_wrong_shapes():
    with pytest.raises(ValueError, match="positive_PU has 2 units and negative_NU has 3"):
        average_precision(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"positive_PU has shape \(0, 2\): give at least one sentence"):
        average_precision(np.zeros((0, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"negative_NU has shape \(2,\)"):
        average_precision(np.zeros((1, 2)), np.zeros(2))


def test_top_experts_by_hand():
    ap = np.array([0.2, 0.9, 0.5, 0.9, 0.5, 0.5])
    assert top_experts(ap, 1).tolist() == [1]
    assert top_experts(ap, 3).tolist() == [1, 3, 2]
    assert top_experts(ap, 6).tolist() == [1, 3, 2, 4, 5, 0]


@pytest.mark.parametrize("seed", range(5))
def test_top_experts_equals_a_stable_sort(seed):
    ap = np.random.default_rng(seed).integers(0, 6, 300) / 5
    for k in (1, 17, 150, 300):
        expected = sorted(range(300), key=lambda unit: (-ap[unit], unit))[:k]
        assert top_experts(ap, k).tolist() == expected
        chosen = top_experts(torch.from_numpy(ap), k)
        assert isinstance(chosen, torch.Tensor)
        assert chosen.dtype == torch.int64
        assert chosen.tolist() == expected


def test_top_experts_refuses():
    with pytest.raises(ValueError, match="k=4: choose between 1 and the number of units, 3"):
        top_experts(np.zeros(3), 4)
    with pytest.raises(ValueError, match="k=0: choose between 1"):
        top_experts(np.zeros(3), 0)
    with pytest.raises(ValueError, match="ap_U is NaN for unit 2"):
        top_experts(np.array([0.1, 0.2, np.nan]), 1)


def test_expert_count():
    assert expert_count(None, 159_744) == 500
    assert expert_count(None, 5_184) == 51
    assert expert_count(None, 50) == 1
    assert expert_count(50, 5_184) == expert_count(50.0, 5_184) == 50
    assert isinstance(expert_count(50.0, 5_184), int)
    assert expert_count(1.0, 5_184) == 1
    assert expert_count(0.01, 5_184) == 52
    for k in (0, -3, 0.0, 2.5, True, math.inf):
        with pytest.raises(ValueError, match=f"k={k}: give a number of experts"):
            expert_count(k, 1000)
    with pytest.raises(ValueError, match="k=1000: the model has only 1000 units"):
        expert_count(1000, 1000)
