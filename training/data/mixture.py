"""The mixture: which block of which language stands at each position of the training stream.

The stream is cut into cycles. In a cycle every language has a fixed number of draws (its quota), in an
order shuffled anew for each cycle; the n-th draw of a language reads entry n mod N of the shuffle that
belongs to its epoch n // N, N being its number of blocks. So a position's block follows from the seed and
the position alone: nothing is replayed, and nothing depends on how many processes, workers or micro-batches
share the work. All shuffles sort the raw stream of a counter-based generator (Philox), which numpy keeps
stable across versions.

Shapes: N positions; L languages; C slots of a cycle.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

ORDER_WITHIN_CYCLE, ORDER_WITHIN_EPOCH = 0, 1  # independent streams of one seed
CYCLES_KEPT = 4


class Mixture:
    """Draws (language, block) for positions of the stream; a pure function of the arguments and the position.

    Args:
        blocks: training blocks per language; the order of the mapping does not matter.
        seed: 0 ... 2^64 - 1.
        alpha: weights are proportional to blocks ** alpha: 0 draws all languages alike, 1 in proportion
            to their text.
        weights: one weight per language in place of alpha; they need not add up to one, and 0 leaves a
            language out.
        cycle: slots of a cycle; the share of a language is exact to 1 / cycle.

    Attributes:
        languages: sorted names; the language indices of `draw` count through them.
        weights: float64 (L,), the shares that are drawn: the quotas over the cycle.

    Raises:
        ValueError: for an alpha outside [0, 1], weights that are negative, not finite, all zero, of unknown
            languages or not given for a language, a drawn language without blocks, a cycle shorter than the
            number of languages drawn.
    """

    def __init__(
        self,
        blocks: Mapping[str, int],
        *,
        seed: int = 0,
        alpha: float = 0.3,
        weights: Mapping[str, float] | None = None,
        cycle: int = 16384,
    ) -> None:
        if not blocks:
            raise ValueError("mixture: there is no language to draw from")
        if not 0 <= seed < 2**64:
            raise ValueError(f"mixture: seed is {seed}; give an integer from 0 to 2^64 - 1")
        self.languages = tuple(sorted(blocks))
        self.blocks_L = np.array([blocks[language] for language in self.languages], dtype=np.int64)
        self.seed = seed
        self.cycle = cycle
        if weights is None:
            wanted_L = _tempered(self.blocks_L, alpha)
        else:
            wanted_L = _explicit(self.languages, weights)
        empty = [name for name, n, w in zip(self.languages, self.blocks_L, wanted_L, strict=True) if w > 0 and n < 1]
        if empty:
            raise ValueError(
                f"mixture: no training block for {', '.join(empty)}; give them more text, "
                "shorten the blocks, or set their weight to 0"
            )
        drawn = int((wanted_L > 0).sum())
        if cycle < drawn:
            raise ValueError(f"mixture: cycle is {cycle}, fewer than the {drawn} languages drawn; raise it")
        self.quotas_L = _largest_remainder(wanted_L, cycle)
        self.weights = self.quotas_L / cycle
        self._stream_of_L = [_number_of(language) for language in self.languages]
        self._cycles: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._epochs: list[OrderedDict[int, np.ndarray]] = [OrderedDict() for _ in self.languages]

    def draw(self, positions_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The language and the block at each position.

        Args:
            positions_N: integers >= 0, in any order; a position is step * global batch + slot.

        Returns:
            (language index, block index within that language's training blocks), both int64 (N,).

        Raises:
            ValueError: for a negative position.
        """
        positions_N = np.asarray(positions_N, dtype=np.int64)
        if positions_N.size and positions_N.min() < 0:
            raise ValueError(f"mixture: position {positions_N.min()} is negative; positions count from 0")
        cycle_N, slot_N = np.divmod(positions_N, self.cycle)
        language_N, count_N = np.empty_like(positions_N), np.empty_like(positions_N)
        for number in np.unique(cycle_N):
            here_N = cycle_N == number
            language_C, earlier_C = self._cycle(int(number))
            language_N[here_N] = language_C[slot_N[here_N]]
            count_N[here_N] = earlier_C[slot_N[here_N]]
        count_N += cycle_N * self.quotas_L[language_N]  # draws of that language before this position
        epoch_N, entry_N = np.divmod(count_N, self.blocks_L[language_N])
        block_N = np.empty_like(positions_N)
        shuffles, shuffle_N = np.unique(epoch_N * len(self.languages) + language_N, return_inverse=True)
        for which, shuffle in enumerate(shuffles.tolist()):
            here_N = shuffle_N == which
            epoch, language = divmod(shuffle, len(self.languages))
            block_N[here_N] = self._epoch(language, epoch)[entry_N[here_N]]
        return language_N, block_N

    def counts(self, position: int) -> dict[str, int]:
        """Draws of each language before this position (so `counts(0)` is all zero)."""
        if position < 0:
            raise ValueError(f"mixture: position {position} is negative; positions count from 0")
        number, slot = divmod(int(position), self.cycle)
        counts_L = number * self.quotas_L
        if slot:
            counts_L = counts_L + np.bincount(self._cycle(number)[0][:slot], minlength=len(self.languages))
        return {language: int(count) for language, count in zip(self.languages, counts_L, strict=True)}

    def _cycle(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Language of each slot of a cycle (C,), and how often it was drawn earlier in the cycle (C,)."""
        if number not in self._cycles:
            sorted_C = np.repeat(np.arange(len(self.languages)), self.quotas_L)
            order_C = _shuffled(self.cycle, self.seed, ORDER_WITHIN_CYCLE, number, 0)
            language_C = sorted_C[order_C]
            # A stable sort by language lists a language's slots in order: the rank counts earlier draws.
            starts_L = np.cumsum(self.quotas_L) - self.quotas_L
            earlier_C = np.empty(self.cycle, dtype=np.int64)
            earlier_C[np.argsort(language_C, kind="stable")] = np.arange(self.cycle) - starts_L[sorted_C]
            _keep(self._cycles, number, (language_C, earlier_C), CYCLES_KEPT)
        return self._cycles[number]

    def _epoch(self, language: int, epoch: int) -> np.ndarray:
        """The order of a language's blocks in one of its epochs; the last two of each language are kept."""
        kept = self._epochs[language]
        if epoch not in kept:
            size = int(self.blocks_L[language])
            order = _shuffled(size, self.seed, ORDER_WITHIN_EPOCH, epoch, self._stream_of_L[language])
            _keep(kept, epoch, order, 2)
        return kept[epoch]


def _tempered(blocks_L: np.ndarray, alpha: float) -> np.ndarray:
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"mixture: alpha is {alpha}; give a number from 0 (all alike) to 1 (in proportion to the text)"
        )
    return np.maximum(blocks_L, 1).astype(np.float64) ** alpha


def _explicit(languages: tuple[str, ...], weights: Mapping[str, float]) -> np.ndarray:
    known = ", ".join(languages)
    if unknown := sorted(set(weights) - set(languages)):
        raise ValueError(f"mixture: weights name {', '.join(unknown)}, which is not among the languages: {known}")
    if missing := [language for language in languages if language not in weights]:
        raise ValueError(f"mixture: weights lack {', '.join(missing)}; give every language one, 0 to leave it out")
    for language in languages:
        if not (np.isfinite(weights[language]) and weights[language] >= 0):
            raise ValueError(f"mixture: the weight of {language} is {weights[language]}; give a finite number >= 0")
    wanted_L = np.array([weights[language] for language in languages], dtype=np.float64)
    if not wanted_L.any():
        raise ValueError(f"mixture: all weights are 0; give at least one of {known} a positive weight")
    return wanted_L


def _largest_remainder(wanted_L: np.ndarray, cycle: int) -> np.ndarray:
    """Whole quotas in proportion to the weights, adding up to `cycle`; a positive weight gets at least 1."""
    ideal_L = wanted_L / wanted_L.sum() * cycle
    quotas_L = np.floor(ideal_L).astype(np.int64)
    left = cycle - int(quotas_L.sum())
    quotas_L[np.argsort(quotas_L - ideal_L, kind="stable")[:left]] += 1
    for language in np.flatnonzero((quotas_L == 0) & (wanted_L > 0)):
        quotas_L[np.argmax(quotas_L)] -= 1
        quotas_L[language] = 1
    return quotas_L


def _shuffled(size: int, seed: int, purpose: int, number: int, stream: int) -> np.ndarray:
    """A permutation of range(size), uint32 (size,).

    Each index is put behind raw Philox bits and the words are sorted: numpy may change its shuffles between
    versions, but neither these bits nor the order of distinct words.
    """
    assert size < 2**32
    generator = np.random.Philox(
        key=np.array([seed, purpose], dtype=np.uint64),
        counter=np.array([0, 0, number, stream], dtype=np.uint64),
    )
    index_bits = np.uint64(max(size - 1, 0).bit_length())
    words = generator.random_raw(size) >> index_bits << index_bits | np.arange(size, dtype=np.uint64)
    words.sort()
    return (words & ((np.uint64(1) << index_bits) - np.uint64(1))).astype(np.uint32)


def _number_of(language: str) -> int:
    """A language's own random stream: other languages that come or go do not reorder its blocks."""
    return int.from_bytes(hashlib.sha256(language.encode()).digest()[:8], "little")


def _keep(kept: OrderedDict, number: int, value: object, most: int) -> None:
    kept[number] = value
    while len(kept) > most:
        kept.popitem(last=False)
