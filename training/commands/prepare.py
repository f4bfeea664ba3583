"""`babelscope prepare`: text to a tokenizer and a store of token blocks."""

import json
from collections.abc import Mapping

from ..data.documents import PROBLEMS
from ..data.prepare import prepare
from ..data.store import MANIFEST
from .parsing import parsed

REASONS = {
    "invalid_utf8": "not UTF-8",
    "empty": "empty",
    "too_long": "longer than max_line_bytes",
    "malformed": "no text in column",
}


def run(arguments: list[str]) -> int:
    """The command."""
    store = prepare(**parsed("prepare", prepare, arguments))
    print(f"Prepared {store}")
    manifest = store / MANIFEST
    if manifest.exists():  # shards and tokenizers alone have none
        languages = json.loads(manifest.read_text(encoding="utf-8"))["languages"]
        print("\n".join(left_out({language: entry["problems"] for language, entry in languages.items()})))
    return 0


def left_out(problems: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Lines that say how many records of each language were left out and why; languages without any have none."""
    met = {language: counts for language, counts in problems.items() if any(counts.values())}
    if not met:
        return ["Nothing was left out"]
    reasons = [reason for reason in PROBLEMS if any(counts.get(reason) for counts in met.values())]
    rows = [["left out", *(REASONS[reason] for reason in reasons)]]
    rows += [[language, *(f"{counts.get(reason, 0):,}" for reason in reasons)] for language, counts in met.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
        for name, *cells in rows
    ]
