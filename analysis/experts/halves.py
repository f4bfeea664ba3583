"""Which sentences choose a concept's experts and which score them, and what concepts of a language share.

P positives, N negatives. Negatives are mostly the same for all concepts of a language, so they are ranked once, as the
base; a concept whose negatives are nearly the base adds and subtracts the difference, one far from it is ranked alone.
Either way the counts are exact.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..concepts.concept_set import ConceptSet

CHOOSING, SCORING = 0, 1


@dataclass(frozen=True)
class ConceptColumns:
    """One concept in one half; all numbers are columns of the language's sentences.

    Attributes:
        alone: ranked against its own negatives, not against the base.
        less_positives, plus_M, minus_M: how the negatives follow from the base: less the positives, which all lie in
            it, with `plus_M`, without `minus_M`.
    """

    concept: int
    positive_P: np.ndarray
    negative_N: np.ndarray
    alone: bool
    less_positives: bool
    plus_M: np.ndarray
    minus_M: np.ndarray


@dataclass(frozen=True)
class Half:
    """One half of a language's sentences: those ranked together, which of them are the base, and the concepts."""

    column_S: np.ndarray
    base_S: np.ndarray
    concepts: tuple[ConceptColumns, ...]


@dataclass(frozen=True)
class LanguageSentences:
    """Everything that the model has to read in one language, each sentence once, and what it is for."""

    language: str
    sentences: tuple[str, ...]
    halves: tuple[Half, Half]


_Member = tuple[int, list[int], list[int]]


def seeded_hash(seed: int, text: str) -> bytes:
    """The sentence's place in an order that depends on nothing but the seed and itself."""
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def hash_order(texts: Iterable[str], seed: int) -> list[str]:
    """The distinct texts in the order of their seeded hashes, whatever order they come in."""
    return sorted(set(texts), key=lambda text: (seeded_hash(seed, text), text))


def halve(places: Iterable[int], most: int | None = None) -> tuple[list[int], list[int]]:
    """Choosing and scoring half of sentences, given as places in the order of hashes.

    A set is cut at its own median: the sizes differ by at most one (the choosing half has it), and a sentence's half
    hardly changes from one set to another.

    Args:
        most: take only so many sentences, those with the lowest hashes.
    """
    ordered = sorted(places)[:most]
    middle = (len(ordered) + 1) // 2
    return ordered[:middle], ordered[middle:]


def sentences_of(
    concepts: ConceptSet,
    language: str,
    *,
    seed: int = 0,
    min_sentences: int = 10,
    max_positives: int | None = None,
    max_negatives: int | None = None,
) -> LanguageSentences:
    """Halves and columns of all concepts of a language that have enough sentences in it.

    Args:
        min_sentences: positives, and negatives, that a concept needs in each half.
        max_positives: take at most so many positives of a concept, both halves together.
        max_negatives: the same for negatives.
    """
    texts = [(concepts.positives(c, language), concepts.negatives(c, language)) for c in concepts.concepts]
    ordered = hash_order((text for pair in texts for side in pair for text in side), seed)
    place = {text: number for number, text in enumerate(ordered)}
    halves: tuple[list[_Member], list[_Member]] = ([], [])
    for number, (positives, negatives) in enumerate(texts):
        positive = halve((place[text] for text in positives), max_positives)
        negative = halve((place[text] for text in negatives), max_negatives)
        if min(map(len, (*positive, *negative))) >= max(1, min_sentences):
            for half in (CHOOSING, SCORING):
                halves[half].append((number, positive[half], negative[half]))
    used = sorted({place for half in halves for _, *sides in half for side in sides for place in side})
    column = {place: number for number, place in enumerate(used)}
    choosing, scoring = (
        _half([(c, {column[p] for p in positives}, {column[p] for p in negatives}) for c, positives, negatives in half])
        for half in halves
    )
    return LanguageSentences(language, tuple(ordered[place] for place in used), (choosing, scoring))


def _half(members: list[tuple[int, set[int], set[int]]]) -> Half:
    counts = Counter(column for _, _, negatives in members for column in negatives)
    # Negatives of more than half of the concepts.
    base = {column for column, count in counts.items() if 2 * count > len(members)}
    concepts = tuple(_columns(concept, positives, negatives, base) for concept, positives, negatives in members)
    ranked = base.union(*(part.positive_P.tolist() for part in concepts if not part.alone))
    if all(part.alone for part in concepts):
        ranked = set()
    column_S = _array(ranked)
    return Half(column_S, np.array([column in base for column in column_S.tolist()], bool), concepts)


def _columns(concept: int, positives: set[int], negatives: set[int], base: set[int]) -> ConceptColumns:
    plus, minus = negatives - base, base - negatives
    less_positives = len(positives & base) * 2 > len(positives)
    if less_positives:
        # The positives outside the base are subtracted with the others, so they are added first.
        plus, minus = plus | (positives - base), minus - positives
    # A sentence more or less costs a comparison with each positive; ranking alone costs a sort, ten times as much.
    alone = (len(plus) + len(minus)) * len(positives) > 10 * (len(positives) + len(negatives))
    return ConceptColumns(
        concept, _array(positives), _array(negatives), alone, less_positives, _array(plus), _array(minus)
    )


def _array(columns: set[int]) -> np.ndarray:
    return np.array(sorted(columns), np.int64)
