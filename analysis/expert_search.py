"""The best experts seen so far, group of units by group of units, and the scores of all units until they are asked for.

Shapes: C concepts, L languages, U units, k experts, P positives.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .experts import top_experts


@dataclass
class BestUnits:
    """The k best units of one concept in one language: number, AP in the choosing half, median positive response."""

    k: int
    index: np.ndarray
    ap: np.ndarray
    median: np.ndarray

    @classmethod
    def none(cls, k: int) -> "BestUnits":
        """Before anything was seen."""
        return cls(k, np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.float32))

    def see(self, first: int, ap_U: np.ndarray, responses_SU: np.ndarray, positive_P: np.ndarray) -> None:
        """Take in the next group of units, in ascending order of their numbers.

        Args:
            first: number of the group's first unit.
            ap_U: their AP in the choosing half.
            responses_SU: their responses, `positive_P` the rows of the concept's positives in the choosing half.
        """
        best = top_experts(ap_U, min(self.k, len(ap_U)))
        if len(self.ap) == self.k:
            # Of equals the first stays.
            best = best[ap_U[best] > self.ap[-1]]
        median = np.median(responses_SU[positive_P[:, None], best], axis=0).astype(np.float32)
        index = np.concatenate([self.index, best + first])
        ap = np.concatenate([self.ap, ap_U[best]])
        median = np.concatenate([self.median, median])
        order = np.lexsort((index, -ap))[: self.k]
        self.index, self.ap, self.median = index[order], ap[order], median[order]


@contextmanager
def scratch(shape: tuple[int, ...], memory_gb: float) -> Iterator[np.ndarray]:
    """A float32 array: in memory if it fits `memory_gb`, else in a temporary file that is gone on leaving."""
    if 4 * np.prod(shape, dtype=np.int64) <= memory_gb * 1e9:
        yield np.empty(shape, np.float32)
        return
    with tempfile.TemporaryDirectory(prefix="babelscope-") as folder:
        array = np.memmap(Path(folder) / "scores.f32", np.float32, "w+", shape=shape)
        try:
            yield array
        finally:
            del array
