"""Where tests find the project's own files, and real text beside the checkout where somebody has put it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
CORPUS = ROOT.parent / "shared" / "corpus"
"""A text file per language; tests that read it are skipped where it is absent."""
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="real text: no folder shared/corpus beside the checkout (one text file per language)"
)
