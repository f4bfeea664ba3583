"""What an analysis found: tidy rows, named arrays, and how they lie on disk.

A results file is written to a temporary name and renamed: it is whole or absent, and a second run of the same step
replaces it. Rows are Parquet, arrays safetensors beside them, texts to be read JSON lines. Digests tell later whether a
file still is what was written (`integrity`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open
from safetensors.numpy import save_file

from .atomic import atomic_file
from .integrity import DamagedResultsError, damage_set_aside, read_meta, read_whole, stamped

ROW_SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("tokens", pa.int64()),
        ("analysis", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("layer", pa.int32()),
        ("site", pa.string()),
        ("language", pa.string()),
        ("other_language", pa.string()),
        ("concept", pa.string()),
        ("seed", pa.int32()),
    ]
)
"""One measurement a row; what does not apply is null."""

UNCLEAR = "unclear"
"""In place of a language: a text that is in none of those known, or not clearly in one."""

Row = Mapping[str, Any]
Read = TypeVar("Read")
_ROW_KEYS = frozenset(ROW_SCHEMA.names) - {"step", "tokens", "analysis"}


@dataclass(frozen=True)
class Findings:
    """The result of one analysis of one model.

    Attributes:
        analysis: name of the analysis, also the folder of its results.
        step: optimizer step of the checkpoint.
        table: rows with the columns of `ROW_SCHEMA`.
        arrays: named numpy arrays, for what is too large for rows.
        settings: what the numbers depend on besides weights and data, JSON-serialisable.
        warnings: what was left out or done differently, in words.
        texts: what a model wrote, one JSON-serialisable mapping a text.
    """

    analysis: str
    step: int
    table: pa.Table
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    texts: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_rows(
        cls,
        analysis: str,
        step: int,
        rows: Iterable[Row],
        *,
        arrays: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, Any] | None = None,
        warnings: Iterable[str] = (),
        texts: Iterable[Mapping[str, Any]] = (),
    ) -> "Findings":
        """Build findings from mappings with `metric`, `value` and any of the optional columns.

        Raises:
            ValueError: a row has a column that `ROW_SCHEMA` lacks.
        """
        rows = list(rows)
        unknown = {key for row in rows for key in row} - _ROW_KEYS
        if unknown:
            raise ValueError(f"row columns {sorted(unknown)} are unknown: choose from {sorted(_ROW_KEYS)}")
        columns = {name: [row.get(name) for row in rows] for name in ROW_SCHEMA.names}
        columns["step"] = [step] * len(rows)
        columns["analysis"] = [analysis] * len(rows)
        table = pa.table(columns, schema=ROW_SCHEMA)
        return cls(analysis, step, table, dict(arrays or {}), dict(settings or {}), tuple(warnings), tuple(texts))

    def with_tokens(self, tokens: int | None) -> "Findings":
        """The same findings, with the number of training tokens seen filled into every row."""
        return self.with_columns(tokens=[tokens] * self.table.num_rows)

    def with_columns(self, **columns: list[Any]) -> "Findings":
        """The same findings with some columns replaced, for rows that carry steps of their own."""
        table = self.table
        for name, values in columns.items():
            field_ = ROW_SCHEMA.field(name)
            table = table.set_column(table.schema.get_field_index(name), field_, pa.array(values, field_.type))
        return replace(self, table=table)


def findings_path(results: str | Path, analysis: str, step: int) -> Path:
    """Where the rows of an analysis at a step lie below a results folder."""
    return Path(results) / analysis / f"step_{step:08d}.parquet"


def write_findings(findings: Findings, results: str | Path) -> Path:
    """Write rows, arrays and texts below `results`, each whole or not at all; returns the path of the rows.

    The rows come last: where they are, the rest is as well.
    """
    path = findings_path(results, findings.analysis, findings.step)
    meta = json.dumps({"settings": dict(findings.settings), "warnings": list(findings.warnings)}, sort_keys=True)
    arrays_path = path.with_suffix(".safetensors")
    if findings.arrays:
        arrays = {name: np.ascontiguousarray(array) for name, array in findings.arrays.items()}
        with atomic_file(arrays_path) as temporary:
            save_file(arrays, temporary)  # nothing but arrays: rows written anew keep the digest of theirs
    else:
        arrays_path.unlink(missing_ok=True)
    texts_path = path.with_suffix(".texts.jsonl")
    if findings.texts:
        lines = (json.dumps(dict(text), ensure_ascii=False) + "\n" for text in findings.texts)
        with (
            atomic_file(texts_path) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.writelines(lines)
    else:
        texts_path.unlink(missing_ok=True)
    with atomic_file(path) as temporary:
        pq.write_table(stamped(findings.table, meta, path), temporary)
    return path


def read_findings(results: str | Path, analysis: str, step: int) -> Findings:
    """Read what `write_findings` wrote.

    Raises:
        FileNotFoundError: there is no such result.
        DamagedResultsError: its files are not what was written; they have been set aside.
    """
    path = findings_path(results, analysis, step)
    table, meta = read_whole(path)
    with damage_set_aside(path):
        arrays: dict[str, np.ndarray] = {}
        arrays_path = path.with_suffix(".safetensors")
        if arrays_path.exists():
            with safe_open(arrays_path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        settings, warnings = meta.get("settings", {}), tuple(meta.get("warnings", ()))
        return Findings(analysis, step, table, arrays, settings, warnings, _texts(path))


def has_findings(results: str | Path, analysis: str, step: int) -> bool:
    """Whether an analysis has results at a step, and they are whole; damaged ones are set aside."""
    path = findings_path(results, analysis, step)
    if not path.exists():
        return False
    try:
        read_whole(path)
    except DamagedResultsError:
        return False
    return True


def find_findings(results: str | Path, analysis: str, step: int) -> Findings | None:
    """As `read_findings`; None where there are none, or damaged ones, which are set aside with a warning."""
    with suppress(DamagedResultsError, FileNotFoundError):
        return read_findings(results, analysis, step)
    return None


def read_texts(results: str | Path, analysis: str, step: int) -> tuple[dict[str, Any], ...]:
    """The texts of an analysis at a step; none if it has none."""
    return _texts(findings_path(results, analysis, step))


def _texts(path: Path) -> tuple[dict[str, Any], ...]:
    path = path.with_suffix(".texts.jsonl")
    if not path.exists():
        return ()
    with path.open(encoding="utf-8") as file:
        return tuple(json.loads(line) for line in file)


def result_steps(results: str | Path, analysis: str) -> list[int]:
    """Steps at which an analysis has results, ascending."""
    folder = Path(results) / analysis
    return sorted(int(path.stem.removeprefix("step_")) for path in folder.glob("step_*.parquet"))


def read_series(results: str | Path, analysis: str) -> dict[int, Findings]:
    """All findings of an analysis by step, ascending; damaged ones are set aside, with a warning."""
    found = ((step, find_findings(results, analysis, step)) for step in result_steps(results, analysis))
    return {step: findings for step, findings in found if findings is not None}


def read_rows(results: str | Path, analysis: str | None = None, companions: bool = True) -> pa.Table:
    """All rows below a results folder, ordered by analysis and step; an empty table if there are none.

    Files that are damaged are set aside, with a warning, and the rest is read.

    Args:
        analysis: rows of this one only.
        companions: whether arrays and texts beside the rows have to be whole too.
    """
    read = partial(read_whole, companions=companions)
    tables = [table.cast(ROW_SCHEMA) for _, (table, _) in _all(results, read, analysis or "*")]
    return pa.concat_tables(tables) if tables else ROW_SCHEMA.empty_table()


def read_warnings(results: str | Path) -> dict[tuple[str, int], tuple[str, ...]]:
    """Warnings recorded below a results folder, by (analysis, step); only those that have any."""
    found = {}
    for path, meta in _all(results, read_meta):
        if meta.get("warnings"):
            found[path.parent.name, int(path.stem.removeprefix("step_"))] = tuple(meta["warnings"])
    return found


def _all(results: str | Path, read: Callable[[Path], Read], analysis: str = "*") -> Iterator[tuple[Path, Read]]:
    """Each file of rows with what `read` gives; those that are damaged, or gone by then, are passed over."""
    for path in sorted(Path(results).glob(f"{analysis}/step_*.parquet")):
        with suppress(DamagedResultsError, FileNotFoundError):  # told where it was found; another may have set it aside
            yield path, read(path)
