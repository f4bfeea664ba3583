"""Invented languages: their words, and how each of them says a meaning.

Every language has its own stems, word order and affixes. Two languages that say the same meaning therefore
have parallel sentences, and they share no word but names and digits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from .meaning import Meaning, Thing

ORDERS = ("SVO", "SOV", "VSO", "OVS", "VOS", "OSV")
"""Word orders, handed out to the languages in turn: subject, verb, object."""
CONSONANTS, VOWELS, CODAS = "bdfghjklmnprstvwz", "aeiou", "lmnrs"
SUBJECT, OBJECT, OBLIQUE = range(3)
UNCHANGED = (("", ""),)


@dataclass(frozen=True)
class TopicWords:
    """Surface forms of a topic's words in one language; the outer index is the word's number."""

    nouns: tuple[tuple[str, ...], ...]
    """Each noun's six forms: case (subject, object, oblique) times number (one, many)."""
    verbs: tuple[tuple[str, ...], ...]
    """Each verb's three tenses."""
    adjectives: tuple[str, ...]

    def forms(self) -> Iterator[str]:
        for group in (*self.nouns, *self.verbs, self.adjectives):
            yield from group


@dataclass(frozen=True)
class Tongue:
    """One invented language."""

    name: str
    order: str
    """The order of subject, verb and object: one of `ORDERS`."""
    prefixes: bool
    """Affixes stand before the stem, else after it."""
    adjective_first: bool
    postpositions: bool
    """Adpositions follow what they govern."""
    adverb_last: bool
    topics: tuple[TopicWords, ...]
    function_words: Mapping[str, tuple[str, ...]]
    """By role: determiners, adpositions and adverbs."""

    def say(self, meaning: Meaning, names: tuple[str, ...]) -> str:
        """The sentence with its full stop. Names and digits take no affix: they are the same everywhere."""
        words = self.topics[meaning.topic]
        parts = {
            "S": self._thing(meaning.subject, SUBJECT, words, names),
            "V": [words.verbs[meaning.verb][meaning.tense]],
            "O": self._thing(meaning.object, OBJECT, words, names),
        }
        sentence = [word for part in self.order for word in parts[part]]
        if meaning.place is not None:
            adposition, thing = meaning.place
            word = self.function_words["adpositions"][adposition]
            governed = self._thing(thing, OBLIQUE, words, names)
            sentence += [*governed, word] if self.postpositions else [word, *governed]
        if meaning.adverb is not None:
            adverb = self.function_words["adverbs"][meaning.adverb]
            sentence = [*sentence, adverb] if self.adverb_last else [adverb, *sentence]
        return " ".join(sentence) + "."

    def _thing(self, thing: Thing, case: int, words: TopicWords, names: tuple[str, ...]) -> list[str]:
        if thing.name is not None:
            return [names[thing.name]]
        core = [words.nouns[thing.noun][2 * case + (thing.count is not None)]]
        if thing.adjective is not None:
            adjective = words.adjectives[thing.adjective]
            core = [adjective, *core] if self.adjective_first else [*core, adjective]
        if thing.count is not None:
            core = [str(thing.count), *core]
        if thing.determiner is not None:
            core = [self.function_words["determiners"][thing.determiner], *core]
        return core


class Coiner:
    """Coins words of one language from its own sounds; no form is ever given out twice.

    Args:
        random: source of all choices.
        taken: forms in use, shared by all languages of a world.
    """

    def __init__(self, random: Random, taken: set[str]) -> None:
        self.random, self.taken = random, taken
        consonants, vowels = random.sample(CONSONANTS, 9), random.sample(VOWELS, 4)
        codas = random.sample(CODAS, 2)
        bare = [consonant + vowel for consonant in consonants for vowel in vowels]
        closed = [syllable + coda for syllable in bare for coda in codas]
        self.syllables = bare + random.sample(closed, len(bare) // 2)

    def affixes(self, count: int) -> tuple[str, ...]:
        """Distinct single syllables."""
        return tuple(self.random.sample(self.syllables, count))

    def stem(self, syllables: int, inflections: tuple[tuple[str, str], ...] = UNCHANGED) -> tuple[str, ...]:
        """The forms of a new stem, one for each (before, after); it grows longer when short ones run out."""
        tries = 0
        while True:
            stem = "".join(self.random.choices(self.syllables, k=syllables + tries // 50))
            forms = tuple(before + stem + after for before, after in inflections)
            if self.taken.isdisjoint(forms):
                self.taken.update(forms)
                return forms
            tries += 1


def invent_tongue(
    name: str,
    number: int,
    random: Random,
    taken: set[str],
    *,
    topics: int,
    nouns: int,
    verbs: int,
    adjectives: int,
    roles: Mapping[str, int],
) -> Tongue:
    """A new language.

    Args:
        name: what it is called.
        number: which of the world's languages it is; word order and the side of the affixes go in turn.
        random: source of all other choices.
        taken: word forms in use, which the new language avoids and adds to.
        topics, nouns, verbs, adjectives: number of topics, and of words in each.
        roles: number of function words by role.
    """
    coiner = Coiner(random, taken)
    as_object, oblique, plural, past, future = coiner.affixes(5)
    prefixes = number % 2 == 1

    def inflection(*affixes: str) -> tuple[str, str]:
        return ("".join(reversed(affixes)), "") if prefixes else ("", "".join(affixes))

    noun_forms = tuple(
        inflection(number_affix, case_affix) for case_affix in ("", as_object, oblique) for number_affix in ("", plural)
    )
    verb_forms = tuple(inflection(tense_affix) for tense_affix in ("", past, future))
    return Tongue(
        name=name,
        order=ORDERS[number % len(ORDERS)],
        prefixes=prefixes,
        adjective_first=random.random() < 0.5,
        postpositions=random.random() < 0.5,
        adverb_last=random.random() < 0.5,
        topics=tuple(
            TopicWords(
                nouns=tuple(coiner.stem(2, noun_forms) for _ in range(nouns)),
                verbs=tuple(coiner.stem(2, verb_forms) for _ in range(verbs)),
                adjectives=tuple(coiner.stem(2)[0] for _ in range(adjectives)),
            )
            for _ in range(topics)
        ),
        function_words={role: tuple(coiner.stem(1)[0] for _ in range(n)) for role, n in roles.items()},
    )
