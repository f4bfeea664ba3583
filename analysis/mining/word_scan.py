"""Finds a lexicon's words in many sentences at the price of the distinct words in them.

Words of a text repeat (Zipf's law): what `word_forms.Matcher` says of one is looked up once and remembered. A
sentence is looked at as a whole only where words stand together that may be a form of several words. What
comes out is what `Matcher.find` finds in each sentence.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import ahocorasick

from ..concepts.languages import SCRIPTS
from ..concepts.word_forms import Hit, Matcher, Pattern, WordCharacters, concepts_of, resolve

# Words remembered at a time, some hundred bytes each: a stream of any length fits.
MEMORY = 400_000
LINE = "\n"


@dataclass(frozen=True, eq=False)
class Seen:
    """What a word, or a sentence, has to say: concepts that it shows, and those that it may show.

    Attributes:
        parts_of: forms of several words that a word with this spelling may be part of, folded.
        foreign: whether it has letters of another script, or is not UTF-8.
    """

    shown: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    parts_of: tuple[str, ...] = ()
    foreign: bool = False

    def __bool__(self) -> bool:
        return bool(self.shown or self.unsure or self.parts_of or self.foreign)

    def __or__(self, other: "Seen") -> "Seen":
        shown = self.shown | other.shown
        return Seen(
            shown, (self.unsure | other.unsure) - shown, self.parts_of + other.parts_of, self.foreign or other.foreign
        )


NOTHING, FOREIGN = Seen(), Seen(foreign=True)


class Scanner:
    """`Matcher.find` for sentences by the thousand: see the head of this file."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher, self._facts = matcher, matcher.language
        self._foreign = re.compile(f"[^\\W\\d_{SCRIPTS[self._facts.script]}]|\ufffd")
        self._anchors: Anchors | None = None
        self._telling: dict[str, Seen] = {}
        self._silent: set[str] = set()
        self._kinds: dict[tuple[object, ...], Seen] = {}
        self._unions: dict[tuple[Seen, Seen], Seen] = {}

    def scan(self, sentences: Sequence[str]) -> dict[int, Seen]:
        """What each sentence says, by its index; without those that say nothing.

        Args:
            sentences: with one space between words, and no line break.
        """
        return self._by_words(sentences) if self._facts.spaced else self._whole(sentences)

    def _by_words(self, sentences: Sequence[str]) -> dict[int, Seen]:
        silent, telling, unions = self._silent, self._telling, self._unions
        if self._anchors is None:
            # What the first sentences are like decides how fast it goes, not what is found.
            self._anchors = Anchors(self._matcher.phrases, Counter(self._facts.fold(" ".join(sentences)).split(" ")))
        rest = [word for word in f" {LINE} ".join(sentences).split(" ") if word not in silent]
        words = set(rest)
        words.discard(LINE)
        if len(silent) + len(telling) + len(unions) + len(words) > MEMORY:
            for table in (silent, telling, unions, self._kinds):
                table.clear()
        if fresh := words.difference(telling):
            self._learn(fresh, self._anchors)
        found: dict[int, Seen] = {}
        index = 0
        for word in rest:
            if word == LINE:
                index += 1
            elif word in telling:
                seen = telling[word]
                if index not in found:
                    found[index] = seen
                elif (both := (found[index], seen)) in unions:
                    found[index] = unions[both]
                else:
                    found[index] = unions[both] = self._known(found[index] | seen)
        phrased = [index for index, seen in found.items() if seen.parts_of]
        folded = self._facts.fold(LINE.join([sentences[index] for index in phrased])).split(LINE)
        for index, text in zip(phrased, folded, strict=bool(phrased)):
            seen = found[index]
            if any(phrase in text for phrase in seen.parts_of):
                shown, unsure = concepts_of(resolve(list(self._matcher.hits(text))))
                found[index] = seen = Seen(shown, unsure, foreign=seen.foreign)
            if not (seen.shown or seen.unsure or seen.foreign):
                del found[index]
        return found

    def _learn(self, fresh: set[str], anchors: "Anchors") -> None:
        """Look words up that have not been seen before, or not of late."""
        words = list(fresh)
        text = LINE.join(words)
        folded = self._facts.fold(text)
        saying = self._saying(text, folded)
        starts = _starts(folded)
        parts_of: dict[int, set[str]] = defaultdict(set)
        for place, phrase in anchors.find(folded):
            parts_of[bisect_right(starts, place) - 1].add(phrase)
        for index, phrases in parts_of.items():
            saying[index] = saying.get(index, NOTHING) | Seen(parts_of=tuple(sorted(phrases)))
        self._telling.update((words[index], self._known(seen)) for index, seen in saying.items())
        self._silent.update(word for word in words if word not in self._telling)

    def _known(self, seen: Seen) -> Seen:
        """The one object for all that say the same, so that unions can be remembered by identity."""
        return self._kinds.setdefault((seen.shown, seen.unsure, seen.parts_of, seen.foreign), seen)

    def _whole(self, sentences: Sequence[str]) -> dict[int, Seen]:
        text = LINE.join(sentences)
        return self._saying(text, self._facts.fold(text))

    def _saying(self, text: str, folded: str) -> dict[int, Seen]:
        """What each line of a text says, each on its own."""
        starts = _starts(folded)
        hits: dict[int, list[Hit]] = defaultdict(list)
        for hit in self._matcher.hits(folded):
            hits[bisect_right(starts, hit.start) - 1].append(hit)
        saying = {index: Seen(*concepts_of(resolve(found))) for index, found in hits.items()}
        starts = _starts(text)
        for match in self._foreign.finditer(text):
            index = bisect_right(starts, match.start()) - 1
            seen = saying.get(index, NOTHING)
            saying[index] = seen if seen.foreign else seen | FOREIGN
        return {index: seen for index, seen in saying.items() if seen}


class Anchors:
    """Finds, among single words, those that a form of several words may have: of each form the rarest in `frequency`."""

    def __init__(self, phrases: Mapping[str, Iterable[Pattern]], frequency: Counter[str]) -> None:
        self._is_word = WordCharacters()
        anchored: dict[str, list[tuple[str, str, tuple[Pattern, ...]]]] = defaultdict(list)
        for phrase, patterns in phrases.items():
            words = phrase.split(" ")
            place = min(range(len(words)), key=lambda number: (frequency[words[number]], -len(words[number])))
            role = "first" if place == 0 else "last" if place == len(words) - 1 else "middle"
            anchored[words[place]].append((phrase, role, tuple(patterns)))
        self._automaton = ahocorasick.Automaton()
        for word, found in anchored.items():
            self._automaton.add_word(word, (len(word), found))
        self._empty = not anchored
        if not self._empty:
            self._automaton.make_automaton()

    def find(self, folded: str) -> Iterator[tuple[int, str]]:
        """(place, form of several words) in a text that holds a folded word a line."""
        if self._empty:
            return
        for last, (length, found) in self._automaton.iter(folded):
            start, end = last + 1 - length, last + 1
            starts_line, ends_line = start == 0 or folded[start - 1] == LINE, end == len(folded) or folded[end] == LINE
            if not (starts_line or ends_line):
                continue
            for phrase, role, patterns in found:
                if (ends_line or role == "last") and (starts_line or role == "first"):
                    before, after = self._run_before(folded, start), self._run_after(folded, end)
                    if any(_fits(pattern, role, before, after) for pattern in patterns):
                        yield start, phrase

    def _run_before(self, text: str, end: int) -> str:
        start = end
        while start and self._is_word[text[start - 1]]:
            start -= 1
        return text[start:end]

    def _run_after(self, text: str, start: int) -> str:
        end = start
        while end < len(text) and self._is_word[text[end]]:
            end += 1
        return text[start:end]


def _fits(pattern: Pattern, role: str, before: str, after: str) -> bool:
    """Whether the letters that touch an anchor are affixes that the pattern allows at that end of it."""
    if role == "first":
        return before in pattern.prefixes
    return role == "middle" or pattern.suffixes is None or after in pattern.suffixes


def _starts(text: str) -> list[int]:
    """Where each line begins."""
    return [0, *accumulate(len(line) + 1 for line in text.split(LINE))]
