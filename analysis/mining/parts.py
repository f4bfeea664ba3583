"""A corpus for mining: sources of documents, cut into parts that processes can share out."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Any, Protocol, runtime_checkable

from ..concepts.lexicon import Lexicon
from .tally import Limits, Miner, Tally

DOCUMENTS = 4096
# Units to a part: what a process takes at a time and what is lost at most when a run is killed, 16 MB of plain text.
PART_UNITS = 16


class Unit(Protocol):
    """A piece of a source, small enough to hold."""

    @property
    def size(self) -> int:
        """Bytes in it."""

    def documents(self) -> tuple[list[str], Counter[str]]:
        """Its documents, and how many were left out, by reason."""


@runtime_checkable
class TextSource(Protocol):
    """One language's text, as `prepare` reads it (`training.sources.LanguageSource`)."""

    @property
    def language(self) -> str:
        """Code of the language."""

    @property
    def size(self) -> int | None:
        """Bytes to read, where that is known."""

    def identity(self) -> dict[str, Any]:
        """What decides which documents come out."""

    def units(self, max_line_bytes: int) -> Iterator[Unit]:
        """The documents in units, in an order that stays."""


@dataclass(frozen=True)
class Texts:
    """Documents in memory, as a unit."""

    texts: Sequence[str]

    @property
    def size(self) -> int:
        """Bytes in it."""
        return sum(len(text.encode()) for text in self.texts)

    def documents(self) -> tuple[list[str], Counter[str]]:
        """All of them."""
        return list(self.texts), Counter()


@dataclass(frozen=True)
class Part:
    """Some units of a language, its parts counted from 1."""

    language: str
    number: int
    units: list[Unit]

    @property
    def size(self) -> int:
        """Bytes in it."""
        return sum(unit.size for unit in self.units)


def parts(corpus: Mapping[str, TextSource | Iterable[str]], max_line_bytes: int) -> Iterator[Part]:
    """All parts, language by language; their bounds depend on the sources alone."""
    for language, source in corpus.items():
        units = source.units(max_line_bytes) if isinstance(source, TextSource) else _texts(source)
        number = 0
        while some := list(islice(units, PART_UNITS)):
            number += 1
            yield Part(language, number, some)


def _texts(documents: Iterable[str]) -> Iterator[Unit]:
    rest = iter(documents)
    while chunk := list(islice(rest, DOCUMENTS)):
        yield Texts(chunk)


Work = Callable[[Part, Tally], Callable[[], Tally]]
"""Starts on a part, given an empty tally with the bounds known so far; the call that it gives back waits for the end."""


def in_order(
    waiting: Iterable[Part], bounds: Callable[[str], Tally], work: Work, depth: int
) -> Iterator[tuple[Part, Tally]]:
    """The tallies of parts in the order of the parts, with at most `depth` under way."""
    pending: deque[tuple[Part, Callable[[], Tally]]] = deque()
    for part in waiting:
        pending.append((part, work(part, bounds(part.language))))
        if len(pending) >= depth:
            done, wait = pending.popleft()
            yield done, wait()
    for done, wait in pending:
        yield done, wait()


class _Shift:
    """Works on parts with the miner of one language at a time: the words that others remember are let go."""

    def __init__(self, lexicon: Lexicon, limits: Limits) -> None:
        self._lexicon, self._limits = lexicon, limits
        self._language: str | None = None

    def __call__(self, part: Part, tally: Tally) -> Tally:
        if part.language != self._language:
            self._language, self._miner = part.language, Miner(self._lexicon, part.language, self._limits)
        for unit in part.units:
            texts, problems = unit.documents()
            for reason, count in problems.items():
                tally.counts["long_record" if reason == "too_long" else reason] += count
            self._miner.add(tally, texts)
        return tally


_shift: _Shift | None = None  # one a worker process


def _start_worker(lexicon: Lexicon, limits: Limits) -> None:
    global _shift
    _shift = _Shift(lexicon, limits)


def _work_in_process(part: Part, bounds: Tally) -> Tally:
    assert _shift is not None
    return _shift(part, bounds)


@contextmanager
def workers(lexicon: Lexicon, limits: Limits, num_proc: int) -> Iterator[tuple[Work, int]]:
    """What works on parts, here or in processes, and how many parts may be under way."""
    if num_proc == 1:
        here = _Shift(lexicon, limits)
        yield (lambda part, bounds: partial(here, part, bounds)), 1
        return
    pool = ProcessPoolExecutor(
        num_proc, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(lexicon, limits)
    )

    def start(part: Part, bounds: Tally) -> Callable[[], Tally]:
        future: Future[Tally] = pool.submit(_work_in_process, part, bounds)
        return future.result

    try:
        yield start, 2 * num_proc
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
