"""Tables of text: Parquet, CSV and JSON lines, told apart by their suffix."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

TABLE_SUFFIXES = (".parquet", ".csv", ".jsonl")


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of a .parquet, .csv or .jsonl table with at least the columns named.

    Raises:
        ValueError: another suffix, or a column is missing.
    """
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    elif path.suffix == ".jsonl":
        rows = list(json_lines(path))
    else:
        raise ValueError(f"{path} has the suffix {path.suffix!r}: {', '.join(TABLE_SUFFIXES)} can be read")
    missing = [column for column in columns if any(row.get(column) is None for row in rows)]
    if missing or not rows:
        has = ", ".join(rows[0]) if rows else "no row"
        raise ValueError(f"{path}: column {', '.join(missing) or 'any'} is missing in some row; it has {has}")
    return rows


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """One mapping a line; empty lines are passed over."""
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())
