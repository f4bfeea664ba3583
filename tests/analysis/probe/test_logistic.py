"""The solver against scikit-learn at a tight tolerance, on problems that are hard for it in different ways."""

import babelscope.analysis.probe.logistic as logistic
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression


def hard_problem(examples, features, classes, signal, seed=0):
    """Strongly correlated features with heavy tails; standardised, (D, N), as the solver takes them."""
    generator = torch.Generator().manual_seed(seed)
    label_N = torch.arange(examples) % classes
    spread = torch.arange(1, features + 1).double() ** -1.5
    mixing = torch.linalg.qr(torch.randn(features, features, generator=generator).double()).Q * spread[:, None]
    x_ND = torch.randn(examples, features, generator=generator).double()
    x_ND = x_ND * (1 + 3 * (torch.rand(examples, 1, generator=generator) < 0.05))
    x_ND = (x_ND + signal * torch.randn(classes, features, generator=generator).double()[label_N]) @ mixing
    x_ND = (x_ND - x_ND.mean(0)) / x_ND.std(0, correction=0)
    return x_ND.T.contiguous(), label_N


def optimum(x_DN, label_N, C):
    """(objective, weights with zero mean over classes)."""
    fitted = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(x_DN.T.numpy(), label_N.numpy())
    log_p = fitted.predict_log_proba(x_DN.T.numpy())
    loss = -log_p[np.arange(len(log_p)), label_N.numpy()].sum()
    return C * loss + 0.5 * (fitted.coef_**2).sum(), torch.tensor(fitted.coef_)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("examples", "features", "classes", "signal", "C"),
    [
        (900, 20, 3, 0.2, 1.0),
        (900, 20, 3, 4.0, 1.0),  # separable
        (60, 150, 4, 0.5, 1.0),  # more features than examples
        (600, 12, 6, 0.5, 100.0),
        (900, 20, 6, 0.5, 1e-3),
    ],
)
def test_the_optimum_is_scikit_learns(examples, features, classes, signal, C, dtype):
    x_DN, label_N = hard_problem(examples, features, classes, signal)
    (found,) = logistic.solve(x_DN.to(dtype)[None], label_N[None], classes, C=C, tolerance=1e-4, max_iterations=1000)
    best, weights_KD = optimum(x_DN, label_N, C)
    assert found.converged
    assert -1e-6 < found.objective / best - 1 <= 1e-4
    assert found.objective - best <= found.gap + 1e-6 * best
    # Strong convexity bounds the distance of the weights as well: half its square is at most the error.
    distance = (found.theta_KM[:, :-1].double() - weights_KD).square().sum().item()
    assert 0.5 * distance <= found.gap + 1e-5 * best


def test_a_tight_tolerance_is_reached_in_float64():
    x_DN, label_N = hard_problem(600, 20, 4, 0.5)
    (found,) = logistic.solve(x_DN[None], label_N[None], 4, C=1.0, tolerance=1e-10, max_iterations=1000)
    best, weights_KD = optimum(x_DN, label_N, 1.0)
    assert found.converged
    assert found.objective == pytest.approx(best, rel=1e-9)
    assert torch.allclose(found.theta_KM[:, :-1], weights_KD, atol=1e-3)


def test_the_sharpened_metric_leads_to_the_same_optimum(monkeypatch):
    x_DN, label_N = hard_problem(600, 20, 4, 0.5)
    best, _ = optimum(x_DN, label_N, 1.0)
    sharpened = []
    sharpen = logistic.Metric.sharpen

    def seen(metric, slots, x_BDN, p_BKN):
        sharpen(metric, slots, x_BDN, p_BKN)
        sharpened.append(list(metric.sharp_BKDD))

    monkeypatch.setattr(logistic, "SHARPEN_AT", 4)
    monkeypatch.setattr(logistic, "SHARPEN_COST", 1)
    monkeypatch.setattr(logistic.Metric, "sharpen", seen)
    (found,) = logistic.solve(x_DN[None].float(), label_N[None], 4, C=1.0, tolerance=1e-4, max_iterations=1000)
    assert sharpened == [[0]]
    assert found.converged
    assert found.objective == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sharpened_metric_is_the_hessian_of_each_contrast(seed):
    """Up to what drawing 3 D of the examples leaves open; against a float64 loop."""
    generator = torch.Generator().manual_seed(seed)
    D, K, N = 12, 3, 4000
    x_DN = torch.randn(D, N, generator=generator, dtype=torch.float64)
    p_KN = torch.randn(K, N, generator=generator, dtype=torch.float64).mul(2).softmax(0)
    metric = logistic.Metric(x_DN[None], K, 1.0)
    metric.sharpen([0], x_DN[None], p_KN[None])
    for contrast in range(K):
        u_K = metric.u_BKK[0, :, contrast]
        weight_N = torch.stack([u_K @ (torch.diag(p_K) - torch.outer(p_K, p_K)) @ u_K for p_K in p_KN.T])
        expected_DD = (x_DN * weight_N) @ x_DN.T + torch.eye(D)
        ratio_D = torch.linalg.eigvals(metric.sharp_BKDD[0][contrast] @ expected_DD).real
        if weight_N.sum() < 1e-6 * N:
            assert torch.allclose(metric.sharp_BKDD[0][contrast], torch.eye(D, dtype=torch.float64))
        else:
            # A covariance drawn with 3 D examples has eigenvalues between 0.18 and 2.5 times the true ones.
            assert 0.2 < ratio_D.min() <= ratio_D.max() < 12


def test_each_problem_of_a_batch_ends_where_it_ends_alone():
    problems = [hard_problem(600, 20, 4, signal, seed) for seed, signal in enumerate((0.0, 0.3, 1.0, 4.0))]
    x_BDN = torch.stack([x for x, _ in problems]).float()
    label_BN = torch.stack([label for _, label in problems])
    settings = {"C": 1.0, "tolerance": 1e-4, "max_iterations": 1000}
    together = logistic.solve(x_BDN, label_BN, 4, **settings)
    assert len({found.iterations for found in together}) > 1, "they should leave the batch at different times"
    for number, found in enumerate(together):
        (alone,) = logistic.solve(x_BDN[number : number + 1], label_BN[number : number + 1], 4, **settings)
        assert found.objective == pytest.approx(alone.objective, rel=1e-5)
        assert torch.allclose(found.theta_KM, alone.theta_KM, atol=1e-2)


def test_two_classes_are_scikit_learns_binary_problem_with_twice_the_c():
    """Both classes have weights here, w and -w, which halves the penalty of the difference."""
    x_DN, label_N = hard_problem(600, 10, 2, 0.2)
    (found,) = logistic.solve(x_DN[None], label_N[None], 2, C=1.0, tolerance=1e-10, max_iterations=1000)
    fitted = LogisticRegression(C=2.0, tol=1e-10, max_iter=100_000).fit(x_DN.T.numpy(), label_N.numpy())
    difference = found.theta_KM[1, :-1] - found.theta_KM[0, :-1]
    assert torch.allclose(difference, torch.tensor(fitted.coef_[0]), atol=1e-4)


def test_giving_up_says_how_far_it_came():
    x_DN, label_N = hard_problem(600, 20, 4, 0.5)
    best, _ = optimum(x_DN, label_N, 1.0)
    (found,) = logistic.solve(x_DN[None], label_N[None], 4, C=1.0, tolerance=1e-10, max_iterations=5)
    assert (found.converged, found.iterations) == (False, 5)
    assert best < found.objective <= best + found.gap
