"""Token blocks on disk, read straight from the memory map: `TokenStore` and its `Blocks`."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np

MANIFEST = "manifest.json"
FORMAT = 1


class TokenStore:
    """What `babelscope prepare` wrote.

    Raises:
        ValueError: if the folder is no finished store, with what to do about it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        file = self.path / MANIFEST
        if not self.path.is_dir():
            raise ValueError(f"there is no token store {self.path}; write it with babelscope prepare")
        if not file.exists():
            raise ValueError(
                f"{self.path} has no {MANIFEST}: it is no token store, or its preparation has not finished; run "
                "babelscope prepare with the same configuration again (after --shard runs, with --merge true)"
            )
        self.manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if self.manifest.get("format") != FORMAT:
            raise ValueError(
                f"{file} has format {self.manifest.get('format')!r}, this version reads format {FORMAT}; prepare "
                "the store again"
            )
        self.languages: tuple[str, ...] = tuple(self.manifest["languages"])
        self.block_length: int = self.manifest["block_length"]
        self.vocab_size: int = self.manifest["tokenizer"]["vocab_size"]
        self.tokenizer_path = self.path / "tokenizer"

    def blocks(self, language: str, split: str = "train") -> "Blocks":
        """The blocks of a language and split, "train" or "validation"."""
        self._split(language, split)
        return Blocks(self.path / "blocks" / language / split)

    def bytes_per_token(self, language: str, split: str = "validation") -> float:
        """UTF-8 bytes of the documents by their tokens, the `</s>` before each among them."""
        counts = self._split(language, split)
        return counts["bytes"] / counts["tokens"]

    def heldout(self, language: str) -> list[str]:
        """Validation documents as text, none twice."""
        self._language(language)
        with open(self.path / "heldout" / f"{language}.jsonl", encoding="utf-8") as stream:
            return [json.loads(line)["text"] for line in stream]

    def _language(self, language: str) -> dict[str, Any]:
        if language not in self.languages:
            raise ValueError(f"{self.path} has no language {language!r}; choose one of {', '.join(self.languages)}")
        return self.manifest["languages"][language]

    def _split(self, language: str, split: str) -> dict[str, int]:
        splits = self._language(language)["splits"]
        if split not in splits:
            raise ValueError(
                f"{self.path} has no split {split!r} of {language}; choose one of {', '.join(splits)}"
                + (" (validation_fraction was 0)" if split == "validation" else "")
            )
        return splits[split]


class Blocks:
    """Blocks of one language and split, as views of the memory map. Pickles as its path."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open()

    def _open(self) -> None:
        self._data = datasets.load_from_disk(str(self.folder))  # holds the map open
        column = self._data.data.column("input_ids")
        length = column.type.list_size
        self._chunks = [chunk.flatten().to_numpy().reshape(-1, length) for chunk in column.chunks]
        self._starts = np.cumsum([0, *(len(chunk) for chunk in self._chunks)])
        self.block_length = length

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, i: int) -> np.ndarray:
        """Block i: int32 (block_length,), read-only."""
        if not 0 <= i < len(self):
            raise IndexError(f"block {i} of {len(self)} in {self.folder}")
        chunk = int(np.searchsorted(self._starts, i, side="right")) - 1
        return self._chunks[chunk][i - self._starts[chunk]]

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Copies of the blocks at `indices` (n,): int32 (n, block_length)."""
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size and not (indices.min() >= 0 and indices.max() < len(self)):
            raise IndexError(f"blocks {indices.min()} to {indices.max()} of {len(self)} in {self.folder}")
        out = np.empty((len(indices), self.block_length), dtype=np.int32)
        chunks = np.searchsorted(self._starts, indices, side="right") - 1
        for row, (chunk, i) in enumerate(zip(chunks, indices - self._starts[chunks], strict=True)):
            out[row] = self._chunks[chunk][i]
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder = state["folder"]
        self._open()
