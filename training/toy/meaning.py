"""What the toy world's sentences are about, in no language: topics, what goes with what in them, meanings.

All words are numbers here; `toy_grammar` turns a meaning into a sentence of a language.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

TENSES = ("present", "past", "future")
PLACE, ADVERB, ADJECTIVE, DETERMINER, COUNT = 0.3, 0.4, 0.4, 0.4, 0.15  # how often a sentence or noun has one


@dataclass(frozen=True, slots=True)
class Thing:
    """A noun phrase: a name, or a noun of the topic with what goes with it."""

    name: int | None = None
    noun: int = 0
    adjective: int | None = None
    determiner: int | None = None
    count: int | None = None
    """2 ... 9, written as a digit, and the noun is plural; None is one thing."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence says."""

    topic: int
    verb: int
    tense: int
    subject: Thing
    object: Thing
    place: tuple[int, Thing] | None = None
    """An adposition and what it governs."""
    adverb: int | None = None


@dataclass(frozen=True)
class Topic:
    """A concept: its words, by number, and what goes with what; the same for all languages."""

    number: int
    subjects: tuple[tuple[int, ...], ...]
    """For each verb, the nouns that do it."""
    objects: tuple[tuple[int, ...], ...]
    """For each verb, the nouns it is done to."""
    places: tuple[tuple[int, ...], ...]
    """For each verb, the nouns at which it happens."""
    adjectives: tuple[tuple[int, ...], ...]
    """For each noun, the adjectives it can have."""
    names: int
    name_probability: float
    roles: Mapping[str, int]
    """Number of function words by role."""

    def meaning(self, random: Random) -> Meaning:
        """Draw what a sentence on this topic says."""
        verb = random.randrange(len(self.subjects))
        return Meaning(
            topic=self.number,
            verb=verb,
            tense=random.randrange(len(TENSES)),
            subject=self._argument(self.subjects[verb], random),
            object=self._argument(self.objects[verb], random),
            place=self._place(self.places[verb], random) if random.random() < PLACE else None,
            adverb=random.randrange(self.roles["adverbs"]) if random.random() < ADVERB else None,
        )

    def _argument(self, nouns: Sequence[int], random: Random) -> Thing:
        if random.random() < self.name_probability:
            return Thing(name=random.randrange(self.names))
        return self._thing(nouns, random)

    def _place(self, nouns: Sequence[int], random: Random) -> tuple[int, Thing]:
        return random.randrange(self.roles["adpositions"]), self._thing(nouns, random)

    def _thing(self, nouns: Sequence[int], random: Random) -> Thing:
        noun = random.choice(nouns)
        return Thing(
            noun=noun,
            adjective=random.choice(self.adjectives[noun]) if random.random() < ADJECTIVE else None,
            determiner=random.randrange(self.roles["determiners"]) if random.random() < DETERMINER else None,
            count=random.randint(2, 9) if random.random() < COUNT else None,
        )


def invent_topic(
    number: int,
    random: Random,
    *,
    nouns: int,
    verbs: int,
    adjectives: int,
    names: int,
    name_probability: float,
    roles: Mapping[str, int],
) -> Topic:
    """A topic with preferences of its own: each verb takes half of the nouns in each of its places, each noun
    half of the adjectives."""

    def half(size: int, times: int) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(sorted(random.sample(range(size), (size + 1) // 2))) for _ in range(times))

    return Topic(
        number=number,
        subjects=half(nouns, verbs),
        objects=half(nouns, verbs),
        places=half(nouns, verbs),
        adjectives=half(adjectives, nouns),
        names=names,
        name_probability=name_probability,
        roles=roles,
    )
