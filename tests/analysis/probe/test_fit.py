"""The solver and the probe against scikit-learn, planted signals and planted nulls."""

import numpy as np
import pytest
import torch
from babelscope.analysis.probe.fit import fit_probes
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

K = 5


def problem(separation, seed=0, examples=600, features=24, outlier=False):
    """Correlated features with a class signal of some strength."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(examples) % K
    mixing = torch.randn(features, features, generator=generator)
    centres = separation * torch.randn(K, features, generator=generator)
    x = torch.randn(examples, features, generator=generator) @ mixing + centres[labels] + 3
    if outlier:
        x[:, 0] *= 1000
        x[:, 1] = 7.25  # constant
    train = torch.rand(examples, generator=generator) < 0.75
    return x, labels, train


def oracle(x, labels, train, C):
    """scikit-learn at a tight tolerance in float64: objective, test accuracy, probabilities."""
    scaler = StandardScaler().fit(x[train].double())
    z = scaler.transform(x.double())
    fitted = LogisticRegression(C=C, tol=1e-10, max_iter=20_000).fit(z[train], labels[train])
    log_p = fitted.predict_log_proba(z[train])
    loss = -log_p[np.arange(len(log_p)), labels[train]].sum()
    return C * loss + 0.5 * (fitted.coef_**2).sum(), fitted.score(z[~train], labels[~train])


@pytest.mark.parametrize("C", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("separation", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("outlier", [False, True])
def test_objective_and_accuracy_are_scikit_learns_optimum(C, separation, outlier):
    x, labels, train = problem(separation, outlier=outlier)
    fit = fit_probes(x[None], labels, train, C=C)
    objective, accuracy = oracle(x, labels, train, C)
    assert fit.converged_P.all()
    assert fit.objective_P[0].item() == pytest.approx(objective, rel=1e-4)
    assert fit.accuracy_P[0].item() == pytest.approx(accuracy, abs=0.002 + 1 / int((~train).sum()))


def test_the_bound_that_stops_it_holds():
    x, labels, train = problem(1.0)
    objective, _ = oracle(x, labels, train, 1.0)
    for tolerance in (1e-1, 1e-2, 1e-3):
        fit = fit_probes(x[None], labels, train, tolerance=tolerance)
        above = fit.objective_P[0].item() - objective
        assert -1e-6 * objective <= above <= fit.gap_P[0].item() + 1e-6 * objective


def test_problems_do_not_depend_on_their_neighbours_or_the_memory():
    parts = [problem(s, seed) for seed, s in enumerate((0.0, 1.0, 5.0))]
    x, labels, train = (torch.stack(p) for p in zip(*parts, strict=True))
    together = fit_probes(x, labels, train)
    few = fit_probes(x, labels, train, memory_gb=1e-9)
    for number, (one_x, one_labels, one_train) in enumerate(parts):
        alone = fit_probes(one_x[None], one_labels, one_train)
        for other in (together, few):
            assert torch.equal(other.confusion_PKK[number], alone.confusion_PKK[0])
            assert other.objective_P[number].item() == pytest.approx(alone.objective_P[0].item(), rel=1e-5)


def test_confusion_counts_test_examples():
    x, labels, train = problem(1.0)
    fit = fit_probes(x[None], labels, train)
    confusion = fit.confusion_PKK[0]
    assert confusion.sum(1).tolist() == labels[~train].bincount().tolist()
    assert (confusion.diag().sum() / confusion.sum()).item() == pytest.approx(fit.accuracy_P[0].item())


def test_a_planted_null_is_chance():
    x, labels, train = problem(0.0, examples=4000, features=8)
    accuracy = fit_probes(x[None], labels, train).accuracy_P[0].item()
    deviation = (0.2 * 0.8 / int((~train).sum())) ** 0.5
    assert abs(accuracy - 1 / K) < 4 * deviation


def test_not_converging_is_said():
    x, labels, train = problem(1.0)
    fit = fit_probes(x[None], labels, train, max_iterations=1, tolerance=1e-9)
    assert not fit.converged_P.any()
    assert fit_probes(x[None], labels, train).converged_P.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features_PND": torch.zeros(3, 4)}, r"features have shape \(3, 4\)"),
        ({"labels": torch.zeros(7, dtype=torch.long)}, r"labels \(7,\) and train"),
        ({"C": 0.0}, "C=0.0"),
        ({"train": torch.ones(600, dtype=torch.bool)}, "give at least two classes"),
        ({"features_PND": torch.full((1, 600, 4), torch.nan)}, "features are not finite"),
    ],
)
def test_mistakes_are_named(change, message):
    x, labels, train = problem(1.0)
    with pytest.raises(ValueError, match=message):
        fit_probes(**{"features_PND": x[None], "labels": labels, "train": train, **change})
