"""From a tally to sentences: at most one of a document, no two nearly the same, negatives as long as positives."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from ..reservoirs import Candidate, NearDuplicates, signature
from .tally import Limits, Miner, Tally

# How far from its own length bin a negative may be taken: a fifth longer or shorter.
NEAR_BINS = 2


class Choice:
    """The sentences of one language that go into the set.

    Attributes:
        positives: sentences by concept.
        negatives: sentences that show none.
    """

    def __init__(self, miner: Miner, tally: Tally, limits: Limits) -> None:
        self._miner, self._tally, self._limits = miner, tally, limits
        self._tokens: dict[str, frozenset[str]] = {}
        self._given: dict[int, str] = {}
        self.positives = self._choose_positives()
        self.negatives = self._choose_negatives(text for texts in self.positives.values() for text in texts)

    def _tokens_of(self, text: str) -> frozenset[str]:
        if text not in self._tokens:
            self._tokens[text] = self._miner.tokens(text)
        return self._tokens[text]

    def _signature(self, text: str) -> int:
        return signature(self._tokens_of(text))

    def _take(self, candidates: Iterable[Candidate], known: NearDuplicates, wanted: int) -> list[str]:
        """The first that are fresh and whose documents have given no other sentence."""
        taken: list[str] = []
        for _, text, document in candidates:
            if document and self._given.get(document, text) != text:
                self._tally.counts["same_document"] += 1
            elif not known.add(self._tokens_of(text)):
                self._tally.counts["near_duplicates"] += 1
            else:
                taken.append(text)
                if document:
                    self._given[document] = text
                if len(taken) == wanted:
                    break
        return taken

    def _choose_positives(self) -> dict[str, list[str]]:
        """At most `per_concept` of each, those with few candidates first: they need a document's sentence most."""
        candidates = {
            concept: reservoir.candidates(self._signature) for concept, reservoir in self._tally.positives.items()
        }
        chosen = {}
        for concept in sorted(candidates, key=lambda concept: (len(candidates[concept]), concept)):
            before = dict(self._given)
            texts = self._take(candidates[concept], NearDuplicates(), self._limits.per_concept)
            if len(texts) >= self._limits.min_positives:
                chosen[concept] = texts
            else:
                self._given = before
        return dict(sorted(chosen.items()))

    def _choose_negatives(self, positives: Iterable[str]) -> list[str]:
        """At most `negatives`, spread over lengths as the positives are."""
        shares = Counter(self._miner.length(text) for text in positives)
        total = sum(shares.values())
        known = NearDuplicates()
        supply = {
            length: iter(reservoir.candidates(str)) for length, reservoir in sorted(self._tally.negatives.items())
        }
        chosen: list[str] = []
        for length, count in sorted(shares.items()):
            share = round(self._limits.negatives * count / total)
            # Where a length has too few, the lengths next to it stand in.
            for near in sorted(supply, key=lambda other: (abs(other - length), other)):
                if share == 0 or abs(near - length) > NEAR_BINS:
                    break
                taken = self._take(supply[near], known, share)
                chosen += taken
                share -= len(taken)
        return list(islice(chosen, self._limits.negatives))
