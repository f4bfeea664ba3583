"""Text by language: from a prepared store, a folder of text files, or a table."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .concept_set import SHIPPED_SENTENCES, ConceptSet, text_key
from .files import TABLE_SUFFIXES


def load_text(path: str | Path) -> dict[str, list[str]]:
    """Documents or sentences per language.

    Args:
        path: a prepared store (its held-out documents), a folder of `<language>.txt` (a document a line),
            a .parquet, .csv or .jsonl table with columns `language` and `text`, or `shipped`: the sentences that come
            with the package, of all concepts and none in turn.

    Raises:
        ValueError: nothing is there, or it is in none of these forms.
    """
    path = Path(path)
    if str(path) == SHIPPED_SENTENCES:
        sentences: dict[str, set[str]] = defaultdict(set)
        for labelled in ConceptSet.load(SHIPPED_SENTENCES).rows():
            sentences[labelled.language].add(labelled.text)
        return {language: sorted(texts, key=text_key) for language, texts in sentences.items()}
    if not path.exists():
        raise ValueError(
            f"text: {path} does not exist; give a store, a folder of <language>.txt, a table, or 'shipped'"
        )
    if path.is_file():
        texts = defaultdict(list)
        for row in read_table(path, ("language", "text")):
            texts[str(row["language"])].append(str(row["text"]))
        return dict(texts)
    held_out = sorted((path / "heldout").glob("*.jsonl"))
    if held_out:
        return {file.stem: [row["text"] for row in _json_lines(file)] for file in held_out}
    files = sorted(path.glob("*.txt"))
    if not files:
        raise ValueError(f"text: {path} holds neither heldout/*.jsonl (a prepared store) nor <language>.txt")
    return {
        file.stem: [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()] for file in files
    }


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
        rows = list(_json_lines(path))
    else:
        raise ValueError(f"{path} has the suffix {path.suffix!r}: {', '.join(TABLE_SUFFIXES)} can be read")
    missing = [column for column in columns if any(row.get(column) is None for row in rows)]
    if missing or not rows:
        has = ", ".join(rows[0]) if rows else "no row"
        raise ValueError(f"{path}: column {', '.join(missing) or 'any'} is missing in some row; it has {has}")
    return rows


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())
