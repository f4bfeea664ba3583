"""Which language a text is in, of those that a run knows, or "unclear"; and which concepts its words belong to.

For real languages lingua decides and the word lists of the concept lexicon tell concepts; for invented ones a lexicon
of all their words does both.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from lingua import IsoCode639_1, LanguageDetectorBuilder

from ..concepts.languages import LANGUAGES
from ..concepts.lexicon import FORM, Lexicon
from ..concepts.word_forms import Matcher
from ..findings import UNCLEAR
from .language_names import base_language, codes_of

MIN_LETTERS = 10
"""Letters of different words that a text needs to have a language; a Han character counts as three."""
MARGIN = 0.2
"""Confidence by which the first language must lead the second. On lines of real text cut to 60 characters, 98.5 % have it."""
_AGAIN = re.compile(r"(.{1,40}?)\1{2,}", re.DOTALL)
_HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")

Shown = frozenset[tuple[str, str]]
"""(concept, language) pairs that a text has a word of."""


class Identifier(Protocol):
    """Says the language of each text: one of `languages` or `UNCLEAR`; `warnings` name what it can't tell."""

    languages: tuple[str, ...]
    warnings: tuple[str, ...]

    def identify(self, texts: Sequence[str]) -> list[str]: ...


class ConceptWords(Protocol):
    """Says which concepts each text has a word of, and in which language; knows the words of some concepts only."""

    concepts: frozenset[str]
    warnings: tuple[str, ...]

    def shown(self, texts: Sequence[str]) -> list[Shown]: ...


class LinguaIdentifier:
    """lingua, restricted to the run's languages; short, degenerate and undecided texts are unclear.

    What a text says again counts once: runs of a repeated string and repeated words are dropped first, and what is
    left needs `MIN_LETTERS` letters. A text in a language outside the run's is given to the nearest one of them.

    Languages may be called by any tag that corpora use (pt-br, zho_Hans, arb, no); what is found has the run's own name.
    `languages` are those that can be told apart. Others (lingua does not know them, or two names mean the same language
    to it) are in `warnings`: texts in them are unclear, or taken for a language that is near.

    Args:
        languages: names, two at least that lingua knows.
        margin: by how much lingua's confidence in the first language must exceed that in the second.

    Raises:
        ValueError: fewer than two that can be told apart.
    """

    def __init__(self, languages: Iterable[str], margin: float = MARGIN) -> None:
        self.margin = margin
        known = {code.name.lower(): code for code in IsoCode639_1.__dict__.values() if isinstance(code, IsoCode639_1)}
        given = sorted(set(languages))
        self._names: dict[str, list[str]] = {}
        for name in given:
            for code in codes_of(name):
                if code in known:
                    self._names.setdefault(code, []).append(name)
        alone = {names[0] for names in self._names.values() if len(names) == 1}
        self.languages = tuple(name for name in given if name in alone)
        lost = [name for name in given if name not in alone]
        self.warnings: tuple[str, ...] = (
            (
                f"languages: {', '.join(lost)} can't be identified (lingua does not know them, or not apart): texts in them "
                "count as unclear, or as a language that is near",
            )
            if lost
            else ()
        )
        if len(self.languages) < 2:
            can = ", ".join(self.languages) or "none"
            raise ValueError(
                f"languages={given}: telling languages apart needs two or more, and of these lingua can identify {can}; "
                f"name those that texts may be in. It knows {', '.join(sorted(known))}"
            )
        self._detector = LanguageDetectorBuilder.from_iso_codes_639_1(*(known[code] for code in self._names)).build()

    def identify(self, texts: Sequence[str]) -> list[str]:
        """Languages of the texts, in order."""
        said = [said_once(text) for text in texts]
        found = [UNCLEAR] * len(texts)
        judged = [number for number, text in enumerate(said) if _letters(text) >= MIN_LETTERS]
        confidences = self._detector.compute_language_confidence_values_in_parallel([said[number] for number in judged])
        for number, values in zip(judged, confidences, strict=True):
            shares: dict[str, float] = defaultdict(float)
            for value in values:
                names = self._names[value.language.iso_code_639_1.name.lower()]
                shares[names[0] if len(names) == 1 else UNCLEAR] += value.value
            (first, most), (_, second) = [*sorted(shares.items(), key=lambda share: -share[1]), ("", 0.0)][:2]
            if most - second >= self.margin:
                found[number] = first
        return found


class WordIdentifier:
    """The language that more than half of a text's known words belong to; for languages whose words are all known.

    Args:
        words: language -> its words; no word may belong to two.

    Raises:
        ValueError: a word of two languages.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, words: Mapping[str, Iterable[str]]) -> None:
        self.languages = tuple(sorted(words))
        self._language_of: dict[str, str] = {}
        for language in self.languages:
            for word in words[language]:
                other = self._language_of.setdefault(word, language)
                if other != language:
                    raise ValueError(f"words: {word!r} belongs to {other} and to {language}; it identifies neither")

    def identify(self, texts: Sequence[str]) -> list[str]:
        """Languages of the texts, in order."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> str:
        found = Counter(self._language_of[word] for word in _words(text) if word in self._language_of)
        language, most = found.most_common(1)[0] if found else (UNCLEAR, 0)
        return language if 2 * most > found.total() else UNCLEAR


class KnownWords:
    """Concepts by exact words.

    Args:
        words: language -> concept -> its words.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, words: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
        self._of: dict[str, set[tuple[str, str]]] = {}
        for language, concepts in words.items():
            for concept, forms in concepts.items():
                for word in forms:
                    self._of.setdefault(word, set()).add((concept, language))
        self.concepts = frozenset(concept for pairs in self._of.values() for concept, _ in pairs)

    def shown(self, texts: Sequence[str]) -> list[Shown]:
        """(concept, language) pairs of each text."""
        return [frozenset().union(*(self._of.get(word, ()) for word in _words(text))) for text in texts]


class LexiconWords:
    """Concepts by the forms of a lexicon, in each of the run's languages; a word of two languages counts for both.

    Languages that word matching knows nothing about are left out and named in `warnings`.
    """

    def __init__(self, lexicon: Lexicon, languages: Iterable[str]) -> None:
        codes = {name: base_language(name) for name in sorted(set(languages))}
        self.concepts = frozenset(lexicon.concepts)
        unknown = [name for name, code in codes.items() if code not in LANGUAGES]
        self.warnings: tuple[str, ...] = (
            (f"words of concepts are not looked for in {', '.join(unknown)}: how they inflect is not known",)
            if unknown
            else ()
        )
        self._matchers = {name: Matcher(lexicon, code) for name, code in codes.items() if code in LANGUAGES}

    def shown(self, texts: Sequence[str]) -> list[Shown]:
        """(concept, language) pairs of each text."""
        lines = [" ".join(text.split()) for text in texts]
        found: list[set[tuple[str, str]]] = [set() for _ in texts]
        for language, matcher in self._matchers.items():
            for number, hits in matcher.scan(lines):
                found[number] |= {(hit.concept, language) for hit in hits if hit.role == FORM}
        return [frozenset(pairs) for pairs in found]


def said_once(text: str) -> str:
    """A text without what it repeats: runs of one string become one of it, and every word stands once."""
    return " ".join(dict.fromkeys(_AGAIN.sub(r"\1", text).split()))


def _letters(text: str) -> int:
    han = len(_HAN.findall(text))
    return sum(map(str.isalpha, text)) + 2 * han


def _words(text: str) -> list[str]:
    return text.replace(".", " ").split()
