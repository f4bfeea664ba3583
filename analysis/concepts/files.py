"""The files of concept sets: tables (Parquet, CSV, JSON lines, `datasets` folders) and ml-selfcond ones."""

import csv
import json
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..atomic import atomic_file, atomic_folder
from ..tables import TABLE_SUFFIXES

log = logging.getLogger(__name__)

RawRow = tuple[str | None, str, str, Any, str | None]
"""concept, language, text, label, source; checked by `ConceptSet`."""

COLUMNS = ("concept", "language", "text", "label")
Form = Literal["parquet", "csv", "jsonl", "datasets", "selfcond"]
"""What a set can be written as: a file, a folder as `datasets` saves one, or ml-selfcond's folders."""
FORMS: dict[str, Form] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
CONCEPT_LIST = "concept_list.csv"
UNSAFE = re.compile(r"[^\w.'-]|^\.")
SAVED_TABLE = ("dataset_dict.json", "state.json")
"""One of them lies in every folder that `datasets` has saved."""


def tables_in(path: Path) -> list[Path]:
    """The tables of a folder that holds nothing but tables, in alphabetical order; any other path as it is."""
    if not path.is_dir() or any((path / name).exists() for name in (CONCEPT_LIST, *SAVED_TABLE)):
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in TABLE_SUFFIXES and file.is_file()) or [path]


def read_rows(path: Path, language: str | None = None) -> Iterator[RawRow]:
    """Rows of the one file or folder at `path` (see `ConceptSet.load`).

    Raises:
        ValueError: nothing is there, or it is in no form that is known here.
    """
    if not path.exists():
        raise ValueError(f"concepts: {path} does not exist; give a {', '.join(TABLE_SUFFIXES)} file or a folder.")
    if path.is_dir():
        return _folder_rows(path, language)
    if path.suffix == ".parquet":
        return table_rows(_opened(path, pa.parquet.read_table), str(path))
    if path.suffix == ".csv":
        return table_rows(_opened(path, _read_csv), str(path))
    if path.suffix == ".jsonl":
        return _jsonl_rows(path)
    raise ValueError(
        f"concepts: {path} has the suffix {path.suffix!r}; {', '.join(TABLE_SUFFIXES)} or a folder can be read."
    )


def table_rows(table: pa.Table, where: str) -> Iterator[RawRow]:
    """Rows of a table with the columns concept, language, text, label and optionally source."""
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise ValueError(
            f"{where}: column {', '.join(map(repr, missing))} is missing; "
            f"it has {', '.join(table.column_names) or 'none'}. "
            f"Rename or add: {', '.join(COLUMNS)} are needed, source is optional."
        )
    names = [*COLUMNS, "source"] if "source" in table.column_names else list(COLUMNS)
    for batch in table.select(names).to_batches():
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _raw(dict(zip(names, values, strict=True)), where)


def write_table(table: pa.Table, path: Path, form: Form | None = None) -> None:
    """Write a table in a form, by default the one that the suffix says, to a temporary name first.

    Raises:
        ValueError: no form, and a suffix other than .parquet, .csv or .jsonl; for `datasets`, `path` exists.
    """
    form = form or FORMS.get(path.suffix)
    if form == "datasets":
        _write_dataset(table, path)
        return
    if form is None:
        raise ValueError(
            f"concepts: cannot write {path} (suffix {path.suffix!r}); use {', '.join(TABLE_SUFFIXES)} or a folder name."
        )
    with atomic_file(path) as temporary:
        if form == "parquet":
            pa.parquet.write_table(table, temporary)
        elif form == "csv":
            pa.csv.write_csv(table, temporary)
        else:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(lines)


def _write_dataset(table: pa.Table, path: Path) -> None:
    # Imported here: it takes seconds, and only this form needs it.
    from datasets import Dataset

    if path.exists():
        raise ValueError(f"concepts: {path} exists already; remove it or choose another folder.")
    with atomic_folder(path) as temporary:
        Dataset(table).save_to_disk(str(temporary))


def write_selfcond(entries: Iterable[tuple[str, str, list[str], list[str]]], path: Path) -> None:
    """Write (concept, language, positives, negatives) as an ml-selfcond folder `path/<language>` each.

    Files and the list of concepts have `file_name`, the contents the concept's own name.

    Raises:
        ValueError: `path` exists, or two concepts' names would be the same file.
    """
    if path.exists():
        raise ValueError(f"concepts: {path} exists already; remove it or choose another folder.")
    names: dict[str, str] = {}
    with atomic_folder(path) as temporary:
        for concept, language, positives, negatives in entries:
            name = file_name(concept)
            if names.setdefault(name, concept) != concept:
                raise ValueError(
                    f"concepts {names[name]!r} and {concept!r} would both be the file {name!r}; rename one or save to a "
                    ".parquet file."
                )
            sense = temporary / language / "sense"
            if not sense.exists():
                sense.mkdir(parents=True)
                (temporary / language / CONCEPT_LIST).write_text("group,concept\n", encoding="utf-8")
            with (temporary / language / CONCEPT_LIST).open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(["sense", name])
            content = {
                "concept": concept,
                "group": "sense",
                "source": "babelscope",
                "language": language,
                "sentences": {"positive": positives, "negative": negatives},
            }
            (sense / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def file_name(concept: str) -> str:
    """A concept's name as every file system takes it, sense keys as ml-selfcond has them: `house-1_06_00__`."""
    return UNSAFE.sub("_", concept.replace("%", "-"))


def _raw(row: dict[str, Any], where: str) -> RawRow:
    for column in ("concept", "language", "text", "source"):
        value = row.get(column)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{where}, column {column!r}: {value!r} is not text; write it as a string.")
    label = row["label"]
    if isinstance(label, str):
        label = {"0": 0, "1": 1}.get(label.strip(), label)
    return row["concept"], row["language"], row["text"], label, row.get("source")


def _opened(path: Path, read: Any) -> pa.Table:
    try:
        return read(path)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise ValueError(f"concepts: {path} cannot be read as {path.suffix}: {error}") from error


def _read_csv(path: Path) -> pa.Table:
    # Everything is text: Arrow's own guesses would read a concept "nan" or "null" as missing.
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=False
        ),
    )


def _jsonl_rows(path: Path) -> Iterator[RawRow]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error}); write one object a line.") from error
            missing = [column for column in COLUMNS if column not in row]
            if missing:
                raise ValueError(f"{path}, line {number}: column {', '.join(map(repr, missing))} is missing.")
            yield _raw(row, f"{path}, line {number}")


def _folder_rows(path: Path, language: str | None) -> Iterator[RawRow]:
    if (path / CONCEPT_LIST).exists():
        return _selfcond_rows(path, language, path)
    if any((path / name).exists() for name in SAVED_TABLE):
        return _datasets_rows(path)
    folders = sorted(child for child in path.iterdir() if (child / CONCEPT_LIST).exists())
    if not folders:
        raise ValueError(
            f"concepts: {path} holds neither {CONCEPT_LIST} (ml-selfcond), nor one such folder per language, "
            f"nor {', '.join(TABLE_SUFFIXES)} files, nor a saved `datasets` table (`save_to_disk`)."
        )
    return (row for folder in folders for row in _selfcond_rows(folder, folder.name, path))


def _datasets_rows(path: Path) -> Iterator[RawRow]:
    # Imported here: it takes seconds, and only this form needs it.
    from datasets import DatasetDict, load_from_disk

    loaded = load_from_disk(str(path))
    parts = loaded.values() if isinstance(loaded, DatasetDict) else [loaded]
    for part in parts:
        yield from table_rows(part.with_format("arrow")[:], str(path))


def _selfcond_rows(folder: Path, language: str | None, root: Path) -> Iterator[RawRow]:
    list_file = folder / CONCEPT_LIST
    with list_file.open(encoding="utf-8-sig", newline="") as file:
        entries = list(csv.DictReader(file))
    seen: dict[str, str] = {}
    nameless: list[str] = []
    for number, entry in enumerate(entries, start=2):
        group, name = (entry.get("group") or "").strip(), (entry.get("concept") or "").strip()
        if not group or not name:
            raise ValueError(f"{list_file}, line {number}: it needs the columns 'group' and 'concept', both filled in.")
        if name in seen:
            raise ValueError(
                f"{list_file}, line {number}: concept {name!r} stands in group {seen[name]!r} "
                f"and in {group!r}; keep one."
            )
        seen[name] = group
        yield from _sense_rows(folder / group / f"{name}.json", name, language, nameless)
    if nameless:
        log.warning(
            "%s: no language is given for %d of its concepts, so they are read as English (the language of "
            "ml-selfcond's own data).",
            root,
            len(nameless),
        )


def _sense_rows(file: Path, name: str, language: str | None, nameless: list[str]) -> Iterator[RawRow]:
    """Rows of one concept; where neither the caller nor the file names a language, its name joins `nameless`."""
    if not file.exists():
        raise ValueError(f"{file} does not exist, but {CONCEPT_LIST} names it; add the file or strike the line.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        sentences = content["sentences"]
        halves = (1, sentences["positive"]), (0, sentences["negative"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file}: not an ml-selfcond concept ({error!r}); "
            f'it needs {{"sentences": {{"positive": [...], "negative": [...]}}}}.'
        ) from error
    tongue = language or content.get("language")
    if tongue is None:
        tongue = "en"
        nameless.append(name)
    whole = content.get("concept")
    if isinstance(whole, str) and file_name(whole) == name:
        name = whole
    for label, texts in halves:
        for text in texts:
            row = {"concept": name, "language": tongue, "text": text, "label": label}
            yield _raw(row | {"source": content.get("source")}, str(file))
