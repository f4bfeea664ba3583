"""Raw records to clean documents: decoding, normalisation, and the units of work that processes and shards share out.

A unit is a slice of one source small enough to encode in one go. Its boundaries depend on the source alone, never on
how many processes or shards there are, so that the documents come out the same, in the same order, in any case.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from ...analysis.files.lines import BOM, check_encoding, opened
from ...analysis.files.visible import has_text

PROBLEMS = ("invalid_utf8", "empty", "too_long", "malformed")
UNIT_BYTES = 1 << 20
UNIT_ROWS = 512
_SURROGATE = re.compile("[\ud800-\udfff]")
_OTHER_FIELDS = 1 << 24
"""Bytes that a JSON object may have beside its text."""


@dataclass(frozen=True)
class Reading:
    """How the records of a source become documents."""

    column: str | None = None
    """The field that holds the text when records are JSON objects; None when a record is the text itself."""
    max_line_bytes: int = 1_000_000
    """Longer texts, in bytes of UTF-8, are counted and left out."""

    @property
    def max_raw_bytes(self) -> int:
        """How long a record may be in its file: in JSON a byte takes up to six (`\\u0041`), and other fields stand by."""
        return self.max_line_bytes if self.column is None else 6 * self.max_line_bytes + _OTHER_FIELDS


def clean(records: Iterable[bytes | None], reading: Reading) -> tuple[list[str], Counter[str]]:
    """Turn raw records into NFC documents.

    A record that is None stands for one that was too long to be read at all. Returns the documents in order and how
    many records were left out, by reason (`PROBLEMS`): not UTF-8, nothing that can be seen, longer than
    `max_line_bytes`, or, in JSON, without a string in the column.
    """
    records = list(records)
    if reading.column is None and (texts := _all_sound(records, reading)) is not None:
        filled = [text for text in texts if has_text(text)]
        return filled, Counter(empty=len(texts) - len(filled)) if len(filled) < len(texts) else Counter()
    texts = []
    problems: Counter[str] = Counter()
    for record in records:
        if record is None or len(record) > reading.max_raw_bytes:
            problems["too_long"] += 1
            continue
        try:
            text = record.decode()
        except UnicodeDecodeError:
            problems["invalid_utf8"] += 1
            continue
        if reading.column is not None:
            if not text.strip():
                problems["empty"] += 1
                continue
            try:
                text = _text_of(text, reading.column)
            except (ValueError, RecursionError):
                problems["malformed"] += 1
                continue
            if _SURROGATE.search(text):
                problems["invalid_utf8"] += 1
                continue
            if len(text.encode()) > reading.max_line_bytes:
                problems["too_long"] += 1
                continue
        if not has_text(text):
            problems["empty"] += 1
            continue
        texts.append(unicodedata.normalize("NFC", text))
    return texts, problems


def _all_sound(records: list[bytes | None], reading: Reading) -> list[str] | None:
    """The texts of records that are all UTF-8 lines of allowed length, at the price of one; None if any is not."""
    lines = [record for record in records if record is not None]
    if len(lines) < len(records) or max(map(len, lines), default=0) > reading.max_line_bytes:
        return None
    try:
        # A line break composes with nothing: lines are normalised together as they are one by one.
        texts = unicodedata.normalize("NFC", b"\n".join(lines).decode()).split("\n")
    except UnicodeDecodeError:
        return None
    return texts if len(texts) == len(lines) else None


def _text_of(line: str, column: str) -> str:
    """The string in a column of a JSON object; null counts as no text."""
    row = json.loads(line)
    if not isinstance(row, dict) or column not in row:
        raise ValueError(f"no field {column!r}")
    text = row[column]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ValueError(f"field {column!r} is not a string")
    return text


@dataclass(frozen=True)
class RangeUnit:
    """The lines of an uncompressed file that begin in [start, end)."""

    path: str
    start: int
    end: int
    reading: Reading

    @property
    def size(self) -> int:
        return self.end - self.start

    def documents(self) -> tuple[list[str], Counter[str]]:
        with opened(self.path) as stream:
            return clean(self._records(stream), self.reading)

    def _records(self, stream: BinaryIO) -> list[bytes]:
        before = min(self.start, 1)  # the byte before tells whether a line begins exactly at the start
        stream.seek(self.start - before)
        block = stream.read(self.end - self.start + before)
        check_encoding(block, self.path, self.start - before)
        first = block.find(b"\n") + 1 if before else 0
        if before and not first:
            return []
        records = block[first:].split(b"\n")
        last = records.pop()
        if last:
            records.append(last + stream.readline(self.reading.max_raw_bytes + 2).removesuffix(b"\n"))
        if not before and records:
            records[0] = records[0].removeprefix(BOM)
        return [record.removesuffix(b"\r") for record in records]


@dataclass(frozen=True)
class RecordUnit:
    """Raw records read by the parent process, from a compressed file, a table or a stream."""

    records: list[bytes | None]
    reading: Reading

    @property
    def size(self) -> int:
        return sum(len(record) for record in self.records if record is not None)

    def documents(self) -> tuple[list[str], Counter[str]]:
        return clean(self.records, self.reading)


@dataclass(frozen=True)
class TextUnit:
    """Documents that are clean already, with the count of what was left out on the way."""

    texts: list[str]
    problems: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        return sum(len(text.encode()) for text in self.texts)

    def documents(self) -> tuple[list[str], Counter[str]]:
        return self.texts, self.problems


Unit = RangeUnit | RecordUnit | TextUnit
