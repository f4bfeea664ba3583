"""Users' files: what kind one is, its bytes, lines and rows, and one clear error for whatever is wrong with it."""

from .faults import FileFaultError, faults_of, why
from .kinds import Kind, kind_of, suffixes
from .lines import lines_of, read_whole_text
from .tables import TABLE_SUFFIXES, read_table, rows_of

__all__ = [
    "TABLE_SUFFIXES",
    "FileFaultError",
    "Kind",
    "faults_of",
    "kind_of",
    "lines_of",
    "read_table",
    "read_whole_text",
    "rows_of",
    "suffixes",
    "why",
]
