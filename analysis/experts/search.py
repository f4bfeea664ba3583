"""The search for experts: the best seen so far, group by group, and the scores of all units until they are asked for.

Shapes: C concepts, L languages, U units, k experts, P positives.
"""

import tempfile
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from torch import nn

from .activations import iter_unit_responses
from .halves import CHOOSING, LanguageSentences
from .memory import Division
from .scoring import precision_in_halves
from .selection import top_experts
from .settings import ExpertSettings


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


class Scores:
    """A float32 score of every unit for each language and concept: in memory, or in a file that is gone at the end.

    Args:
        shape: languages, concepts, units.
        in_memory: whether all are held. Else they are written and read piece by piece, so that what the file holds
            counts as nobody's memory.
    """

    def __init__(self, shape: tuple[int, int, int], in_memory: bool) -> None:
        self.shape = shape
        self._array = np.empty(shape, np.float32) if in_memory else None
        self._file = None if in_memory else tempfile.TemporaryFile(prefix="babelscope-")  # noqa: SIM115 (closed by us)

    def __enter__(self) -> "Scores":
        return self

    def __exit__(self, *_: object) -> None:
        self._array = None
        if self._file is not None:
            self._file.close()

    def put(self, language: int, concept: int, first: int, score_U: np.ndarray) -> None:
        """Keep the scores of neighbouring units, `first` the number of the first one."""
        if self._array is not None:
            self._array[language, concept, first : first + len(score_U)] = score_U
        else:
            self._seek(language, concept, first).write(score_U.astype(np.float32).tobytes())

    def get(self, language: int, concept: int) -> np.ndarray:
        """The scores of all units, float64 (U,)."""
        if self._array is not None:
            return self._array[language, concept].astype(np.float64)
        read = self._seek(language, concept, 0).read(4 * self.shape[2])
        return np.frombuffer(read, np.float32).astype(np.float64)

    def _seek(self, language: int, concept: int, unit: int) -> IO[bytes]:
        assert self._file is not None
        self._file.seek(4 * ((language * self.shape[1] + concept) * self.shape[2] + unit))
        return self._file


@dataclass(frozen=True)
class Search:
    """What the searches of all languages in one model share: where to read, how, and where the scores go."""

    model: nn.Module
    tokenizer: Any
    settings: ExpertSettings
    k: int
    division: Division
    scores: Scores

    def experts(self, language: int, plan: LanguageSentences) -> list[tuple[int, BestUnits]]:
        """Experts of each concept of a language; the AP of all units in the scoring half goes to `scores`."""
        if not plan.sentences:
            return []
        parts = plan.halves[CHOOSING].concepts
        best = [BestUnits.none(self.k) for _ in parts]
        for group, responses in iter_unit_responses(
            self.model, self.tokenizer, plan.sentences, self.settings, fixed=self.division.fixed
        ):
            responses_SU = responses.numpy()
            del responses
            for first in range(0, group.stop - group.start, self.division.block):
                block_SU = responses_SU[:, first : first + self.division.block]
                choosing_CU, scoring_CU = precision_in_halves(block_SU, plan, self.division.chunk)
                for row, (found, part) in enumerate(zip(best, parts, strict=True)):
                    self.scores.put(language, part.concept, group.start + first, scoring_CU[row])
                    found.see(group.start + first, choosing_CU[row], block_SU, part.positive_P)
            del responses_SU, block_SU
        return [(part.concept, found) for part, found in zip(parts, best, strict=True)]
