"""Text by language: from a prepared store, a folder of text files, or a table."""

from collections import defaultdict
from pathlib import Path

from ..tables import json_lines, read_table
from .concept_set import SHIPPED_SENTENCES, ConceptSet, text_key


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
        return {file.stem: [row["text"] for row in json_lines(file)] for file in held_out}
    files = sorted(path.glob("*.txt"))
    if not files:
        raise ValueError(f"text: {path} holds neither heldout/*.jsonl (a prepared store) nor <language>.txt")
    return {
        file.stem: [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()] for file in files
    }
