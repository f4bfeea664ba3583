"""Linear probes for many layers and seeds at once: standardise, fit, test.

Shapes: P problems (layers, seeds or both), N examples, D features, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..failures import BrokenModelError
from .logistic import solve


@dataclass(frozen=True)
class ProbeFit:
    """Fitted probes.

    Attributes:
        accuracy_P: share of test examples that are predicted right, float64.
        confusion_PKK: test examples by true and predicted class, int64.
        weight_PKD, intercept_PK: of the standardised features.
        objective_P: C x sum of log losses + half the squared weights at the end, float64.
        gap_P: proved upper bound of what the objective lies above the optimum, float64.
        iterations_P: steps taken.
        converged_P: whether the gap came below the tolerance.
    """

    accuracy_P: Tensor
    confusion_PKK: Tensor
    weight_PKD: Tensor
    intercept_PK: Tensor
    objective_P: Tensor
    gap_P: Tensor
    iterations_P: Tensor
    converged_P: Tensor


def fit_probes(
    features_PND: Tensor,
    labels: Tensor,
    train: Tensor,
    *,
    C: float = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    memory_gb: float = 2.0,
) -> ProbeFit:
    """Fit one multinomial logistic regression per problem on its training examples and test it on the others.

    Features are standardised with the mean and deviation of the training examples; a constant feature becomes zero.
    What is minimised is scikit-learn's `LogisticRegression(C=C)`: C x sum of log losses + half the squared weights, the
    intercept free.

    Args:
        features_PND: (P, N, D).
        labels: (N,) or (P, N), classes 0 to K - 1; each must occur among the training examples.
        train: (N,) or (P, N) bool, which examples are trained on; the others test.
        C: inverse strength of the penalty.
        tolerance: a problem stops when its objective is proved to lie within this share of the optimum.
        max_iterations: where to give up, with a warning.
        memory_gb: gigabytes for problems solved side by side; the result does not depend on it.

    Raises:
        ValueError: shapes that do not fit, no test or training example, a class that is not trained on, C <= 0, or
            features that are not finite.
    """
    if features_PND.ndim != 3:
        raise ValueError(f"features have shape {tuple(features_PND.shape)}: expected (problems, examples, features)")
    P, N, D = features_PND.shape
    labels_PN, train_PN = (given.expand(P, N) if given.shape in ((N,), (P, N)) else None for given in (labels, train))
    if labels_PN is None or train_PN is None:
        raise ValueError(
            f"labels {tuple(labels.shape)} and train {tuple(train.shape)} must be ({N},) or ({P}, {N}), as the features are"
        )
    if C <= 0:
        raise ValueError(f"C={C}: give a positive inverse strength of the penalty")
    classes = int(labels.max()) + 1
    for number in range(P):
        trained = labels_PN[number][train_PN[number]].bincount(minlength=classes)
        if (trained == 0).any() or train_PN[number].all() or classes < 2:
            raise ValueError(
                f"problem {number}: training examples per class {trained.tolist()} of {N}: give at least two classes, "
                "each with a training example, and test examples"
            )
    if not torch.isfinite(features_PND).all():
        raise BrokenModelError(
            "features are not finite: the model's hidden states overflow, look at the checkpoint's health"
        )
    parts: list[dict[str, Tensor]] = []
    at_once = max(1, int(memory_gb * 1e9 / (6 * 4 * N * (D + classes))))
    for first in range(0, P, at_once):
        part = slice(first, first + at_once)
        parts += _fit_some(features_PND[part], labels_PN[part], train_PN[part], classes, C, tolerance, max_iterations)
    stacked = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    return ProbeFit(**stacked)


def _fit_some(
    features_PND: Tensor,
    labels_PN: Tensor,
    train_PN: Tensor,
    classes: int,
    C: float,
    tolerance: float,
    max_iterations: int,
) -> list[dict[str, Tensor]]:
    """Fit problems side by side; those with different numbers of training examples one after another."""
    sizes = train_PN.sum(1).tolist()
    found: list[dict[str, Tensor] | None] = [None] * len(sizes)
    for size in set(sizes):
        members = [number for number, other in enumerate(sizes) if other == size]
        standard = [_standardised(features_PND[number], train_PN[number]) for number in members]
        x_BDN = torch.stack([x[train_PN[n]].T for n, x in zip(members, standard, strict=True)])
        label_BN = torch.stack([labels_PN[n][train_PN[n]] for n in members])
        solved = solve(x_BDN, label_BN, classes, C=C, tolerance=tolerance, max_iterations=max_iterations)
        for number, x_ND, solution in zip(members, standard, solved, strict=True):
            weight_KD, intercept_K = solution.theta_KM[:, :-1], solution.theta_KM[:, -1]
            test_N = ~train_PN[number]
            predicted = (x_ND[test_N] @ weight_KD.T + intercept_K).argmax(1)
            true = labels_PN[number][test_N]
            confusion = (true * classes + predicted).bincount(minlength=classes**2).view(classes, classes)
            found[number] = {
                "accuracy_P": (predicted == true).double().mean(),
                "confusion_PKK": confusion,
                "weight_PKD": weight_KD,
                "intercept_PK": intercept_K,
                "objective_P": torch.tensor(solution.objective, dtype=torch.float64),
                "gap_P": torch.tensor(solution.gap, dtype=torch.float64),
                "iterations_P": torch.tensor(solution.iterations),
                "converged_P": torch.tensor(solution.converged),
            }
    return [part for part in found if part is not None]


def _standardised(features_ND: Tensor, train_N: Tensor) -> Tensor:
    # Twice centred in single precision: exact where a mean dwarfs the deviation, and without a copy in double.
    x_ND = features_ND.float()
    mean_D = x_ND[train_N].mean(0, dtype=torch.float64)
    x_ND = x_ND - mean_D.float()
    trained_nD = x_ND[train_N]
    rest_D = trained_nD.mean(0, dtype=torch.float64).float()
    deviation_D = trained_nD.sub_(rest_D).square_().mean(0, dtype=torch.float64).sqrt()
    # Rounding leaves a constant feature a deviation of a few units in the last place of its mean.
    constant_D = deviation_D <= 1e-6 * mean_D.abs() + 1e-12
    x_ND.sub_(rest_D).div_(torch.where(constant_D, 1.0, deviation_D).float())
    x_ND[:, constant_D] = 0.0
    return x_ND
