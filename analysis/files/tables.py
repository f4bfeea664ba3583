"""Tables of text: Parquet, CSV, TSV and JSON lines, compressed or not, as rows."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .faults import FileFaultError, faults_of
from .kinds import kind_of, suffixes
from .lines import PIECE, check_encoding, lines_of, opened

TABLE_FORMS = ("jsonl", "csv", "tsv", "parquet")
TABLE_SUFFIXES = (".parquet", ".csv", ".jsonl")
"""What tables are written as."""
BATCH_ROWS = 512

# Python's own limit is 131,072 characters a field: fewer than an article has.
csv.field_size_limit(1 << 30)


def rows_of(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where in the file, mapping) of each row, whatever the file's form; empty lines are passed over.

    All values of .csv and .tsv are text; a field that a short row lacks is None.

    Raises:
        FileFaultError: while reading: what is wrong with the file, with the line where there is one.
    """
    kind = kind_of(path)
    if kind is None or kind.form not in TABLE_FORMS:
        raise FileFaultError(f"{path} is no table by its name; it must end in {suffixes(*TABLE_FORMS)}")
    if kind.form == "parquet":
        yield from ((f"{path}, row {number}", row) for number, row in enumerate(_parquet_rows(path), start=1))
    elif kind.form == "jsonl":
        for number, line in lines_of(path):
            place = f", line {number}"
            with faults_of(path, place):
                row = json.loads(line)
            if not isinstance(row, dict):
                raise FileFaultError(
                    f"{path}{place}: {_shown(line)} is no JSON object; write one object a line, such as "
                    '{"text": "..."}'
                )
            yield f"{path}{place}", row
    else:
        yield from ((f"{path}, line {line}", row) for line, row in csv_rows(path))


def csv_rows(path: str | Path, errors: str = "strict") -> Iterator[tuple[int, dict[str, Any]]]:
    """(line where it ends, mapping) of each row of a .csv or .tsv file with a header.

    Args:
        errors: how bytes that are not UTF-8 are decoded.
    """
    kind = kind_of(path)
    delimiter = "\t" if kind is not None and kind.form == "tsv" else ","
    with opened(path) as stream:
        lines = _Counted(io.TextIOWrapper(io.BufferedReader(_Checked(stream, path)), "utf-8-sig", errors, newline=""))
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            with faults_of(path, f", line {lines.number + 1}"):
                try:
                    fields = next(reader)
                except StopIteration:
                    return
            if header is None:
                header = fields
                twice = sorted({name for name in fields if fields.count(name) > 1})
                if twice:
                    raise FileFaultError(
                        f"{path}: column {', '.join(map(repr, twice))} stands twice in its first line; rename one"
                    )
            elif fields:
                if len(fields) > len(header):
                    raise FileFaultError(
                        f"{path}, line {lines.number}: {len(fields)} fields, but the first line names {len(header)}; put "
                        "fields that hold the separator in quotes"
                    )
                yield lines.number, dict(zip(header, [*fields, *[None] * (len(header) - len(fields))], strict=True))


def csv_columns(path: str | Path) -> list[str]:
    """The columns that the first line of a .csv or .tsv file names."""
    kind = kind_of(path)
    with opened(path) as stream, faults_of(path, ", line 1"):
        text = io.TextIOWrapper(io.BufferedReader(_Checked(stream, path)), "utf-8-sig", "surrogateescape", newline="")
        return next(
            csv.reader(text, delimiter="\t" if kind is not None and kind.form == "tsv" else ",", strict=True), []
        )


class _Counted:
    """Lines, and how many of them have been taken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.number = 0

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line


class _Checked(io.RawIOBase):
    """A stream of bytes that is looked through for NULs and other encodings as it is read."""

    def __init__(self, stream: Any, path: str | Path) -> None:
        super().__init__()
        self._stream, self._path, self._at = stream, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        block = self._stream.read(min(len(into), PIECE))
        check_encoding(block, self._path, self._at)
        self._at += len(block)
        into[: len(block)] = block
        return len(block)


def parquet_batches(path: str | Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A Parquet file in batches of at most `BATCH_ROWS` rows.

    Raises:
        FileFaultError: while reading: the file is damaged or is something else.
    """
    with faults_of(path), pq.ParquetFile(path) as table:
        yield from table.iter_batches(batch_size=BATCH_ROWS, columns=columns)


def text_column_problem(path: str | Path, column: str) -> str | None:
    """What is wrong with a Parquet file as a source of text in a column: None where it can be read.

    Raises:
        FileFaultError: the file cannot be opened as Parquet.
    """
    with faults_of(path):
        schema = pq.read_schema(path)
    if column not in schema.names:
        return f"{path} has no column {column!r}; choose one of {', '.join(schema.names) or 'none'}"
    if not holds_text(schema.field(column).type):
        texts = [field.name for field in schema if holds_text(field.type)]
        return f"{path} has {schema.field(column).type} in column {column!r}, which is no text; " + (
            f"choose one of {', '.join(texts)}" if texts else "write it as strings"
        )
    return None


def holds_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, or bytes that may be text."""
    if pa.types.is_dictionary(kind):
        return holds_text(kind.value_type)
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_null,
        )
    )  # fmt: skip


def _parquet_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    for batch in parquet_batches(path):
        with faults_of(path):
            rows = batch.to_pylist()
        yield from rows


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of a table with at least the columns named.

    Raises:
        FileFaultError: it cannot be read, has another suffix, or a column is missing.
    """
    wanted = list(columns)
    rows = []
    for where, row in rows_of(path):
        missing = [column for column in wanted if row.get(column) is None]
        if missing:
            raise FileFaultError(
                f"{where}: column {', '.join(missing)} is missing or empty; it has {', '.join(map(str, row)) or 'none'}"
            )
        rows.append(row)
    if not rows:
        raise FileFaultError(f"{path} has no row; it needs the columns {', '.join(wanted)}")
    return rows


def _shown(line: str) -> str:
    return repr(line if len(line) < 40 else line[:40] + "…")
