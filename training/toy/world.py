"""A controlled multilingual corpus from a seed: text to train on, labelled concept sentences, parallel ones.

A document is about one topic. Meaning is made first, with each topic's own preferences for what goes with
what, and said in a language afterwards, so all languages talk about the same world in different words. What
ties the languages together is set here: names, digits and the full stop are shared, and a share `mix` of the
documents is written in two languages. With `mix` 0 nothing else connects them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

import pyarrow as pa

from ...analysis.findings import UNCLEAR
from .grammar import Coiner, Tongue, invent_tongue
from .meaning import Topic, invent_topic

LANGUAGE_NAMES = (
    *("alvo", "beki", "cuma", "dori", "enzi", "filu", "goma", "hesk"),
    *("irto", "jula", "kemo", "liru", "mosk", "nevi", "orpa", "pilu"),
)
CONCEPT_NAMES = (
    *("river", "market", "forest", "music", "kitchen", "harbor", "school", "weather"),
    *("farm", "hospital", "mountain", "theatre", "garden", "railway", "workshop", "desert"),
    *("library", "stadium", "castle", "island", "factory", "court", "bakery", "observatory"),
)


@dataclass(frozen=True)
class ToyWorld:
    """Invented languages that talk about the same world.

    Raises:
        ValueError: for settings out of range, all of them named at once.
    """

    languages: int = 4
    """Number of languages, 1 to 16."""
    topics: int = 8
    """Number of topics, which are the concepts, 1 to 24."""
    nouns: int = 6
    """Nouns of each topic."""
    verbs: int = 4
    """Verbs of each topic."""
    adjectives: int = 3
    """Adjectives of each topic."""
    function_words: int = 12
    """Words of each language that belong to no topic: determiners, adpositions and adverbs; at least 3."""
    names: int = 40
    """Names of persons, shared by all languages."""
    name_probability: float = 0.4
    """How often the subject or the object of a sentence is a name."""
    mix: float = 0.6
    """Share of the documents that are written in two languages; 0 is the negative control."""
    sentences_per_document: int = 6
    """Sentences of a document, all on one topic."""
    words: int = 2_000_000
    """Running words of the whole corpus, met to within a document (2.5 M tokens with a 2,048-token BPE)."""
    concept_sentences: int = 80
    """Labelled sentences for each concept and language, none twice."""
    parallel_sentences: int = 200
    """Meanings that are said in every language."""
    seed: int = 0
    """Everything follows from it: the languages, the world and the text."""

    def __post_init__(self) -> None:
        limits = {
            **{"languages": (1, len(LANGUAGE_NAMES)), "topics": (1, len(CONCEPT_NAMES))},
            **dict.fromkeys(("nouns", "verbs", "adjectives", "names"), (1, 1000)),
            **{"function_words": (3, 1000), "sentences_per_document": (1, 1000), "words": (1, 10**12)},
            **{"concept_sentences": (2, 10**6), "parallel_sentences": (1, 10**6)},
            **{"mix": (0, 1), "name_probability": (0, 1)},
        }
        problems = [
            f"{name} is {getattr(self, name)}; give {low} to {high}"
            for name, (low, high) in limits.items()
            if not low <= getattr(self, name) <= high
        ]
        if self.languages == 1 and self.mix > 0:
            problems.append(f"mix is {self.mix} with one language; set mix to 0 or languages to 2 or more")
        if problems:
            raise ValueError("toy world: " + "; ".join(problems))

    @property
    def language_names(self) -> tuple[str, ...]:
        """Sorted; a world with fewer languages of the same seed has the first of these, word for word."""
        return LANGUAGE_NAMES[: self.languages]

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the topics."""
        return CONCEPT_NAMES[: self.topics]

    def documents(self) -> Iterator[tuple[str, str]]:
        """(language, text) one after the other until `words` is met; deterministic.

        A document in two languages belongs to the one its first sentence is in.
        """
        random, written = self._random("documents"), 0
        while written < self.words:
            about = random.choice(self.world)
            first = second = random.choice(self.tongues)
            if random.random() < self.mix:
                second = random.choice([tongue for tongue in self.tongues if tongue is not first])
            meanings = [about.meaning(random) for _ in range(self.sentences_per_document)]
            speakers = [first, *(random.choice((first, second)) for _ in meanings[1:])]
            sentences = [
                tongue.say(meaning, self.shared_names) for tongue, meaning in zip(speakers, meanings, strict=True)
            ]
            written += sum(sentence.count(" ") + 1 for sentence in sentences)
            yield first.name, " ".join(sentences)

    def heldout(self, language: str, count: int) -> list[str]:
        """Documents in one language alone, drawn apart from the others.

        A document in two languages can neither tell how well one of them is predicted nor which one a token is in.
        """
        (tongue,) = (tongue for tongue in self.tongues if tongue.name == language)
        random = self._random("heldout", language)
        found = []
        for _ in range(count):
            about = random.choice(self.world)
            meanings = [about.meaning(random) for _ in range(self.sentences_per_document)]
            found.append(" ".join(tongue.say(meaning, self.shared_names) for meaning in meanings))
        return found

    def concept_table(self) -> pa.Table:
        """Sentences of each concept in each language, drawn apart from the documents and from each other.

        Returns:
            concept, language, text (strings) and label (int64), always 1: the negatives of a concept are the
            sentences of the others. No sentence of a concept and language is there twice.

        Raises:
            ValueError: if the world is too small for that many different sentences.
        """
        rows = [
            {"concept": concept, "language": tongue.name, "text": text, "label": 1}
            for topic, concept in zip(self.world, self.concepts, strict=True)
            for tongue in self.tongues
            for text in self._distinct(tongue, topic, self._random("concept", concept, tongue.name))
        ]
        return pa.Table.from_pylist(rows)

    def parallel_table(self) -> pa.Table:
        """The same meanings in every language: columns id (int64), language, text (strings)."""
        random = self._random("parallel")
        meanings = [random.choice(self.world).meaning(random) for _ in range(self.parallel_sentences)]
        rows = [
            {"id": number, "language": tongue.name, "text": tongue.say(meaning, self.shared_names)}
            for number, meaning in enumerate(meanings)
            for tongue in self.tongues
        ]
        return pa.Table.from_pylist(rows)

    def lexicon(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """All word forms by language and concept, function words under "function"; none is in two places."""
        return {
            tongue.name: {
                **dict(zip(self.concepts, (tuple(words.forms()) for words in tongue.topics), strict=True)),
                "function": tuple(word for words in tongue.function_words.values() for word in words),
            }
            for tongue in self.tongues
        }

    def identify(self, text: str) -> str:
        """The language that more than half of the text's known words belong to, else "unclear".

        Names, digits and strings that are no word of any language do not count.
        """
        words = text.replace(".", " ").split()
        found = Counter(self._language_of[word] for word in words if word in self._language_of)
        language, most = found.most_common(1)[0] if found else (UNCLEAR, 0)
        return language if 2 * most > found.total() else UNCLEAR

    @cached_property
    def shared_names(self) -> tuple[str, ...]:
        """Names of persons, capitalised, the same in all languages."""
        coiner = Coiner(self._random("names"), set())
        return tuple(coiner.stem(2)[0].capitalize() for _ in range(self.names))

    @cached_property
    def tongues(self) -> tuple[Tongue, ...]:
        """The languages, in the order of their names."""
        taken: set[str] = set()
        return tuple(
            invent_tongue(
                name,
                number,
                self._random("tongue", name),
                taken,
                topics=self.topics,
                nouns=self.nouns,
                verbs=self.verbs,
                adjectives=self.adjectives,
                roles=self._roles,
            )
            for number, name in enumerate(self.language_names)
        )

    @cached_property
    def world(self) -> tuple[Topic, ...]:
        """The topics: what goes with what, in no language."""
        return tuple(
            invent_topic(
                number,
                self._random("topic", concept),
                nouns=self.nouns,
                verbs=self.verbs,
                adjectives=self.adjectives,
                names=self.names,
                name_probability=self.name_probability,
                roles=self._roles,
            )
            for number, concept in enumerate(self.concepts)
        )

    @property
    def _roles(self) -> dict[str, int]:
        third = self.function_words // 3
        return {"determiners": third, "adpositions": third, "adverbs": self.function_words - 2 * third}

    @cached_property
    def _language_of(self) -> dict[str, str]:
        return {
            word: language
            for language, concepts in self.lexicon().items()
            for words in concepts.values()
            for word in words
        }

    def _random(self, *stream: str) -> Random:
        return Random("/".join(("toy world", str(self.seed), *stream)))

    def _distinct(self, tongue: Tongue, topic: Topic, random: Random) -> list[str]:
        wanted, found = self.concept_sentences, dict[str, None]()
        for _ in range(30 * wanted):
            found[tongue.say(topic.meaning(random), self.shared_names)] = None
            if len(found) == wanted:
                return list(found)
        raise ValueError(
            f"toy world: concept_sentences is {wanted}, but a topic has hardly more than {len(found)} "
            "different sentences; lower it, or give more names, nouns or verbs"
        )
