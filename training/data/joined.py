"""Several sources of one language as one, for work that takes all of their documents one behind the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .documents import Unit
from .sources import LanguageSource


@dataclass(frozen=True)
class JoinedSource:
    """The sources of a language in their order; a `TextSource` for mining."""

    language: str
    sources: tuple[LanguageSource, ...]

    @property
    def size(self) -> int | None:
        """Bytes to read, where all sources know theirs."""
        sizes = [source.size for source in self.sources]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def identity(self) -> dict[str, Any]:
        """What decides which documents come out."""
        return {"sources": [source.identity() for source in self.sources]}

    def units(self, max_line_bytes: int) -> Iterator[Unit]:
        """The units of all sources."""
        for source in self.sources:
            yield from source.units(max_line_bytes)


def joined(sources: Iterable[LanguageSource]) -> dict[str, JoinedSource]:
    """One source a language."""
    found: dict[str, list[LanguageSource]] = {}
    for source in sources:
        found.setdefault(source.language, []).append(source)
    return {language: JoinedSource(language, tuple(several)) for language, several in found.items()}
