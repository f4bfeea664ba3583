"""Average precision of many units: ours against a loop over scikit-learn, on the same responses, turn by turn.

First one concept with negatives of its own, then all concepts of a language that share their negatives. Ratios are of
wall time, the median of the turns with the smallest and the largest; run it on an otherwise idle machine.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.experts.halves import sentences_of
from babelscope.analysis.experts.scoring import precision_in_halves
from babelscope.analysis.experts.selection import average_precision
from sklearn.metrics import average_precision_score

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds and the result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def scikit_learn(positive_PU: np.ndarray, negative_NU: np.ndarray) -> np.ndarray:
    """The loop that is compared with."""
    labels = np.r_[np.ones(len(positive_PU)), np.zeros(len(negative_NU))]
    both_SU = np.concatenate([positive_PU, negative_NU])
    return np.array([average_precision_score(labels, response_S) for response_S in both_SU.T])


def report(name: str, theirs: list[float], ours: list[float], difference: float) -> None:
    """One line: microseconds a unit and concept, the ratio with its spread, and the largest difference."""
    ratios = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    print(
        f"{name:42s} scikit-learn {1e6 * np.median(theirs):7.1f} us, ours {1e6 * np.median(ours):7.2f} us "
        f"a unit and concept: {np.median(ratios):.0f} x ({ratios[0]:.0f} to {ratios[-1]:.0f}), "
        f"largest difference {difference:.1e}"
    )


def one_concept(units: int, turns: int, positives: int, negatives: int, ties: bool) -> None:
    """One concept, negatives of its own."""
    random = np.random.default_rng(0)
    positive_PU = random.standard_normal((positives, units)).astype(np.float32)
    negative_NU = random.standard_normal((negatives, units)).astype(np.float32)
    if ties:
        positive_PU, negative_NU = np.maximum(positive_PU, 0.5), np.maximum(negative_NU, 0.5)
    some = slice(0, min(units, 200))
    theirs, ours, difference = [], [], 0.0
    for _ in range(turns):
        seconds, expected_U = timed(lambda: scikit_learn(positive_PU[:, some], negative_NU[:, some]))
        theirs.append(seconds / len(expected_U))
        seconds, ap_U = timed(lambda: average_precision(positive_PU, negative_NU))
        ours.append(seconds / units)
        difference = max(difference, float(np.abs(ap_U[some] - expected_U).max()))
    report(f"{positives} + {negatives} sentences{', half of them tied' if ties else ''}", theirs, ours, difference)


def one_language(units: int, turns: int, concepts: int, sentences: int) -> None:
    """All concepts of a language, each against the sentences of the others, in both halves."""
    rows = (Row(f"c{c}", "xx", f"sentence {i} of {c}", 1) for c in range(concepts) for i in range(sentences))
    plan = sentences_of(ConceptSet(rows), "xx")
    random = np.random.default_rng(0)
    responses_SU = random.standard_normal((len(plan.sentences), units)).astype(np.float32)
    some, part = slice(0, min(units, 60)), plan.halves[0].concepts[0]
    theirs, ours, difference = [], [], 0.0
    for _ in range(turns):
        sides = responses_SU[part.positive_P, some], responses_SU[part.negative_N, some]
        seconds, expected_U = timed(lambda sides=sides: scikit_learn(*sides))
        theirs.append(seconds / len(expected_U))
        seconds, (choosing_CU, _) = timed(lambda: precision_in_halves(responses_SU, plan))
        ours.append(seconds / units / concepts / 2)
        difference = max(difference, float(np.abs(choosing_CU[0, some] - expected_U).max()))
    report(f"{concepts} concepts x {sentences} sentences, in halves", theirs, ours, difference)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--units", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {args.units} units, {args.turns} turns")
    one_concept(args.units, args.turns, 500, 700, ties=False)
    one_concept(args.units, args.turns, 500, 700, ties=True)
    one_concept(args.units, args.turns, 40, 280, ties=False)
    one_language(args.units, args.turns, 8, 40)
    one_language(max(1, args.units // 8), args.turns, 200, 40)


if __name__ == "__main__":
    main()
