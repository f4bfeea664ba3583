"""One pass over text for mining: what each document offers, kept in memory that does not grow with the text."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from typing import Any, Self
from zlib import crc32

import numpy as np

from ..concepts.languages import SCRIPTS
from ..concepts.lexicon import Lexicon
from ..concepts.word_forms import Matcher
from ..reservoirs import HIGHEST, Candidate, Reservoir, signature, tokens
from ..settings import Settings
from .sentences import split
from .word_scan import Scanner

# Sentences looked at together: as many as stay in a processor's cache.
CHUNK = 2048
# One Chinese character says about as much as three letters.
CHARS_PER_HAN = 3
# Kept beyond the wanted number, for near-duplicates and sentences of one document to be dropped at the end.
SPARE = 2
# No length bin holds more than this share of the negatives; each keeps as many as that.
BIN_SHARE = 4


@dataclass(frozen=True)
class Limits(Settings):
    """How much a mining run keeps of what."""

    per_concept: int = 100
    """positives wanted per concept and language."""
    negatives: int = 1000
    """sentences wanted per language that show no concept, shared by all, spread over lengths as the positives are."""
    min_chars: int = 20
    """shortest sentence in characters; a Chinese character counts as three."""
    max_chars: int = 200
    """longest sentence."""
    min_positives: int = 20
    """a concept with fewer in a language is left out there."""
    seed: int = 0
    """which sentences are drawn where there are more than wanted."""

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers."""
        yield from self._at_least(1, "per_concept", "negatives", "min_chars", "min_positives")
        if self.max_chars < self.min_chars:
            yield f"max_chars={self.max_chars} is below min_chars={self.min_chars}: raise it"

    @property
    def per_bin(self) -> int:
        """Negatives kept of each length."""
        return -(-SPARE * self.negatives // BIN_SHARE)


class Tally:
    """What a part of a language's text has yielded; parts can be merged in any order.

    Attributes:
        counts: what was read and thrown away, by the keys of `mining_report.REASONS`.
        found: sentences that show each concept.
        positives: candidates of each concept.
        negatives: candidates of each length bin.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.positives: dict[str, Reservoir] = {}
        self.negatives: dict[int, Reservoir] = {}

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        positives = {concept: reservoir.kept() for concept, reservoir in self.positives.items()}
        negatives = {str(length): reservoir.kept() for length, reservoir in self.negatives.items()}
        return {"counts": self.counts, "found": self.found, "positives": positives, "negatives": negatives}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], limits: Limits) -> Self:
        """The inverse of `to_dict`."""
        tally = cls()
        tally.counts.update(values["counts"])
        tally.found.update(values["found"])
        for concept, kept in values["positives"].items():
            tally.positives[concept] = Reservoir(SPARE * limits.per_concept, (Candidate(*row) for row in kept))
        for length, kept in values["negatives"].items():
            tally.negatives[int(length)] = Reservoir(limits.per_bin, (Candidate(*row) for row in kept))
        return tally

    def merge(self, other: "Tally", miner: "Miner") -> None:
        """Take over another part of the same language."""
        self.counts.update(other.counts)
        self.found.update(other.found)
        for concept, reservoir in other.positives.items():
            self.positives.setdefault(concept, Reservoir(reservoir.size)).merge(reservoir, miner.signature)
        for length, reservoir in other.negatives.items():
            self.negatives.setdefault(length, Reservoir(reservoir.size)).merge(reservoir, str)

    def bounds(self) -> "Tally":
        """An empty tally that lets in only what this one would still keep."""
        empty = Tally()
        empty.positives = {concept: reservoir.emptied() for concept, reservoir in self.positives.items()}
        empty.negatives = {length: reservoir.emptied() for length, reservoir in self.negatives.items()}
        return empty


class Miner:
    """Fills the tallies of one language."""

    def __init__(self, lexicon: Lexicon, language: str, limits: Limits) -> None:
        matcher = Matcher(lexicon, language)
        self.facts, self._scanner, self._limits = matcher.language, Scanner(matcher), limits
        # Sentences with letters of another script have been weighed by then; this leaves out those without any letter.
        self._letter = re.compile(f"[{SCRIPTS[self.facts.script]}]")
        width = 1 if self.facts.spaced else CHARS_PER_HAN
        self._shortest, self._longest = -(-limits.min_chars // width), limits.max_chars // width
        self._bins = np.array([length_bin(length * width) for length in range(self._longest + 1)])

    def length(self, text: str) -> int:
        """The length bin of a sentence."""
        return int(self._bins[len(text)])

    def tokens(self, text: str) -> frozenset[str]:
        """What a sentence shares with its near-duplicates."""
        return tokens(self.facts.fold(text), self.facts.spaced)

    def signature(self, text: str) -> int:
        """Equal for sentences that share all of their tokens."""
        return signature(self.tokens(text))

    def add(self, tally: Tally, documents: Sequence[str]) -> None:
        """Take in documents."""
        sentences, owners = split(documents, self.facts)
        tally.counts["documents"] += len(documents)
        tally.counts["sentences"] += len(sentences)
        for start in self._cuts(owners, len(sentences)):
            chunk = slice(*start)
            self._add(tally, sentences[chunk], None if owners is None else owners[chunk], documents)

    @staticmethod
    def _cuts(owners: list[int] | None, count: int) -> Iterator[tuple[int, int]]:
        """Bounds of chunks that cut no document in two."""
        start = 0
        while start < count:
            end = min(start + CHUNK, count)
            while owners is not None and end < count and owners[end] == owners[end - 1]:
                end += 1
            yield start, end
            start = end

    def _add(self, tally: Tally, sentences: list[str], owners: list[int] | None, documents: Sequence[str]) -> None:
        length_S = np.fromiter(map(len, sentences), np.int64, len(sentences))
        fits_S = (length_S >= self._shortest) & (length_S <= self._longest)
        tally.counts["too_short"] += int((length_S < self._shortest).sum())
        tally.counts["too_long"] += int((length_S > self._longest).sum())
        fitting = list(compress(sentences, fits_S.tolist()))
        owner_S = alone_S = None
        if owners is not None:
            owner_S = np.array(owners, np.int64)
            same_S = np.append(owner_S[1:] == owner_S[:-1], False)
            alone_S = ~(same_S | np.roll(same_S, 1))[fits_S]
            owner_S = owner_S[fits_S]
        length_S = length_S[fits_S]
        priority_S = np.fromiter(
            map(crc32, map(str.encode, fitting), repeat(self._limits.seed)), np.int64, len(fitting)
        )
        clean_S = np.ones(len(fitting), bool)
        shown: list[tuple[int, frozenset[str]]] = []
        for index, seen in self._scanner.scan(fitting).items():
            if seen.foreign and ("\ufffd" in fitting[index] or not self.facts.writes(fitting[index])):
                tally.counts["other_script"] += 1
            elif seen.shown:
                shown.append((index, seen.shown))
            elif seen.unsure:
                tally.counts["unsure"] += 1
            else:
                continue
            clean_S[index] = False
        offers = _Offers(fitting, priority_S, owner_S, alone_S, documents)
        self._add_positives(tally, shown, offers)
        self._add_negatives(tally, np.flatnonzero(clean_S), length_S, offers)

    def _add_positives(self, tally: Tally, shown: list[tuple[int, frozenset[str]]], offers: "_Offers") -> None:
        for index, concepts in offers.best_of_documents(shown, tally.counts):
            priority = int(offers.priority_S[index])
            for concept in concepts:
                reservoir = tally.positives.get(concept)
                if reservoir is None:
                    reservoir = tally.positives[concept] = Reservoir(SPARE * self._limits.per_concept)
                if priority <= reservoir.threshold:
                    reservoir.add(offers.candidate(index), self.signature)
        tally.found.update(chain.from_iterable(concepts for _, concepts in shown))

    def _add_negatives(self, tally: Tally, index_C: np.ndarray, length_S: np.ndarray, offers: "_Offers") -> None:
        """One clean sentence of each document, where its length is still wanted."""
        if offers.owner_S is not None:
            owner_C = offers.owner_S[index_C]
            order_C = np.lexsort((offers.priority_S[index_C], owner_C))
            first_C = np.ones(len(order_C), bool)
            first_C[1:] = owner_C[order_C][1:] != owner_C[order_C][:-1]
            index_C = index_C[order_C[first_C]]
        bin_C = self._bins[length_S[index_C]]
        bound_B = np.full(int(self._bins.max()) + 1, HIGHEST)
        for length, reservoir in tally.negatives.items():
            bound_B[length] = reservoir.threshold
        wanted_C = offers.priority_S[index_C] <= bound_B[bin_C]
        for index, length in zip(index_C[wanted_C].tolist(), bin_C[wanted_C].tolist(), strict=True):
            if length not in tally.negatives:
                tally.negatives[length] = Reservoir(self._limits.per_bin)
            reservoir = tally.negatives[length]
            if int(offers.priority_S[index]) <= reservoir.threshold and self._letter.search(offers.sentences[index]):
                # Near-duplicates are few here; they are dropped when negatives are chosen.
                reservoir.add(offers.candidate(index), str)


@dataclass(frozen=True)
class _Offers:
    """Sentences with their priorities and, unless each is a document, its number and whether that has no other one."""

    sentences: list[str]
    priority_S: np.ndarray
    owner_S: np.ndarray | None
    alone_S: np.ndarray | None
    documents: Sequence[str]

    def candidate(self, index: int) -> Candidate:
        """A sentence as reservoirs take it."""
        document = 0
        if self.owner_S is not None and self.alone_S is not None and not self.alone_S[index]:
            text = self.documents[int(self.owner_S[index])]
            document = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        return Candidate(int(self.priority_S[index]), self.sentences[index], document)

    def best_of_documents(
        self, shown: list[tuple[int, frozenset[str]]], counts: Counter[str]
    ) -> list[tuple[int, frozenset[str]]]:
        """Of the sentences of a document that show a concept, the one of lowest priority; others are counted."""
        if self.owner_S is None or self.alone_S is None:
            return shown
        chosen = [offer for offer in shown if self.alone_S[offer[0]]]
        best: dict[tuple[int, str], tuple[int, str, int]] = {}
        offered = 0
        for index, concepts in shown:
            if self.alone_S[index]:
                continue
            owner = int(self.owner_S[index])
            rank = (int(self.priority_S[index]), self.sentences[index], index)
            offered += len(concepts)
            for concept in concepts:
                best[owner, concept] = min(rank, best.get((owner, concept), rank))
        counts["same_document"] += offered - len(best)
        several: dict[int, set[str]] = {}
        for (_, concept), (_, _, index) in best.items():
            several.setdefault(index, set()).add(concept)
        return chosen + [(index, frozenset(concepts)) for index, concepts in several.items()]


def length_bin(chars: int) -> int:
    """Bins of length, each a tenth wider than the one before."""
    return round(math.log(max(chars, 1)) / math.log(1.1))
