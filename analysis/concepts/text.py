"""Text by language: from a prepared store, a folder of text files, or a table."""

from collections import defaultdict
from pathlib import Path

from ..files import kind_of, lines_of, read_table
from .concept_set import SHIPPED_SENTENCES, ConceptSet, text_key


def load_text(path: str | Path) -> dict[str, list[str]]:
    """Documents or sentences per language.

    Args:
        path: a prepared store (its held-out documents), a folder of `<language>.txt` (a document a line), a
            .parquet, .csv, .tsv or .jsonl table with columns `language` and `text`, each but Parquet also compressed,
            or `shipped`: the sentences that come with the package, of all concepts and none in turn.

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
    if not path.is_dir():
        texts = defaultdict(list)
        for row in read_table(path, ("language", "text")):
            texts[str(row["language"])].append(str(row["text"]))
        return dict(texts)
    held_out = sorted((path / "heldout").glob("*.jsonl"))
    if held_out:
        return {file.stem: [str(row["text"]) for row in read_table(file, ("text",))] for file in held_out}
    kinds = {file: kind_of(file) for file in sorted(path.iterdir()) if not file.is_dir()}
    files = [file for file, kind in kinds.items() if kind is not None and kind.form == "txt"]
    if not files:
        raise ValueError(f"text: {path} holds neither heldout/*.jsonl (a prepared store) nor <language>.txt")
    return {file.name[: file.name.lower().index(".txt")]: [line for _, line in lines_of(file)] for file in files}
