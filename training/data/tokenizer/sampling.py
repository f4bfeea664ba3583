"""Which text a tokenizer is trained on: languages share it as p ∝ n^α, documents are drawn by a seeded hash."""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ...errors import raise_if
from ..sources import LanguageSource
from .training import TokenizerConfig

log = logging.getLogger(__name__)


def repeats(sizes: Mapping[str, int], config: TokenizerConfig) -> dict[str, float]:
    """How often a language's text counts, below 1 for a part of it.

    The budget, `max_training_bytes` or all text if that is less, is shared as p ∝ n^α (Conneau et al. 2020, section
    3.1); what a small language cannot use within `max_repeats` goes to the others in the same proportions.
    """
    budget = float(min(config.max_training_bytes, sum(sizes.values())))
    open_languages = dict(sizes)
    found: dict[str, float] = {}
    while open_languages:
        total = sum(size**config.alpha for size in open_languages.values())
        rates = {language: budget * size**config.alpha / total / size for language, size in open_languages.items()}
        full = [language for language, rate in rates.items() if rate > config.max_repeats]
        for language in full or rates:
            found[language] = min(rates[language], config.max_repeats)
            budget -= found[language] * open_languages.pop(language) if full else 0
        if not full:
            break
    return {language: found[language] for language in sizes}


def training_texts(
    sources: Sequence[LanguageSource], config: TokenizerConfig, max_line_bytes: int, seed: int
) -> tuple[list[str], dict[str, float]]:
    """The documents to train on, some more than once, and each language's repeats.

    One pass over the sources, holding at most twice `max_training_bytes` a language.

    Raises:
        ConfigError: naming every language without usable text.
    """
    drawn = {source.language: _Draw(2 * config.max_training_bytes, seed) for source in sources}
    counts: dict[str, Counter[str]] = {language: Counter() for language in drawn}
    for source in sources:
        for unit in source.units(max_line_bytes):
            texts, left_out = unit.documents()
            counts[source.language] += left_out
            for text in texts:
                drawn[source.language].add(text)
    problems = []
    for language, draw in drawn.items():
        if not draw.total:
            label = ", ".join(source.label for source in sources if source.language == language)
            problems.append(no_text(language, label, counts[language]))
    raise_if(problems)
    rates = repeats({language: draw.total for language, draw in drawn.items()}, config)
    taken = {language: rate * drawn[language].total for language, rate in rates.items()}
    shares = (f"{language} {100 * size / sum(taken.values()):.3g} %" for language, size in taken.items())
    log.info("the tokenizer learns from %.3g MB of text: %s", sum(taken.values()) / 1e6, ", ".join(shares))
    return [text for language, rate in rates.items() for text in drawn[language].texts(rate)], rates


def no_text(language: str, label: str, left_out: Mapping[str, int]) -> str:
    """The message for a language none of whose records can be used."""
    remedies = {
        "invalid_utf8": "convert the file to UTF-8",
        "empty": "check that the file is the one you mean",
        "too_long": "raise max_line_bytes",
        "malformed": "set column to the field that holds the text",
    }
    met = {reason: count for reason, count in left_out.items() if count}
    if not met:
        return f"{language}: no usable text in {label}, which is empty; check that it is the one you mean"
    counts = ", ".join(f"{count} {reason}" for reason, count in met.items())
    advice = "; ".join(remedies[reason] for reason in met)
    return f"{language}: no usable text in {label} ({counts}); {advice}"


class _Draw:
    """A sample of a language's documents by seeded hash, independent of their order, of bounded size."""

    def __init__(self, room: int, seed: int) -> None:
        self.total = 0
        self._room = room
        self._key = seed.to_bytes(16, "little", signed=True)
        self._threshold = 1.0
        self._size = 0
        self._kept: list[tuple[float, str]] = []

    def add(self, text: str) -> None:
        data = text.encode()
        self.total += len(data)
        place = int.from_bytes(hashlib.blake2b(data, digest_size=8, key=self._key).digest(), "little") / 2**64
        if place >= self._threshold:
            return
        self._kept.append((place, text))
        self._size += len(data)
        while self._size > self._room and len(self._kept) > 1:
            self._threshold /= 2
            self._kept = [(p, t) for p, t in self._kept if p < self._threshold]
            self._size = sum(len(t.encode()) for _, t in self._kept)

    def texts(self, rate: float) -> Iterator[str]:
        """Each document `rate` times on average, in the order of their hashes."""
        whole = math.floor(rate)
        for place, text in sorted(self._kept):
            for _ in range(whole + (place < rate - whole)):
                yield text
