"""Samples of a stream in bounded memory, the same whatever the order and the split of the stream; near-duplicates."""

import hashlib
import re
import zlib
from collections import defaultdict

# White space and punctuation by range: "not \\w" would cut words of Indic scripts at every vowel sign.
SPLIT = re.compile("[\\s!-/:-@\\[-`{-~¡-¿‐-⁞،؛؟۔।॥、-〃「-】！-／：-＠]+")
DIGITS = re.compile(r"\d+")


def priority(text: str, seed: int) -> int:
    """Place of a text in a random order that the seed decides; ties are broken by the text itself."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"), seed)


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


class Reservoir:
    """The `size` texts of lowest priority, one per signature (a text's own, or a coarser one given with it).

    Which ones stay depends neither on the order of arrival nor on how the stream is split: a text is
    dropped only when `size` others come before it, and they stay before it whatever follows.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.threshold: tuple[float, str] = (float("inf"), "")
        self._kept: dict[int | str, tuple[int, str]] = {}

    def add(self, signature: int | str, rank: tuple[int, str]) -> None:
        """Offer a text by its (priority, text)."""
        if rank >= self.threshold:
            return
        known = self._kept.get(signature)
        if known is None or rank < known:
            self._kept[signature] = rank
            if len(self._kept) >= 2 * self.size + 64:
                self._prune()

    def merge(self, other: "Reservoir") -> None:
        """Take over what another part of the stream has kept."""
        for signature, rank in other._kept.items():
            self.add(signature, rank)

    def texts(self) -> list[str]:
        """What is kept, lowest priority first."""
        self._prune()
        return [text for _, text in self._kept.values()]

    def _prune(self) -> None:
        kept = sorted(self._kept.items(), key=lambda item: item[1])[: self.size]
        self._kept = dict(kept)
        if len(kept) == self.size:
            self.threshold = kept[-1][1]


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
