"""Where text comes from: local files, Parquet, the hub, or texts in memory, one language at a time."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from .compressed import COMPRESSIONS, unpacked
from .documents import BOM, UNIT_BYTES, UNIT_ROWS, RangeUnit, Reading, RecordUnit, TextUnit, Unit

LINE_FORMATS = (".txt", ".jsonl")
SUFFIXES = (*(f + c for f in LINE_FORMATS for c in ("", *COMPRESSIONS)), ".parquet")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
LANGUAGE_NAME = re.compile(r"\w[\w.-]*")


@dataclass
class Source:
    """Text in one language, or in several when the path or the name holds `{language}`."""

    path: str
    """A file (.txt or .jsonl, also .gz, .zst, .bz2 or .xz, or .parquet), a pattern such as `data/*.jsonl.gz`, or the name of a
    dataset on the hub. `{language}` stands for each of the languages."""
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
    """The field that holds the text, in .jsonl, Parquet and hub datasets."""
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
        if not self.files or any(not f.endswith(LINE_FORMATS) for f in self.files):
            return None
        return sum(os.path.getsize(f) for f in self.files)

    def identity(self) -> dict[str, Any]:
        """What decides which documents come out; a file counts with its size and time of change."""
        stamps = [[f, os.stat(f).st_size, os.stat(f).st_mtime_ns] for f in self.files]
        keys = ("language", "path", "name", "split", "revision", "column", "max_documents", "max_tokens")
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
            yield from (RecordUnit(records, plain) for records in self._hub_records())
        for file in self.files:
            reading = replace(plain, column=self.column) if ".jsonl" in Path(file).suffixes else plain
            if file.endswith(".parquet"):
                yield from (RecordUnit(records, plain) for records in _parquet_records(file, self.column))
            elif file.endswith(LINE_FORMATS):
                size = os.path.getsize(file)
                for start in range(0, size, UNIT_BYTES):
                    yield RangeUnit(file, start, min(start + UNIT_BYTES, size), reading)
            else:
                yield from (RecordUnit(records, reading) for records in _compressed_records(file, reading))

    def _hub_records(self) -> Iterator[list[bytes | None]]:
        data = datasets.load_dataset(
            self.path, self.name, split=self.split, revision=self.revision, streaming=self.streaming
        )
        known = data.column_names
        if known is not None and self.column not in known:
            raise ValueError(f"{self.label} has no column {self.column!r}; set column to one of {', '.join(known)}")
        for table in data.select_columns([self.column]).with_format("arrow").iter(batch_size=UNIT_ROWS):
            yield _as_bytes(table.column(self.column))


def resolve(sources: Iterable[Source]) -> tuple[list[LanguageSource], list[str]]:
    """One `LanguageSource` a language, in the order given, and everything that is wrong with the sources."""
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
            if any(f.endswith(".parquet") for f in files):
                problems += _parquet_problems(files, source.column, where)
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
                )
            )
    times = Counter(source.language for source in resolved)
    problems += [
        f"sources: language {language!r} appears {count} times; give each language one source (a pattern such as "
        "data/*.txt takes several files)"
        for language, count in times.items()
        if count > 1
    ]
    return resolved, problems


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
    return problems


def _files(path: str) -> tuple[tuple[str, ...], str | None]:
    """The files behind a path, none for a name on the hub, and what is wrong with it."""
    formats = ", ".join(SUFFIXES)
    if os.path.isfile(path):
        if not path.endswith(SUFFIXES):
            return (), f"{path} is of no known format; the name must end in one of {formats}"
        return (path,), None
    if glob.has_magic(path):
        files = tuple(f for f in sorted(glob.glob(path)) if f.endswith(SUFFIXES) and os.path.isfile(f))
        return files, None if files else f"no file matches {path} and ends in one of {formats}"
    if os.path.isdir(path):
        return (), f"{path} is a folder; name the files in it, for example {os.path.join(path, '*.jsonl')}"
    if path.endswith(SUFFIXES) or not HUB_NAME.fullmatch(path):
        return (), f"there is no file {path}; correct the path (relative paths start at {os.getcwd()})"
    return (), None


def _parquet_problems(files: tuple[str, ...], column: str, where: str) -> list[str]:
    problems = []
    for file in files:
        try:
            names = pq.read_schema(file).names
        except pa.ArrowInvalid as error:
            problems.append(f"{where}.path: {file} is not a Parquet file ({error})")
            continue
        if column not in names:
            problems.append(f"{where}.column: {file} has no column {column!r}; choose one of {', '.join(names)}")
    return problems


def _as_bytes(column: pa.ChunkedArray) -> list[bytes | None]:
    """Text as bytes, undecoded, since a table may hold invalid UTF-8; null counts as an empty record."""
    return [b"" if record is None else record for record in column.cast(pa.large_binary()).to_pylist()]


def _parquet_records(file: str, column: str) -> Iterator[list[bytes | None]]:
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=UNIT_ROWS, columns=[column]):
            yield _as_bytes(pa.chunked_array([batch.column(column)]))


def _compressed_records(file: str, reading: Reading) -> Iterator[list[bytes | None]]:
    """Lines of a compressed file in groups of about `UNIT_BYTES`; None for a line that is too long."""
    with unpacked(file) as stream:
        yield from _grouped(_lines(stream, reading.max_line_bytes))


def _grouped(lines: Iterable[bytes | None]) -> Iterator[list[bytes | None]]:
    group: list[bytes | None] = []
    size = 0
    for line in lines:
        group.append(line)
        size += len(line or b"")
        if size >= UNIT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _lines(stream: BinaryIO, max_bytes: int) -> Iterator[bytes | None]:
    """Lines without their ends, None for those that are too long, of which never more than a piece is held."""
    rest, mark, skipping = b"", BOM, False
    while block := stream.read(UNIT_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        if lines and skipping:
            lines, skipping = lines[1:], False
        for line in lines:
            yield line.removeprefix(mark).removesuffix(b"\r")
            mark = b""
        if skipping:
            rest = b""
        elif len(rest) > max_bytes + len(BOM) + 1:
            yield None
            rest, mark, skipping = b"", b"", True
    if rest:
        yield rest.removeprefix(mark).removesuffix(b"\r")
