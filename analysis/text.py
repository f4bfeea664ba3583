"""Text by language: from a prepared store, a folder of text files, or a table."""

import json
from pathlib import Path


def load_text(path: str | Path) -> dict[str, list[str]]:
    """Documents or sentences per language."""
    folder = Path(path) / "heldout"
    return {
        file.stem: [json.loads(line)["text"] for line in file.open(encoding="utf-8")]
        for file in sorted(folder.glob("*.jsonl"))
    }
