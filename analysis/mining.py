"""Mines a corpus for sentences that show a concept and, matched in length, sentences that show none."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from .concepts import ConceptSet, Row
from .lexicon import Lexicon
from .mining_report import MiningReport
from .reservoirs import NearDuplicates, Reservoir, priority, signature, tokens
from .text_parts import TextPart, text_parts
from .word_forms import Hit, Matcher, concepts_of

CHUNK_TEXTS = 8192
# One Chinese character says about as much as three letters.
CHARS_PER_HAN = 3
# Kept beyond the wanted number, so that near-duplicates can be dropped at the end.
SPARE = 2
# No length bin holds more than this share of the negatives; each keeps as many as that.
BIN_SHARE = 4
# How far from its own length bin a negative may be taken: a fifth longer or shorter.
NEAR_BINS = 2


@dataclass(frozen=True)
class Limits:
    """How much to keep of what: see `mine`."""

    per_concept: int = 100
    negatives: int = 1000
    min_chars: int = 20
    max_chars: int = 200
    min_positives: int = 1
    seed: int = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with the numbers."""
        for field in ("per_concept", "negatives", "min_chars", "min_positives"):
            if getattr(self, field) < 1:
                yield f"{field} is {getattr(self, field)}; it must be at least 1."
        if self.max_chars < self.min_chars:
            yield f"max_chars is {self.max_chars}, below min_chars ({self.min_chars}); raise it."


@dataclass(frozen=True)
class MiningResult:
    """What `mine` gives back."""

    concept_set: ConceptSet
    report: MiningReport


class Tally:
    """What one part of a language's text has yielded; parts can be merged in any order."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.positives: dict[str, Reservoir] = {}
        self.negatives: dict[int, Reservoir] = {}

    def merge(self, other: "Tally") -> None:
        """Take over another part of the same language."""
        self.counts += other.counts
        self.found += other.found
        for concept, reservoir in other.positives.items():
            self.positives.setdefault(concept, Reservoir(reservoir.size)).merge(reservoir)
        for length, reservoir in other.negatives.items():
            self.negatives.setdefault(length, Reservoir(reservoir.size)).merge(reservoir)


class Miner:
    """Fills and empties the tallies of one language."""

    def __init__(self, lexicon: Lexicon, language: str, limits: Limits) -> None:
        self._matcher = Matcher(lexicon, language)
        self._limits = limits
        width = 1 if self._matcher.language.spaced else CHARS_PER_HAN
        self._shortest, self._longest = -(-limits.min_chars // width), limits.max_chars // width
        self._bins = [length_bin(length * width) for length in range(self._longest + 1)]

    def add(self, tally: Tally, texts: list[str]) -> None:
        """Take in texts, each one a document of one sentence."""
        limits = self._limits
        fitting = [text for text in texts if self._shortest <= len(text) <= self._longest]
        tally.counts["texts"] += len(texts)
        tally.counts["too_short"] += sum(len(text) < self._shortest for text in texts)
        tally.counts["too_long"] += sum(len(text) > self._longest for text in texts)
        hits = dict(self._matcher.scan(fitting))
        for index, text in enumerate(fitting):
            rank = (priority(text, limits.seed), text)
            if index in hits:
                self._add_positive(tally, hits[index], rank)
                continue
            length = self._bins[len(text)]
            reservoir = tally.negatives.get(length)
            if reservoir is None:
                reservoir = tally.negatives[length] = Reservoir(-(-SPARE * limits.negatives // BIN_SHARE))
            if rank < reservoir.threshold and self._sound(tally, text):
                # Near-duplicates are few here; they are dropped when negatives are chosen.
                reservoir.add(text, rank)

    def _add_positive(self, tally: Tally, hits: list[Hit], rank: tuple[int, str]) -> None:
        shown, _ = concepts_of(hits)
        if not shown:
            tally.counts["unsure"] += 1
        elif self._sound(tally, rank[1]):
            tally.found.update(shown)
            key: int | None = None
            for concept in shown:
                reservoir = tally.positives.setdefault(concept, Reservoir(SPARE * self._limits.per_concept))
                if rank < reservoir.threshold:
                    key = signature(self._tokens(rank[1])) if key is None else key
                    reservoir.add(key, rank)

    def _sound(self, tally: Tally, text: str) -> bool:
        if "\ufffd" in text or not self._matcher.language.writes(text):
            tally.counts["other_script"] += 1
            return False
        return True

    def _tokens(self, text: str) -> frozenset[str]:
        return tokens(self._matcher.language.fold(text), self._matcher.language.spaced)

    def choose_positives(self, tally: Tally) -> dict[str, list[str]]:
        """At most `per_concept` sentences of each concept, no two of them nearly the same."""
        chosen = {}
        for concept in sorted(tally.positives):
            known = NearDuplicates()
            candidates = tally.positives[concept].texts()
            fresh = [text for text in candidates if known.add(self._tokens(text))]
            tally.counts["near_duplicates"] += len(candidates) - len(fresh)
            if len(fresh) >= self._limits.min_positives:
                chosen[concept] = fresh[: self._limits.per_concept]
        return chosen

    def choose_negatives(self, tally: Tally, positives: Iterable[str]) -> list[str]:
        """At most `negatives` sentences without any form, spread over lengths as the positives are."""
        wanted = Counter(self._bins[len(text)] for text in positives)
        total = sum(wanted.values())
        known = NearDuplicates()
        supply = {
            length: filter(lambda text: known.add(self._tokens(text)), iter(reservoir.texts()))
            for length, reservoir in sorted(tally.negatives.items())
        }
        chosen: list[str] = []
        for length, count in sorted(wanted.items()):
            share = round(self._limits.negatives * count / total)
            # Where a length has too few, the lengths next to it stand in.
            for near in sorted(supply, key=lambda other: (abs(other - length), other)):
                if share == 0 or abs(near - length) > NEAR_BINS:
                    break
                taken = list(islice(supply[near], share))
                chosen += taken
                share -= len(taken)
        return chosen[: self._limits.negatives]


def length_bin(chars: int) -> int:
    """Bins of length, each a tenth wider than the one before."""
    return round(math.log(max(chars, 1)) / math.log(1.1))


def mine(
    corpus: Mapping[str, str | Path | Iterable[str]],
    lexicon: Lexicon,
    *,
    per_concept: int = 100,
    negatives: int = 1000,
    min_chars: int = 20,
    max_chars: int = 200,
    min_positives: int = 1,
    seed: int = 0,
    num_proc: int = 1,
    progress: bool = False,
) -> MiningResult:
    """Find positives per concept and language by word forms, and negatives that hold no form of any concept.

    One pass over the text, in memory that depends on the numbers below and not on the corpus. The result is
    a function of text, lexicon and seed: neither the order of the texts nor `num_proc` changes it. At most
    one sentence comes from a document: a line of a file and an element of an iterable are documents of one
    sentence, and those that are longer than `max_chars` are left out.

    Args:
        corpus: per language, a text file (a sentence a line) or any iterable of sentences.
        lexicon: the concepts and their forms.
        per_concept: sentences wanted per concept and language.
        negatives: sentences wanted per language that show no concept, shared by all, spread over lengths as
            the positives are.
        min_chars: shortest sentence in characters; a Chinese character counts as three.
        max_chars: longest sentence.
        min_positives: a concept with fewer in a language is left out there.
        seed: which sentences are drawn where there are more than wanted.
        num_proc: processes that share out the files.
        progress: show a bar.

    Raises:
        ValueError: a number out of range, a missing file, an unknown language, or nothing found.
    """
    limits = Limits(per_concept, negatives, min_chars, max_chars, min_positives, seed)
    paths = {language: Path(source) for language, source in corpus.items() if isinstance(source, str | Path)}
    problems = [*limits.problems()]
    problems += [f"{language}: {path} does not exist." for language, path in paths.items() if not path.is_file()]
    if problems:
        raise ValueError("\n".join(problems))
    miners = {language: Miner(lexicon, language, limits) for language in sorted(corpus)}
    tallies = {language: Tally() for language in miners}

    parts = [part for language in sorted(paths) for part in text_parts(language, paths[language])]
    total = sum(part.end - part.start for part in parts)
    with tqdm(total=total, unit="B", unit_scale=True, disable=not progress, desc="mining") as bar:
        for part, tally in _mined(parts, lexicon, limits, num_proc):
            tallies[part.language].merge(tally)
            bar.update(part.end - part.start)
    for language, source in sorted(corpus.items()):
        texts = iter(()) if isinstance(source, str | Path) else iter(source)
        while chunk := [" ".join(text.split()) for text in islice(texts, CHUNK_TEXTS)]:
            miners[language].add(tallies[language], chunk)
    return _chosen(miners, tallies, lexicon, limits)


def _chosen(
    miners: Mapping[str, Miner], tallies: Mapping[str, Tally], lexicon: Lexicon, limits: Limits
) -> MiningResult:
    rows: list[Row] = []
    kept: dict[tuple[str, str], int] = {}
    for language, tally in tallies.items():
        positives = miners[language].choose_positives(tally)
        shown = [(concept, text) for concept, texts in positives.items() for text in texts]
        clean = miners[language].choose_negatives(tally, (text for _, text in shown))
        rows += [Row(concept, language, text, 1, "mined") for concept, text in shown]
        rows += [Row(None, language, text, 0, "mined") for text in clean]
        kept |= {(concept, language): len(texts) for concept, texts in positives.items()}
        tally.counts["negatives"] = len(clean)
    if not kept:
        raise ValueError(
            f"no concept has {limits.min_positives} sentences of {limits.min_chars} to {limits.max_chars} "
            f"characters in any language ({', '.join(tallies)}); check the corpus, or lower min_positives."
        )
    report = MiningReport(
        concepts=tuple(lexicon.concepts),
        languages=tuple(tallies),
        wanted=limits.per_concept,
        found={
            (concept, language): count for language, tally in tallies.items() for concept, count in tally.found.items()
        },
        kept=kept,
        counts={language: dict(tally.counts) for language, tally in tallies.items()},
    )
    return MiningResult(ConceptSet(rows, where="mined sentences"), report)


def _mine_part(part: TextPart, lexicon: Lexicon, limits: Limits) -> Tally:
    miner, tally = Miner(lexicon, part.language, limits), Tally()
    for chunk in part.chunks():
        miner.add(tally, chunk)
    return tally


def _mined(parts: list[TextPart], lexicon: Lexicon, limits: Limits, num_proc: int) -> Iterator[tuple[TextPart, Tally]]:
    if num_proc == 1 or len(parts) < 2:
        yield from ((part, _mine_part(part, lexicon, limits)) for part in parts)
        return
    # Results are taken in order, so that what is counted does not depend on which process is faster.
    with ProcessPoolExecutor(min(num_proc, len(parts)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_mine_part, part, lexicon, limits) for part in parts]
        for part, future in zip(parts, futures, strict=True):
            yield part, future.result()
