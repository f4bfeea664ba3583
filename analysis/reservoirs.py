"""Samples of a stream in bounded memory, the same whatever the order and the split of the stream; near-duplicates."""

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

# White space and punctuation by range: "not \\w" would cut words of Indic scripts at every vowel sign.
SPLIT = re.compile("[\\s!-/:-@\\[-`{-~¡-¿‐-⁞،؛؟۔।॥、-〃「-】！-／：-＠]+")
DIGITS = re.compile(r"\d+")
HIGHEST = 1 << 32


def priority(text: str, seed: int) -> int:
    """Place of a text in a random order that the seed decides; ties are broken by the text itself."""
    return zlib.crc32(text.encode(), seed)


def tokens(folded: str, spaced: bool = True) -> frozenset[str]:
    """What near-duplicates share: words without case, digits, punctuation; pairs of characters in unspaced text."""
    text = DIGITS.sub("0", folded)
    if spaced:
        return frozenset(SPLIT.sub(" ", text).split())
    joined = SPLIT.sub("", text)
    return frozenset(joined[place : place + 2] for place in range(max(len(joined) - 1, 1)))


def signature(words: frozenset[str]) -> int:
    """Hash of a token set."""
    return int.from_bytes(hashlib.blake2b("\n".join(sorted(words)).encode(), digest_size=8).digest())


class Candidate(NamedTuple):
    """A sentence in the order of its priority; `document` tells documents apart, 0 for one that is this sentence alone."""

    priority: int
    text: str
    document: int = 0


class Reservoir:
    """The `size` sentences of lowest priority, one per signature.

    Which ones stay depends neither on the order of arrival nor on how the stream is split: a sentence is
    dropped only when `size` others come before it, and they stay before it whatever follows.
    """

    def __init__(self, size: int, candidates: Iterable[Candidate] = ()) -> None:
        self.size = size
        self.threshold = HIGHEST
        """Sentences of a higher priority do not get in."""
        self._known: dict[Candidate, Hashable] = dict.fromkeys(candidates)

    def add(self, candidate: Candidate, signature: Callable[[str], Hashable]) -> None:
        """Offer a sentence; its signature is asked for only when room is short."""
        if candidate.priority <= self.threshold:
            self._known.setdefault(candidate, None)
            if len(self._known) >= 2 * self.size + 64:
                self._prune(signature)

    def merge(self, other: "Reservoir", signature: Callable[[str], Hashable]) -> None:
        """Take over what another part of the stream has kept."""
        for candidate in other._known:
            self.add(candidate, signature)

    def kept(self) -> list[Candidate]:
        """All that may still be among the lowest."""
        return sorted(self._known)

    def emptied(self) -> "Reservoir":
        """A new one that lets in only what this one would still take."""
        empty = Reservoir(self.size)
        empty.threshold = self.threshold
        return empty

    def candidates(self, signature: Callable[[str], Hashable]) -> list[Candidate]:
        """What is kept, lowest priority first."""
        self._prune(signature)
        return list(self._known)

    def _prune(self, signature: Callable[[str], Hashable]) -> None:
        kept: dict[Hashable, Candidate] = {}
        for candidate in sorted(self._known):
            own = self._known[candidate]
            kept.setdefault(signature(candidate.text) if own is None else own, candidate)
            if len(kept) == self.size:
                self.threshold = candidate.priority
                break
        self._known = {candidate: own for own, candidate in kept.items()}


class NearDuplicates:
    """Remembers token sets and tells whether a new one is nearly one of them (Jaccard similarity at or above `limit`).

    Two sets that similar share one of their first tokens in any fixed order (prefix filtering, Bayardo et
    al. 2007), so only those are looked up; longest first, because long tokens are rare.
    """

    def __init__(self, limit: float = 0.75) -> None:
        self.limit = limit
        self._sets: list[frozenset[str]] = []
        self._by_token: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, new: frozenset[str]) -> bool:
        """Remember a token set unless it is nearly one that is known; returns whether it was new."""
        ordered = sorted(new, key=lambda token: (-len(token), token))
        needed = -int(-self.limit * len(ordered) // 1)
        prefix = ordered[: len(ordered) - needed + 1]
        candidates = {index for token in prefix for index in self._by_token.get(token, ())}
        for index in candidates:
            common = len(new & self._sets[index])
            if common >= self.limit * (len(new) + len(self._sets[index]) - common):
                return False
        for token in prefix:
            self._by_token[token].append(len(self._sets))
        self._sets.append(new)
        return True
