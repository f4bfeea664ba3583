"""The records of a file or a hub dataset that one process reads for all: raw bytes, in groups of some size."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import datasets
import pyarrow as pa

from ...analysis.files.faults import FileFaultError, faults_of
from ...analysis.files.kinds import Kind
from ...analysis.files.lines import raw_lines
from ...analysis.files.tables import csv_rows, holds_text, parquet_batches
from ..errors import ConfigError, first_line
from .documents import Reading

Records = Iterator[bytes | None]
"""None for a record that was too long to be read at all."""


def file_records(path: str, kind: Kind, column: str, reading: Reading, blank_line: bool) -> Records:
    """The records of a file as `Reading` takes them: lines, paragraphs, or the values of a column.

    Raises:
        FileFaultError: while reading, whatever is wrong with the file.
    """
    if kind.form == "parquet":
        for batch in parquet_batches(path, [column]):
            with faults_of(path):
                found = as_bytes(pa.chunked_array([batch.column(column)]))
            yield from found
    elif kind.form in ("csv", "tsv"):
        for line, row in csv_rows(path, errors="surrogateescape"):
            if column not in row:
                raise FileFaultError(f"{path}, line {line}: no column {column!r}; it has {', '.join(row)}: set column")
            yield (row[column] or "").encode("utf-8", "surrogateescape")
    elif blank_line:
        yield from _paragraphs(raw_lines(path, reading.max_raw_bytes), reading.max_raw_bytes)
    else:
        yield from raw_lines(path, reading.max_raw_bytes)


def _paragraphs(lines: Records, max_bytes: int) -> Records:
    """Lines between blank ones as one record."""
    held: list[bytes] = []
    size, too_long = 0, False
    for line in chain(lines, [b""]):
        if line is not None and not line.strip():
            if held or too_long:
                yield None if too_long else b"\n".join(held)
            held, size, too_long = [], 0, False
            continue
        size += len(line or b"")
        too_long = too_long or line is None or size > max_bytes
        if too_long:
            held = []
        else:
            held.append(line or b"")


def hub_records(
    label: str, path: str, name: str | None, split: str, revision: str | None, streaming: bool, column: str, rows: int
) -> Records:
    """The records of a dataset on the hub.

    Raises:
        ConfigError: it cannot be opened, or has no such column of text.
        FileFaultError: while reading, whatever the library meets.
    """
    try:
        data = datasets.load_dataset(path, name, split=split, revision=revision, streaming=streaming)
    except _hub_errors() as error:
        raise ConfigError(
            [f"sources: {label} cannot be opened on the hub ({first_line(error)}); {_remedy(error)}"]
        ) from error
    known = data.column_names
    if known is not None and column not in known:
        raise ConfigError([f"{label} has no column {column!r}; set column to one of {', '.join(known)}"])
    tables = iter(data.select_columns([column]).with_format("arrow").iter(batch_size=rows))
    while True:
        try:
            table = next(tables, None)
            if table is None:
                return
            if not holds_text(table.column(column).type):
                raise ConfigError(
                    [f"{label} has {table.column(column).type} in column {column!r}; name a column of text"]
                )
            found = as_bytes(table.column(column))
        except ConfigError:
            raise
        except _hub_errors() as error:
            raise FileFaultError(
                f"{label} broke off while it was read ({first_line(error)}); {_remedy(error)}"
            ) from error
        yield from found


def _hub_errors() -> tuple[type[Exception], ...]:
    """What `datasets` raises for a set that cannot be had: errors of nearly every kind, the HTTP client's among them."""
    from huggingface_hub.errors import HfHubHTTPError

    client = HfHubHTTPError.__bases__[0]
    kinds = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ImportError, pa.ArrowException)
    return (client, datasets.exceptions.DatasetsError, *kinds)


def _remedy(error: BaseException) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ConnectionError", "OfflineModeIsEnabled", "TimeoutError", "ConnectError", "TransportError"}:
        return "there is no way to the hub: check the network and HF_HUB_OFFLINE, or name local files"
    if "GatedRepoError" in kinds:
        return "ask for access on its page and log in with hf auth login"
    return "check path, name, split and revision, or name local files"


def as_bytes(column: pa.ChunkedArray) -> list[bytes | None]:
    """Text as bytes, undecoded, since a table may hold invalid UTF-8; null counts as an empty record."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return [b"" if record is None else record for record in column.cast(pa.large_binary()).to_pylist()]


def grouped(records: Iterable[bytes | None], size: int, rows: int) -> Iterator[list[Any]]:
    """Records in groups of about `size` bytes and at most `rows`."""
    group: list[bytes | None] = []
    filled = 0
    for record in records:
        group.append(record)
        filled += len(record or b"")
        if filled >= size or len(group) >= rows:
            yield group
            group, filled = [], 0
    if group:
        yield group
