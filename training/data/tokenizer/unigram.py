"""Learns the pieces of a Unigram tokenizer (Kudo 2018, https://arxiv.org/abs/1804.10959) from counted words.

`tokenizers.trainers.UnigramTrainer` adds up in an order that changes from run to run, so ties fall differently and its
vocabulary cannot be reproduced; and it takes candidates from the list of different words, where a frequent word that
begins no other is no repeated string, so such words get no piece. Here candidates are weighted by frequency and
every sum has a fixed order.

Shape legend: W words, C characters of all words one after the other, N nodes (the places between characters), E edges
(occurrences of pieces), P pieces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MAX_PIECE = 16
MAX_WORD = 64
SEEDS_PER_PIECE = 8
SHRINKING = 0.75
EM_STEPS = 2
PRIOR = 0.5


class TooManyCharacters(ValueError):
    """More characters than pieces."""

    def __init__(self, characters: int, size: int) -> None:
        super().__init__(f"{characters} characters do not fit into {size} pieces")
        self.characters = characters


@dataclass(frozen=True)
class Lattice:
    """All ways to cut strings into pieces. Edges are in the order of the depth of their ends, then of their ends."""

    start_E: np.ndarray
    end_E: np.ndarray
    piece_E: np.ndarray
    levels: np.ndarray
    """Bounds of the edges whose ends are equally deep."""
    nodes: int

    @classmethod
    def of(cls, start_E: np.ndarray, end_E: np.ndarray, piece_E: np.ndarray, depth_N: np.ndarray) -> "Lattice":
        order = np.lexsort((start_E, end_E, depth_N[end_E]))
        return cls._sorted(start_E[order], end_E[order], piece_E[order], depth_N)

    @classmethod
    def _sorted(cls, start_E: np.ndarray, end_E: np.ndarray, piece_E: np.ndarray, depth_N: np.ndarray) -> "Lattice":
        levels = np.flatnonzero(np.diff(depth_N[end_E], prepend=-1, append=-1))
        return cls(start_E, end_E, piece_E, levels, len(depth_N))

    def keep(self, new_P: np.ndarray, depth_N: np.ndarray) -> "Lattice":
        """Without the pieces whose new number is negative, the others renumbered."""
        kept_E = new_P[self.piece_E] >= 0
        return self._sorted(self.start_E[kept_E], self.end_E[kept_E], new_P[self.piece_E[kept_E]], depth_N)

    def forward(self, score_P: np.ndarray, best: bool = False) -> np.ndarray:
        """Log-probability of everything before each node, summed over all ways there or of the best one."""
        total_N = np.zeros(self.nodes)
        for low, high in pairwise(self.levels):
            end_E = self.end_E[low:high]
            value_E = total_N[self.start_E[low:high]] + score_P[self.piece_E[low:high]]
            first = np.flatnonzero(np.diff(end_E, prepend=-1))
            highest = np.maximum.reduceat(value_E, first)
            if not best:
                share_E = np.exp(value_E - np.repeat(highest, np.diff(first, append=len(end_E))))
                highest = highest + np.log(np.add.reduceat(share_E, first))
            total_N[end_E[first]] = highest
        return total_N

    def expected(self, score_P: np.ndarray, weight_N: np.ndarray) -> np.ndarray:
        """Expected count of each piece when the string that ends at a node is there `weight_N` times."""
        total_N, mass_N = self.forward(score_P), weight_N.astype(np.float64)
        flow_E = np.exp(total_N[self.start_E] + score_P[self.piece_E] - total_N[self.end_E])
        for low, high in zip(self.levels[-2::-1], self.levels[:0:-1], strict=True):
            flow_E[low:high] *= mass_N[self.end_E[low:high]]
            np.add.at(mass_N, self.start_E[low:high], flow_E[low:high])
        return np.bincount(self.piece_E, weights=flow_E, minlength=len(score_P))


def learn(words: Mapping[str, int], size: int) -> list[tuple[str, float]]:
    """Learn pieces and their log-probabilities, the likeliest first.

    Args:
        words: How often each word occurs.
        size: Pieces wanted, every character of the words among them; fewer come out of too little text.

    Raises:
        TooManyCharacters: if there are more characters than `size`.
    """
    chunks: dict[str, int] = {}
    for word, count in words.items():
        for begin in range(0, len(word), MAX_WORD):
            chunk = word[begin : begin + MAX_WORD]
            chunks[chunk] = chunks.get(chunk, 0) + count
    strings = sorted(chunks)
    length_W = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    count_W = np.fromiter((chunks[s] for s in strings), dtype=np.float64, count=len(strings))
    text = "".join(strings)
    char_C = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int64)
    word_C = np.repeat(np.arange(len(strings)), length_W)
    left_C = np.repeat(np.cumsum(length_W), length_W) - np.arange(len(text))  # characters to the word's end

    start_E, size_E, piece_E, freq_P, size_P = _seeds(char_C, left_C, count_W[word_C], SEEDS_PER_PIECE * size)
    characters = int((size_P == 1).sum())
    if characters > size:
        raise TooManyCharacters(characters, size)

    depth_N = np.concatenate([np.arange(n + 1) for n in length_W]) if len(length_W) else np.zeros(0, np.int64)
    weight_N = np.zeros(len(depth_N))
    weight_N[np.cumsum(length_W + 1) - 1] = count_W
    start_N = start_E + word_C[start_E]  # a word of n characters has n + 1 nodes
    words_lattice = Lattice.of(start_N, start_N + size_E, piece_E, depth_N)
    first_P = np.full(len(size_P), len(text), dtype=np.int64)
    np.minimum.at(first_P, piece_E, start_E)
    inner, inner_depth_N, end_P = _pieces_lattice(words_lattice, first_P + word_C[first_P], size_P)

    score_P = np.log(freq_P * size_P / (freq_P * size_P).sum())
    while True:
        for _ in range(EM_STEPS):
            count_P = words_lattice.expected(score_P, weight_N)
            score_P = _scores(count_P, size_P)
        if len(size_P) <= size:
            break
        loss_P = count_P * (score_P - inner.forward(score_P, best=True)[end_P])
        loss_P[size_P == 1] = np.inf
        kept = np.argsort(-loss_P, kind="stable")[: max(size, int(SHRINKING * len(size_P)))]
        kept.sort()
        new_P = np.full(len(size_P), -1)
        new_P[kept] = np.arange(len(kept))
        words_lattice, inner = words_lattice.keep(new_P, depth_N), inner.keep(new_P, inner_depth_N)
        first_P, size_P, score_P, end_P = first_P[kept], size_P[kept], score_P[kept], end_P[kept]
    pieces = [text[first : first + n] for first, n in zip(first_P, size_P, strict=True)]
    scores = np.round(score_P, 6).tolist()
    return sorted(zip(pieces, scores, strict=True), key=lambda piece: (-piece[1], piece[0]))


def _scores(count_P: np.ndarray, size_P: np.ndarray) -> np.ndarray:
    """Log-probabilities from counts. Less a half a count is close to exp(digamma(count)): rare pieces fade."""
    count_P = np.maximum(count_P - PRIOR, np.where(size_P == 1, 1e-2, 1e-6))
    return np.log(count_P) - np.log(count_P.sum())


def _seeds(
    char_C: np.ndarray, left_C: np.ndarray, weight_C: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Candidate pieces: all characters, and of the strings that repeat the ones with most characters of text.

    An n-gram is numbered by the pair of (n-1)-grams it begins and ends with, so only repeated ones are ever extended.
    One that is always part of the same longer one is left out.

    Returns:
        start_E, size_E, piece_E of all occurrences, and freq_P, size_P.
    """
    _, gram_C = np.unique(char_C, return_inverse=True)
    at = np.arange(len(char_C))
    freq = np.bincount(gram_C, weights=weight_C)
    found = [(at, gram_C, freq, np.ones(len(freq), dtype=bool))]
    for n in range(2, MAX_PIECE + 1):
        at = at[left_C[at] >= n]
        at = at[gram_C[at + 1] >= 0]
        before, after = gram_C[at], gram_C[at + 1]
        key, gram = np.unique(before * len(freq) + after, return_inverse=True)
        longer_freq = np.bincount(gram, weights=weight_C[at])
        keep = longer_freq >= 2
        if not keep.any():
            break
        whole = n > 2  # characters stay in any case
        for shorter in (key // len(freq), key % len(freq)):
            found[-1][3][shorter[whole & (longer_freq == freq[shorter])]] = False
        number = np.where(keep, np.cumsum(keep) - 1, -1)
        gram_C = np.full(len(char_C), -1)
        gram_C[at] = number[gram]
        at, freq = at[keep[gram]], longer_freq[keep]
        found.append((at, gram_C[at], freq, np.ones(len(freq), dtype=bool)))
    freq_G = np.concatenate([freq for _, _, freq, _ in found])
    size_G = np.concatenate([np.full(len(freq), n) for n, (_, _, freq, _) in enumerate(found, 1)])
    value_G = np.where(size_G == 1, np.inf, freq_G * size_G * np.concatenate([useful for *_, useful in found]))
    chosen = np.argsort(-value_G, kind="stable")[: max(most, len(found[0][2]))]
    chosen = np.sort(chosen[value_G[chosen] > 0])
    new_G = np.full(len(freq_G), -1)
    new_G[chosen] = np.arange(len(chosen))
    edges, offset = [], 0
    for n, (at, gram, freq, _) in enumerate(found, 1):
        piece = new_G[gram + offset]
        offset += len(freq)
        edges.append((at[piece >= 0], np.full((piece >= 0).sum(), n), piece[piece >= 0]))
    start_E, size_E, piece_E = (np.concatenate(column) for column in zip(*edges, strict=True))
    return start_E, size_E, piece_E, freq_G[chosen], size_G[chosen]


def _pieces_lattice(words: Lattice, first_P: np.ndarray, size_P: np.ndarray) -> tuple[Lattice, np.ndarray, np.ndarray]:
    """The ways to cut each piece into other pieces, read off its first occurrence.

    Returns:
        The lattice, the depth of its nodes, and the node at which each piece ends.
    """
    order = np.argsort(words.start_E, kind="stable")
    bounds_N = np.searchsorted(words.start_E[order], np.arange(words.nodes + 1))
    low_P, high_P = bounds_N[first_P], bounds_N[first_P + size_P]
    edges_P = high_P - low_P
    owner_E = np.repeat(np.arange(len(size_P)), edges_P)
    offset_E = np.arange(edges_P.sum()) - np.repeat(np.cumsum(edges_P) - edges_P, edges_P)
    edge_E = order[low_P[owner_E] + offset_E]
    inside = words.end_E[edge_E] <= (first_P + size_P)[owner_E]
    itself = (words.piece_E[edge_E] == owner_E) & (size_P[owner_E] > 1)
    owner_E, edge_E = owner_E[inside & ~itself], edge_E[inside & ~itself]
    node_P = np.cumsum(size_P + 1) - (size_P + 1)
    shift_E = (node_P - first_P)[owner_E]
    depth_N = np.arange((size_P + 1).sum()) - np.repeat(node_P, size_P + 1)
    lattice = Lattice.of(words.start_E[edge_E] + shift_E, words.end_E[edge_E] + shift_E, words.piece_E[edge_E], depth_N)
    return lattice, depth_N, node_P + size_P
