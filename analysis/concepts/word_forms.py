"""Finds a lexicon's words in text: one pass of an Aho-Corasick automaton, then the word boundaries of the language."""

import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import ahocorasick

from .languages import NO_AFFIX
from .languages import language as language_facts
from .lexicon import EXCLUSION, FORM, UNSURE, Lexicon


class Pattern(NamedTuple):
    """A form as the automaton knows it."""

    concept: str
    role: str
    written: str
    prefixes: frozenset[str]
    suffixes: frozenset[str] | None  # None: any ending
    exact: bool = False  # whether it is written as one that takes no affixes


class Hit(NamedTuple):
    """A word found at `start:end` of the folded text (the whole word, with its affixes).

    `detail` grows with the characters that the lexicon spells out, the rest being affixes; `=word` comes before `word`.
    """

    start: int
    end: int
    concept: str
    role: str
    written: str
    detail: int


class WordCharacters(dict[str, bool]):
    """Whether a character belongs to a word: letters, digits, marks, and the raised dot of Catalan."""

    def __missing__(self, char: str) -> bool:
        self[char] = char == "·" or unicodedata.category(char)[0] in "LMN"
        return self[char]


def split_marker(written: str) -> tuple[str, str]:
    """A form and its marker: `=` (no affixes), `*` (any ending) or nothing."""
    if written.startswith("="):
        return written[1:], "="
    return (written[:-1], "*") if written.endswith("*") else (written, "")


class Matcher:
    """All forms of all concepts of a lexicon in one language.

    Attributes:
        language: facts about the language.
        phrases: the folded forms of several words, with the patterns that they stand for.

    Args:
        lexicon: the concepts.
        language: a code of `languages.LANGUAGES`.

    Raises:
        ValueError: the language is unknown.
    """

    def __init__(self, lexicon: Lexicon, language: str) -> None:
        self.language = language_facts(language)
        self._word = WordCharacters()
        patterns: dict[str, list[Pattern]] = defaultdict(list)
        for concept in lexicon.concepts.values():
            for role, lists in concept.lists():
                for written in lists.get(language, ()):
                    for stem, pattern in self._patterns(concept.name, role, written):
                        patterns[stem].append(pattern)
        self.phrases = {stem: tuple(found) for stem, found in patterns.items() if " " in stem}
        self._automaton = ahocorasick.Automaton()
        for stem, found in patterns.items():
            prefixed = any(pattern.prefixes != NO_AFFIX for pattern in found)
            suffixed = any(pattern.suffixes != NO_AFFIX for pattern in found)
            self._automaton.add_word(stem, (len(stem), prefixed, suffixed, tuple(found)))
        self._empty = not patterns
        if not self._empty:
            self._automaton.make_automaton()

    def _patterns(self, concept: str, role: str, written: str) -> Iterator[tuple[str, Pattern]]:
        facts = self.language
        form, marker = split_marker(written)
        stem = facts.fold(form)
        if not facts.spaced or marker == "=":
            yield stem, Pattern(concept, role, written, NO_AFFIX, NO_AFFIX, exact=True)
            return
        if marker == "*":
            yield stem, Pattern(concept, role, written, facts.prefixes, None)
            return
        for bound, suffixes in facts.stems(stem):
            yield bound, Pattern(concept, role, written, facts.prefixes, suffixes)

    def hits(self, folded: str) -> Iterator[Hit]:
        """Words of the lexicon in a text that `language.fold` has been applied to, before exclusions are weighed."""
        if self._empty:
            return
        spaced, is_word, length_of_all = self.language.spaced, self._word, len(folded)
        for last, (length, prefixed, suffixed, patterns) in self._automaton.iter(folded):
            start, end = last + 1 - length, last + 1
            before = after = ""
            if spaced:
                # Most strings found are parts of other words: those go first, and fast.
                word_start, word_end = start, end
                if start and is_word[folded[start - 1]]:
                    if not prefixed:
                        continue
                    word_start -= 1
                    while word_start and is_word[folded[word_start - 1]]:
                        word_start -= 1
                    before = folded[word_start:start]
                if end < length_of_all and is_word[folded[end]]:
                    if not suffixed:
                        continue
                    word_end += 1
                    while word_end < length_of_all and is_word[folded[word_end]]:
                        word_end += 1
                    after = folded[end:word_end]
                start, end = word_start, word_end
            for pattern in patterns:
                if before in pattern.prefixes and (pattern.suffixes is None or after in pattern.suffixes):
                    detail = 2 * length + pattern.exact
                    yield Hit(start, end, pattern.concept, pattern.role, pattern.written, detail)

    def find(self, text: str) -> list[Hit]:
        """What counts in one text: not what stands within an exclusion of its concept or within a longer form."""
        return resolve(list(self.hits(self.language.fold(text))))

    def scan(self, texts: Sequence[str]) -> Iterator[tuple[int, list[Hit]]]:
        """`find` over many texts without line breaks at once: (index, what counts), for texts where something does."""
        folded = self.language.fold("\n".join(texts))
        starts = [0]
        for line in folded.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        assert len(starts) == len(texts) + 1, "a text holds a line break"
        found: dict[int, list[Hit]] = defaultdict(list)
        for hit in self.hits(folded):
            found[bisect_right(starts, hit.start) - 1].append(hit)
        for index in sorted(found):
            counted = resolve(found[index])
            if counted:
                yield index, counted


def resolve(hits: list[Hit]) -> list[Hit]:
    """The hits of one text that count.

    A hit does not count where it overlaps an exclusion of its concept, nor within a longer form (or unsure
    word) of any
    concept: the longest match decides. Where one word is found by several entries of a concept, the entry
        that spells out most of it decides, so that an exception can be written beside a form that takes
        affixes.
    """
    if len(hits) == 1:
        return hits if hits[0].role != EXCLUSION else []
    return [hit for hit in hits if hit.role != EXCLUSION and not any(_overrules(other, hit) for other in hits)]


def _overrules(other: Hit, hit: Hit) -> bool:
    if other.role == EXCLUSION:
        return other.concept == hit.concept and other.start < hit.end and hit.start < other.end
    if not (other.start <= hit.start and hit.end <= other.end):
        return False
    longer = other.end - other.start > hit.end - hit.start
    return longer or (other.concept == hit.concept and other.role != hit.role and other.detail > hit.detail)


def concepts_of(hits: list[Hit]) -> tuple[frozenset[str], frozenset[str]]:
    """The concepts that a sentence shows, and those it may show (unsure words, without a form of the same concept)."""
    shown = frozenset(hit.concept for hit in hits if hit.role == FORM)
    return shown, frozenset(hit.concept for hit in hits if hit.role == UNSURE) - shown
