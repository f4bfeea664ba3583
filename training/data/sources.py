"""Where text comes from: local files, Parquet, the hub, or texts in memory, one language at a time."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...analysis.files import FileFaultError
from ...analysis.files.kinds import Kind, kind_of, suffixes
from ...analysis.files.lines import check_head, size_of
from ...analysis.files.stamp import content_stamp
from ...analysis.files.tables import csv_columns, text_column_problem
from .documents import UNIT_BYTES, UNIT_ROWS, RangeUnit, Reading, RecordUnit, TextUnit, Unit
from .records import file_records, grouped, hub_records

KNOWN = suffixes("txt", "jsonl", "json", "csv", "tsv", "parquet")
SEPARATORS = ("line", "blank_line")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
LANGUAGE_NAME = re.compile(r"\w[\w.-]*")


@dataclass
class Source:
    """Text in one language, or in several when the path or the name holds `{language}`."""

    path: str
    """A file (.txt, .jsonl, .json, .csv or .tsv, also .gz, .zst, .bz2 or .xz, or .parquet), a pattern such as
    `data/*.jsonl.gz`, or the name of a dataset on the hub. `{language}` stands for each of the languages."""
    language: str | None = None
    """The language of this source."""
    languages: list[str] | None = None
    """The languages of a source that they share, in place of `language`."""
    name: str | None = None
    """Configuration of a hub dataset, for example "{language}" or "20231101.{language}"."""
    split: str = "train"
    """Split of a hub dataset."""
    revision: str | None = None
    """Revision of a hub dataset."""
    column: str = "text"
    """The field that holds the text, in JSON lines, CSV, TSV, Parquet and hub datasets."""
    separator: str = "line"
    """What parts the documents of a .txt file: "line" (one a line) or "blank_line" (blank lines between them)."""
    share: float | None = None
    """How much of a language comes from this source where it has several: its tokens are in the proportions of the
    shares, as many as the scarcest source allows, and each source gives its first documents. By default all of each."""
    streaming: bool = True
    """Read a hub dataset while it downloads rather than download it whole first."""
    max_documents: int | None = None
    """Take only so many documents of each language: the first usable ones."""
    max_tokens: int | None = None
    """Take documents of each language only until there are so many tokens."""


@dataclass(frozen=True)
class LanguageSource:
    """One language's share of a `Source`: patterns resolved, ready to read."""

    language: str
    path: str
    files: tuple[str, ...] = ()
    texts: tuple[str, ...] | None = None
    name: str | None = None
    split: str = "train"
    revision: str | None = None
    column: str = "text"
    streaming: bool = True
    max_documents: int | None = None
    max_tokens: int | None = None
    separator: str = "line"
    share: float | None = None

    @property
    def label(self) -> str:
        """What messages call this source."""
        return self.path if self.name is None else f"{self.path} ({self.name})"

    @property
    def size(self) -> int | None:
        """Bytes to read, where that is known without reading."""
        if self.max_documents is not None or self.max_tokens is not None:
            return None
        if self.texts is not None:
            return sum(len(text.encode()) for text in self.texts)
        if not self.files or not all(self._in_ranges(_kind(f)) for f in self.files):
            return None
        return sum(size_of(f) for f in self.files)

    def _in_ranges(self, kind: Kind) -> bool:
        """Whether a file can be read from any place on."""
        return kind.form in ("txt", "jsonl") and kind.compression is None and not self._by_blank_lines(kind)

    def _by_blank_lines(self, kind: Kind) -> bool:
        return kind.form == "txt" and self.separator == "blank_line"

    def identity(self) -> dict[str, Any]:
        """What decides which documents come out; a file counts with what is in it."""
        stamps = [[f, *content_stamp(f)] for f in self.files]
        keys = (
            "language",
            "path",
            "name",
            "split",
            "revision",
            "column",
            "max_documents",
            "max_tokens",
            "separator",
            "share",
        )
        return {key: getattr(self, key) for key in keys} | {"files": stamps}

    def units(self, max_line_bytes: int) -> Iterator[Unit]:
        """The source in units of work, in order, none beyond `max_documents`."""
        units = self._all_units(max_line_bytes)
        if self.max_documents is None:
            yield from units
            return
        left = self.max_documents
        for unit in units:
            texts, problems = unit.documents()
            yield TextUnit(texts[:left], problems)
            left -= len(texts[:left])
            if left == 0:
                return

    def _all_units(self, max_line_bytes: int) -> Iterator[Unit]:
        plain = Reading(max_line_bytes=max_line_bytes)
        if self.texts is not None:
            for start in range(0, len(self.texts), UNIT_ROWS):
                yield RecordUnit([text.encode() for text in self.texts[start : start + UNIT_ROWS]], plain)
        elif not self.files:
            records = hub_records(
                self.label, self.path, self.name, self.split, self.revision, self.streaming, self.column, UNIT_ROWS
            )
            yield from (RecordUnit(some, plain) for some in grouped(records, UNIT_BYTES, UNIT_ROWS))
        for file in self.files:
            kind = _kind(file)
            reading = replace(plain, column=self.column) if kind.form == "jsonl" else plain
            if self._in_ranges(kind):
                size = size_of(file)
                for start in range(0, size, UNIT_BYTES):
                    yield RangeUnit(file, start, min(start + UNIT_BYTES, size), reading)
            else:
                records = file_records(file, kind, self.column, reading, self._by_blank_lines(kind))
                rows = UNIT_ROWS if kind.form == "parquet" else UNIT_BYTES
                yield from (RecordUnit(some, reading) for some in grouped(records, UNIT_BYTES, rows))


def _kind(file: str) -> Kind:
    kind = kind_of(file)
    assert kind is not None, "resolve takes files of known kinds alone"
    return kind


def resolve(sources: Iterable[Source]) -> tuple[list[LanguageSource], list[str]]:
    """A `LanguageSource` for each language of each source, and everything that is wrong with them."""
    resolved: list[LanguageSource] = []
    problems: list[str] = []
    for position, source in enumerate(sources):
        where = f"sources[{position}]"
        problems += _problems(source, where)
        for language in _languages_of(source):
            path = os.path.expanduser(source.path.replace("{language}", language))
            files, problem = _files(path)
            if problem:
                problems.append(f"{where}.path: {problem}")
            problems += [found for file in files for found in _file_problems(file, source, where)]
            resolved.append(
                LanguageSource(
                    language=language,
                    path=path,
                    files=files,
                    name=source.name and source.name.replace("{language}", language),
                    split=source.split,
                    revision=source.revision,
                    column=source.column,
                    streaming=source.streaming,
                    max_documents=source.max_documents,
                    max_tokens=source.max_tokens,
                    separator=source.separator,
                    share=source.share,
                )
            )
    return resolved, problems + _several_problems(resolved)


def _several_problems(sources: list[LanguageSource]) -> list[str]:
    """What is wrong among the sources of one language."""
    problems = []
    by_language: dict[str, list[LanguageSource]] = {}
    for source in sources:
        by_language.setdefault(source.language, []).append(source)
    for language, several in by_language.items():
        places = Counter((file, source.split) for source in several for file in source.files or (source.label,))
        problems += [
            f"sources: {language!r} would read {place} {count} times; name it once"
            for (place, _), count in places.items()
            if count > 1
        ]
        given = [source.share for source in several if source.share is not None]
        if given and len(given) < len(several):
            problems.append(
                f"sources: {len(given)} of the {len(several)} sources of {language!r} have a share; give each one, or none"
            )
    return problems


def _languages_of(source: Source) -> list[str]:
    return list(source.languages or ([source.language] if source.language else []))


def _problems(source: Source, where: str) -> list[str]:
    problems = []
    languages = _languages_of(source)
    if (source.language is None) == (source.languages is None) or not languages:
        problems.append(f"{where} ({source.path}): give either language or languages")
    problems += [
        f"{where}: language {language!r} cannot name a folder; use letters, digits, '-', '_' and '.'"
        for language in languages
        if not LANGUAGE_NAME.fullmatch(language)
    ]
    shared = "{language}" in source.path or "{language}" in (source.name or "")
    if len(languages) > 1 and not shared:
        problems.append(
            f"{where}: {len(languages)} languages would all read {source.path}; put {{language}} into path or name"
        )
    for field in ("max_documents", "max_tokens"):
        value = getattr(source, field)
        if value is not None and value < 1:
            problems.append(f"{where}.{field} is {value}; give at least 1, or leave it out to take everything")
    if source.separator not in SEPARATORS:
        problems.append(f"{where}.separator is {source.separator!r}; choose {' or '.join(SEPARATORS)}")
    if source.share is not None and not 0 < source.share < float("inf"):
        problems.append(f"{where}.share is {source.share}; give a positive number, or leave it out")
    return problems


def _files(path: str) -> tuple[tuple[str, ...], str | None]:
    """The files behind a path, none for a name on the hub, and what is wrong with it."""
    if os.path.isfile(path):
        if kind_of(path) is None:
            return (), f"{path} is of no known format; the name must end in {KNOWN}"
        return (path,), None
    if glob.has_magic(path):
        files = tuple(f for f in sorted(glob.glob(path)) if kind_of(f) is not None and os.path.isfile(f))
        return files, None if files else f"no file matches {path} and ends in {KNOWN}"
    if os.path.isdir(path):
        return (), f"{path} is a folder; name the files in it, for example {os.path.join(path, '*.jsonl')}"
    if kind_of(path) is not None or not HUB_NAME.fullmatch(path):
        return (), f"there is no file {path}; correct the path (relative paths start at {os.getcwd()})"
    return (), None


def _file_problems(file: str, source: Source, where: str) -> list[str]:
    """What can be seen of a file before work: whether it opens, its encoding, its columns."""
    try:
        kind = _kind(file)
        if kind.form == "parquet":
            problem = text_column_problem(file, source.column)
            return [f"{where}.column: {problem}"] if problem else []
        check_head(file)
        if kind.form in ("csv", "tsv"):
            names = csv_columns(file)
            if source.column not in names:
                has = ", ".join(names) or "none"
                return [f"{where}.column: {file} has no column {source.column!r}; choose one of {has}"]
    except FileFaultError as error:
        return [f"{where}.path: {error}"]
    return []
