"""The files of concept sets: tables (Parquet, CSV, JSON lines, `datasets` folders) and ml-selfcond ones."""

import csv
import json
import logging
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..atomic import atomic_file, atomic_folder
from ..files import faults_of, kind_of, read_whole_text, rows_of, suffixes
from ..files.tables import TABLE_FORMS, TABLE_SUFFIXES, csv_rows

log = logging.getLogger(__name__)

RawRow = tuple[str | None, str, str, Any, str | None]
"""concept, language, text, label, source; checked by `ConceptSet`."""

COLUMNS = ("concept", "language", "text", "label")
Form = Literal["parquet", "csv", "jsonl", "datasets", "selfcond"]
"""What a set can be written as: a file, a folder as `datasets` saves one, or ml-selfcond's folders."""
FORMS: dict[str, Form] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
CONCEPT_LIST = "concept_list.csv"
UNSAFE = re.compile(r"[^\w.'-]|^\.")
LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
SAVED_TABLE = ("dataset_dict.json", "state.json")
"""One of them lies in every folder that `datasets` has saved."""


def tables_in(path: Path) -> list[Path]:
    """The tables of a folder that holds nothing but tables, in alphabetical order; any other path as it is."""
    if not path.is_dir() or any((path / name).exists() for name in (CONCEPT_LIST, *SAVED_TABLE)):
        return [path]
    with faults_of(path):
        return sorted(file for file in path.iterdir() if _is_table(file) and file.is_file()) or [path]


def _is_table(file: Path) -> bool:
    kind = kind_of(file)
    return kind is not None and kind.form in TABLE_FORMS


def read_rows(path: Path, language: str | None = None) -> Iterator[RawRow]:
    """Rows of the one file or folder at `path` (see `ConceptSet.load`).

    Raises:
        ValueError: nothing is there, or it is in no form that is known here.
    """
    if path.is_dir():
        yield from _folder_rows(path, language)
        return
    if not path.exists():
        raise ValueError(f"concepts: {path} does not exist; give a {suffixes(*TABLE_FORMS)} file or a folder.")
    if not _is_table(path):
        raise ValueError(
            f"concepts: {path} has the suffix {path.suffix!r}; {suffixes(*TABLE_FORMS)} or a folder can be read."
        )
    for where, row in rows_of(path):
        missing = [column for column in COLUMNS if column not in row]
        if missing:
            raise ValueError(_missing(where, missing, row))
        yield _raw(row, where)


def _missing(where: str, missing: Iterable[str], there: Iterable[str]) -> str:
    return (
        f"{where}: column {', '.join(map(repr, missing))} is missing; it has {', '.join(map(str, there)) or 'none'}. "
        f"Rename or add: {', '.join(COLUMNS)} are needed, source is optional."
    )


def table_rows(table: pa.Table, where: str) -> Iterator[RawRow]:
    """Rows of a table with the columns concept, language, text, label and optionally source."""
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise ValueError(_missing(where, missing, table.column_names))
    names = [*COLUMNS, "source"] if "source" in table.column_names else list(COLUMNS)
    for batch in table.select(names).to_batches():
        with faults_of(where):
            rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        for values in rows:
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
        value = row[column] = _or_none(row.get(column))
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{where}, column {column!r}: {value!r} is not text; write it as a string.")
    label = _or_none(row["label"])
    if isinstance(label, str):
        label = {"0": 0, "1": 1}.get(label.strip(), label)
    return row["concept"], row["language"], row["text"], label, row.get("source")


def _or_none(value: Any) -> Any:
    """NaN is how tables of numbers write that there is nothing."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _folder_rows(path: Path, language: str | None) -> Iterator[RawRow]:
    if (path / CONCEPT_LIST).exists():
        return _selfcond_rows(path, language, path)
    if any((path / name).exists() for name in SAVED_TABLE):
        return _datasets_rows(path)
    children = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    folders = [child for child in children if (child / CONCEPT_LIST).exists()]
    if not folders:
        raise ValueError(
            f"concepts: {path} holds neither {CONCEPT_LIST} (ml-selfcond), nor one such folder per language, "
            f"nor {suffixes(*TABLE_FORMS)} files, nor a saved `datasets` table (`save_to_disk`)."
        )
    others = [child.name for child in children if child not in folders]
    if others:
        raise ValueError(
            f"concepts: {path} holds {len(folders)} ml-selfcond folders ({_some(folder.name for folder in folders)}), which "
            f"would be its languages, but {_some(others)} is none; move that elsewhere, or name one ml-selfcond folder."
        )
    wrong = [folder.name for folder in folders if not (LANGUAGE_CODE.fullmatch(folder.name) or _says_so(folder))]
    if wrong:
        raise ValueError(
            f"concepts: the folders in {path} were taken for languages, but {_some(wrong)} is no language code; name them "
            "by their language (en, pt-br, zho_Hans), or name one ml-selfcond folder and its language."
        )
    log.info("%s: its folders are read as languages: %s", path, ", ".join(folder.name for folder in folders))
    return (row for folder in folders for row in _selfcond_rows(folder, folder.name, path))


def _says_so(folder: Path) -> bool:
    """Whether the files of an ml-selfcond folder are in the language that the folder is called."""
    first = next(folder.glob("*/*.json"), None)
    with faults_of(first or folder):
        content = json.loads(read_whole_text(first)) if first else None
    return isinstance(content, dict) and content.get("language") == folder.name


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def _datasets_rows(path: Path) -> Iterator[RawRow]:
    # Imported here: it takes seconds, and only this form needs it.
    from datasets import DatasetDict, load_from_disk

    with faults_of(path):
        loaded = load_from_disk(str(path))
    parts = loaded.values() if isinstance(loaded, DatasetDict) else [loaded]
    for part in parts:
        yield from table_rows(part.with_format("arrow")[:], str(path))


def _selfcond_rows(folder: Path, language: str | None, root: Path) -> Iterator[RawRow]:
    list_file = folder / CONCEPT_LIST
    entries = list(csv_rows(list_file))
    seen: dict[str, str] = {}
    nameless: list[str] = []
    for number, entry in entries:
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
        content = json.loads(read_whole_text(file))
        sentences = content["sentences"]
        halves = (1, sentences["positive"]), (0, sentences["negative"])
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError) as error:
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
        if not isinstance(texts, list):
            raise ValueError(f"{file}: its sentences are {type(texts).__name__}; write lists of strings.")
        for text in texts:
            row = {"concept": name, "language": tongue, "text": text, "label": label}
            yield _raw(row | {"source": content.get("source")}, str(file))
