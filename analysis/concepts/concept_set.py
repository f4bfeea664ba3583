"""A concept set: the sentences that show a concept and those that do not, per language.

The table form has the columns `concept`, `language`, `text`, `label` (1 or 0) and optionally `source`. A
label-0 row that names a concept is a negative of that concept alone; one whose concept is null or empty is
shared by every concept of its language; a concept that has neither in a language is set against the
positives of all other concepts of that language.
"""

import hashlib
import logging
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa

from ..files.visible import has_text
from . import files as concept_files
from .lexicon import SHIPPED

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        ("concept", pa.string()),
        ("language", pa.string()),
        ("text", pa.string()),
        ("label", pa.int8()),
        ("source", pa.string()),
    ]
)

SHIPPED_SENTENCES = "shipped"
"""Name, in place of a path, of the sentences that come with the package: 24 concepts in 16 languages."""


class Row(NamedTuple):
    """One labelled sentence; `concept` is None for a negative that all concepts of its language share."""

    concept: str | None
    language: str
    text: str
    label: int
    source: str | None = None


def text_key(text: str) -> bytes:
    """Hash that orders sentences: it depends on the text alone, not on the alphabet or a file's order."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class ConceptSet:
    """Labelled sentences per concept and language, without duplicates, ordered by their content alone.

    Texts are NFC-normalised and stripped. Sentences come in the order of a hash of their text, so that two
    files with the same content give the same halves whatever their row order, and no half is the first half
    of the alphabet.

    Args:
        rows: the sentences. Where one is both positive and negative for a concept, the positive stands.
        where: what to call the rows in errors, a file as a rule.

    Raises:
        ValueError: a value is missing or wrong (row, column, value and remedy are named), or there are no
            rows.
    """

    def __init__(self, rows: Iterable[Row], where: str = "concept set") -> None:
        sources: dict[tuple[str | None, str, str, int], str | None] = {}
        for number, row in enumerate(rows, start=1):
            concept, language, text, label, source = _checked(row, f"{where}, row {number}")
            key = (concept, language, text, label)
            known = sources.get(key)
            # Of duplicates the smallest source stays, so that the row order does not matter.
            sources[key] = source if known is None else min(known, source or known)
        if not sources:
            raise ValueError(f"{where}: there are no sentences in it; give at least one row with label 1.")

        grouped: dict[tuple[str | None, str, int], list[str]] = defaultdict(list)
        contradictions = 0
        for concept, language, text, label in sources:
            if label == 0 and concept is not None and (concept, language, text, 1) in sources:
                contradictions += 1
                continue
            grouped[concept, language, label].append(text)
        if contradictions:
            log.warning(
                "%s: %d sentences are labelled 1 and 0 for the same concept; they count as positives only.",
                where,
                contradictions,
            )
        self._texts = {key: tuple(sorted(texts, key=text_key)) for key, texts in grouped.items()}
        self._sources = {key: source for key, source in sources.items() if source is not None}
        self.concepts: tuple[str, ...] = tuple(sorted({c for c, _, _ in self._texts if c is not None}))
        self.languages: tuple[str, ...] = tuple(sorted({language for _, language, _ in self._texts}))

    @classmethod
    def load(cls, path: str | Path, language: str | None = None) -> Self:
        """Read a table (`.parquet`, `.csv`, `.jsonl`, a `datasets` folder), a folder of tables, or ml-selfcond folders.

        An ml-selfcond folder holds `concept_list.csv` (`group,concept`) and `<group>/<concept>.json`; a
        folder of such folders, named by language, is read as a multilingual set.

        Args:
            path: the file or folder, or `shipped` for the sentences that come with the package.
            language: the language of a single ml-selfcond folder; without it, what the files say, or else
                `en` with a warning.

        Raises:
            ValueError: nothing is there, the form is unknown, a column is missing or a value is wrong.
        """
        place = SHIPPED.with_name("sentences") if str(path) == SHIPPED_SENTENCES else Path(path)
        return cls(_rows_of(concept_files.tables_in(place), language), where=str(path))

    @classmethod
    def from_table(cls, table: pa.Table, where: str = "table") -> Self:
        """Build a set from a table with the columns concept, language, text, label and optionally source."""
        return cls((Row(*row) for row in concept_files.table_rows(table, where)), where=where)

    def positives(self, concept: str, language: str) -> list[str]:
        """Sentences that show the concept; empty when the set has none in this language."""
        self._known(concept, language)
        return list(self._texts.get((concept, language, 1), ()))

    def negatives(self, concept: str, language: str) -> list[str]:
        """Sentences that do not: its own and the shared ones, or else the other concepts' positives."""
        self._known(concept, language)
        own = self._texts.get((concept, language, 0), ())
        shared = self._texts.get((None, language, 0), ())
        pool = {*own, *shared}
        if not pool:
            others = (other for other in self.concepts if other != concept)
            pool = {text for other in others for text in self._texts.get((other, language, 1), ())}
        return sorted(pool.difference(self._texts.get((concept, language, 1), ())), key=text_key)

    def shared_negatives(self, language: str) -> list[str]:
        """The label-0 sentences of a language that belong to no concept in particular."""
        return list(self._texts.get((None, language, 0), ()))

    def rows(self) -> list[Row]:
        """All rows, by language, concept (shared negatives last), positives first, then by text hash."""
        keys = sorted(self._texts, key=lambda key: (key[1], key[0] is None, key[0] or "", -key[2]))
        return [
            Row(concept, language, text, label, self._sources.get((concept, language, text, label)))
            for concept, language, label in keys
            for text in self._texts[concept, language, label]
        ]

    def to_table(self) -> pa.Table:
        """The rows as an Arrow table with the columns of `SCHEMA`."""
        columns = zip(*self.rows(), strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def save(self, path: str | Path, form: concept_files.Form | None = None) -> None:
        """Write the set in a form, by default the one that the suffix says, without one ml-selfcond's folders.

        The write is whole or absent. ml-selfcond knows no shared negatives: each file gets its full list.

        Args:
            path: `.parquet`, `.csv`, `.jsonl`, or the name of a new folder.
            form: `parquet`, `csv`, `jsonl`, `datasets` (a folder as `save_to_disk` writes it) or `selfcond` (one
                folder per language).

        Raises:
            ValueError: an unknown suffix, an existing folder, or two concepts with the same file name.
        """
        path = Path(path)
        if form != "selfcond" and (form or path.suffix):
            concept_files.write_table(self.to_table(), path, form)
            return
        filled = [(c, language) for language in self.languages for c in self.concepts if self.positives(c, language)]
        concept_files.write_selfcond(
            ((c, language, self.positives(c, language), self.negatives(c, language)) for c, language in filled),
            path,
        )

    def subset(self, concepts: Iterable[str] | None = None, languages: Iterable[str] | None = None) -> Self:
        """The same sentences for some concepts and languages only.

        Negatives stay what they were: a concept that was set against the positives of concepts now left out
        keeps those sentences as its own negatives.

        Raises:
            ValueError: a concept or language that the set does not have, or nothing is left.
        """
        kept = self.concepts if concepts is None else tuple(concepts)
        spoken = self.languages if languages is None else tuple(languages)
        for concept in kept:
            self._known(concept, self.languages[0])
        for language in spoken:
            self._known(None, language)
        rows = [row for row in self.rows() if row.language in spoken and (row.concept is None or row.concept in kept)]
        if set(kept) != set(self.concepts):
            for language in spoken:
                for concept in kept:
                    if not self._texts.get((concept, language, 0)) and not self.shared_negatives(language):
                        rows += [Row(concept, language, text, 0) for text in self.negatives(concept, language)]
        return type(self)(rows, where="subset")

    def fingerprint(self) -> str:
        """Hash (32 hex digits) of concepts, languages, labels and texts; not of row order and sources."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self.rows():
            for value in (row.concept or "", row.language, str(row.label), row.text):
                data = value.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConceptSet) and self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __repr__(self) -> str:
        count = sum(len(texts) for texts in self._texts.values())
        return f"ConceptSet({len(self.concepts)} concepts, {len(self.languages)} languages, {count} sentences)"

    def _known(self, concept: str | None, language: str) -> None:
        for name, value, known in (
            ("concept", concept, self.concepts),
            ("language", language, self.languages),
        ):
            if value is not None and value not in known:
                raise ValueError(f"{name} {value!r} is not in this concept set; it has {', '.join(known) or 'none'}.")


def _rows_of(paths: Iterable[Path], language: str | None) -> Iterator[Row]:
    """Rows of several files, checked here so that an error names the file and the row in it.

    A row without a sentence or a label, as tables write with NaN, is left out and counted.
    """
    for path in paths:
        empty = 0
        for number, row in enumerate(concept_files.read_rows(path, language), start=1):
            if not has_text(row[2] or "") or row[3] is None or row[3] == "":
                empty += 1
            else:
                yield _checked(Row(*row), f"{path}, row {number}")
        if empty:
            log.warning("%s: %d rows have no sentence or no label (NaN or empty) and are left out.", path, empty)


def _checked(row: Row, where: str) -> Row:
    concept = (row.concept or "").strip() or None
    language, text = (row.language or "").strip(), unicodedata.normalize("NFC", row.text or "").strip()
    for column, value in (("language", language), ("text", text)):
        if not value:
            raise ValueError(f"{where}, column {column!r}: it is empty; fill it in or leave the row out.")
    if row.label not in (0, 1):
        raise ValueError(f"{where}, column 'label': {row.label!r} is neither 1 (shows the concept) nor 0 (does not).")
    if concept is None and row.label == 1:
        raise ValueError(
            f"{where}, column 'concept': it is empty with label 1; name the concept that the sentence shows."
        )
    return Row(concept, language, text, int(row.label), row.source or None)
