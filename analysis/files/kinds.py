"""What a file is by its name: a form, and how it is packed; in any case of letters."""

from pathlib import Path
from typing import NamedTuple

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_FORMS = {".txt": "txt", ".jsonl": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "tsv"}
"""Many corpora call JSON lines .json."""


class Kind(NamedTuple):
    """The form of a file, and the suffix of its compression, if any."""

    form: str
    """txt, jsonl, csv, tsv or parquet."""
    compression: str | None = None


def kind_of(path: str | Path) -> Kind | None:
    """What a file is by the end of its name; None for what cannot be read here."""
    name = Path(path).name.lower()
    if name.endswith(".parquet"):
        return Kind("parquet")
    packed = next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), None)
    form = _FORMS.get(Path(name.removesuffix(packed or "")).suffix)
    return Kind(form, packed) if form else None


def suffixes(*forms: str) -> str:
    """How messages list the names that files of these forms have."""
    names = ", ".join(f".{form}" for form in forms if form != "parquet")
    return f"{names} (also {', '.join(COMPRESSIONS)})" + (" or .parquet" if "parquet" in forms else "")
