"""Documents of all shards to fixed-length blocks: who validates, how they are cut, what is dropped.

Shape legend: B blocks, T block length, D documents, N tokens.
"""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from .encoding import EVERY_HASH, Part

log = logging.getLogger(__name__)

SPLITS = ("train", "validation")
WRITE_TOKENS = 1 << 22


class TooLittleText(ValueError):
    """A language whose text does not give a block for training and one for validation."""


@dataclass(frozen=True)
class Taken:
    """What a language takes from one of its sources."""

    parts: Sequence[Part]
    """The source's parts, one a shard."""
    tokens: int | None = None
    """Its first documents until there are so many tokens; None for all."""


def by_shares(sources: Sequence[Sequence[Part]], shares: Sequence[float | None]) -> list[Taken]:
    """What is taken from each source: tokens in the proportions of the shares, as many as the scarcest source allows."""
    there = [sum((part.described() or {})["tokens"] for part in parts) for parts in sources]
    given = [share for share in shares if share is not None]
    if len(given) < len(sources) or len(sources) == 1:
        return [Taken(parts) for parts in sources]
    whole = min(tokens / share for tokens, share in zip(there, given, strict=True))
    return [Taken(parts, round(share * whole)) for parts, share in zip(sources, given, strict=True)]


def batches(sources: Sequence[Taken]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(hash_D, bytes_D, length_D, tokens_N) of every unit taken, source after source, each in its own order."""
    for source in sources:
        left = source.tokens
        for hash_D, bytes_D, length_D, tokens_N in _all_batches(source.parts):
            if left is None:
                yield hash_D, bytes_D, length_D, tokens_N
                continue
            end_D = np.cumsum(length_D)
            documents = int(np.searchsorted(end_D - length_D, left))
            tokens = int(end_D[documents - 1]) if documents else 0
            yield hash_D[:documents], bytes_D[:documents], length_D[:documents], tokens_N[:tokens]
            left -= tokens
            if left <= 0:
                break


def _all_batches(parts: Sequence[Part]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Shard i of n holds units i, i + n, i + 2n …, so taking one from each shard in turn restores their order."""
    with ExitStack() as stack:
        readers = [pa.ipc.open_stream(stack.enter_context(pa.memory_map(str(part.tokens)))) for part in parts]
        number = 0
        while True:
            try:
                batch = readers[number % len(readers)].read_next_batch()
            except StopIteration:
                return
            tokens = batch.column("tokens")
            length_D = np.diff(tokens.offsets.to_numpy())
            yield batch.column("hash").to_numpy(), batch.column("bytes").to_numpy(), length_D, tokens.values.to_numpy()
            number += 1


def validation_bound(language: str, sources: Sequence[Taken], fraction: float, block_length: int) -> int:
    """The hash below which documents validate.

    It is `fraction` of all hashes, so a document's split depends on its text alone. Where that leaves either split
    without a block, the fewest documents that fill a block validate, still those with the smallest hashes.

    Raises:
        TooLittleText: if the text does not make a block for each split.
    """
    bound = int(fraction * EVERY_HASH)
    validation = total = 0
    for hash_D, _, length_D, _ in batches(sources):
        validation += int(length_D[_below(hash_D, bound)].sum())
        total += int(length_D.sum())
    if not bound:
        if total < block_length:
            raise TooLittleText(_too_little(language, total, block_length, 1))
        return 0
    if validation >= block_length and total - validation >= block_length:
        return bound
    hash_D, length_D = (
        np.concatenate(column) for column in zip(*((b[0], b[2]) for b in batches(sources)), strict=True)
    )
    hash_U, document_D = np.unique(hash_D, return_inverse=True)
    filled_U = np.cumsum(np.bincount(document_D, weights=length_D))
    last = int(np.searchsorted(filled_U, block_length))
    if last == len(filled_U) or total - filled_U[last] < block_length:
        raise TooLittleText(_too_little(language, total, block_length, 2))
    log.warning(
        "%s: %.3g of its text validates rather than %.3g, so that both splits have a block of %d tokens",
        language, filled_U[last] / total, fraction, block_length,
    )  # fmt: skip
    return int(hash_U[last]) + 1


def _below(hash_D: np.ndarray, bound: int) -> np.ndarray:
    return hash_D < np.uint64(bound) if bound < EVERY_HASH else np.ones(len(hash_D), dtype=bool)


def _too_little(language: str, total: int, block_length: int, blocks: int) -> str:
    needed = "one block" if blocks == 1 else "a block for training and one for validation"
    remedy = f"lower block_length (to {total // (2 * blocks)}, say), " if total >= 16 * blocks else ""
    return (
        f"{language}: {total} tokens do not make {needed} of {block_length} tokens out of whole documents; {remedy}"
        "give more text, or leave the language out"
    )


class BlockWriter:
    """Cuts a stream of tokens into blocks and saves them as a `datasets` folder; the rest at the end is dropped."""

    def __init__(self, folder: Path, block_length: int) -> None:
        self._folder = folder
        self._length = block_length
        self._stream = folder.with_name(folder.name + ".stream")
        self._type = pa.list_(pa.int32(), block_length)
        self._schema = pa.schema([("input_ids", self._type)])
        self._waiting: list[np.ndarray] = []
        self.documents = self.bytes = self.tokens = self.blocks = 0
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pa.ipc.new_stream(str(self._stream), self._schema)

    def add(self, bytes_D: np.ndarray, length_D: np.ndarray, tokens_N: np.ndarray) -> None:
        self.documents += len(length_D)
        self.bytes += int(bytes_D.sum(dtype=np.int64))
        self.tokens += len(tokens_N)
        self._waiting.append(tokens_N)
        if sum(map(len, self._waiting)) >= WRITE_TOKENS:
            self._cut()

    def _cut(self) -> None:
        tokens_N = np.concatenate(self._waiting) if self._waiting else np.empty(0, dtype=np.int32)
        blocks = len(tokens_N) // self._length
        whole_N, self._waiting = tokens_N[: blocks * self._length], [tokens_N[blocks * self._length :]]
        if blocks:
            column = pa.FixedSizeListArray.from_arrays(pa.array(whole_N), type=self._type)
            self._writer.write_batch(pa.RecordBatch.from_arrays([column], schema=self._schema))
            self.blocks += blocks

    def close(self) -> dict[str, int]:
        """Write the folder and give the counts."""
        self._cut()
        assert self.blocks, "validation_bound gives every split a block"
        self._writer.close()
        shown = not datasets.are_progress_bars_disabled()
        datasets.disable_progress_bars()
        try:
            datasets.Dataset.from_file(str(self._stream)).save_to_disk(str(self._folder))
        finally:
            if shown:
                datasets.enable_progress_bars()
        self._stream.unlink()
        counts = {key: getattr(self, key) for key in ("documents", "bytes", "tokens", "blocks")}
        return counts | {"dropped_tokens": self.tokens - self.blocks * self._length}


def pack(
    language: str, sources: Sequence[Taken], store: Path, block_length: int, fraction: float, heldout_documents: int
) -> tuple[dict[str, Any], Path]:
    """Write a language's blocks and held-out documents into a store.

    Returns:
        Its entry of the manifest, and the folder that holds the blocks and is still to be renamed.

    Raises:
        TooLittleText: if the text does not make a block for each split.
    """
    bound = validation_bound(language, sources, fraction, block_length)
    folder = store / "blocks" / f"{language}.unfinished"
    shutil.rmtree(folder, ignore_errors=True)
    writers = {split: BlockWriter(folder / split, block_length) for split in SPLITS[: 2 if bound else 1]}
    validating: set[int] = set()
    for hash_D, bytes_D, length_D, tokens_N in batches(sources):
        validates_D = _below(hash_D, bound)
        validating.update(hash_D[validates_D].tolist())
        validates_N = np.repeat(validates_D, length_D)
        for split, writer in writers.items():
            mine_D, mine_N = (m if split == "validation" else ~m for m in (validates_D, validates_N))
            writer.add(bytes_D[mine_D], length_D[mine_D], tokens_N[mine_N])
    splits = {split: writer.close() for split, writer in writers.items()}
    texts = _heldout(sources, validating, heldout_documents)
    write_heldout(store, language, texts)
    problems: Counter[str] = Counter()
    for part in (part for source in sources for part in source.parts):
        problems.update((part.described() or {})["problems"])
    entry = {
        **{key: sum(counts[key] for counts in splits.values()) for key in ("documents", "bytes", "tokens")},
        "validation_fraction": bound / EVERY_HASH,
        "heldout_documents": len(texts),
        "splits": splits,
        "problems": dict(problems),
    }
    return entry, folder


def write_heldout(store: Path, language: str, texts: Sequence[str]) -> None:
    """Keep documents of a language as text, for probes."""
    (store / "heldout").mkdir(exist_ok=True)
    with open(store / "heldout" / f"{language}.jsonl", "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def _heldout(sources: Sequence[Taken], validating: Set[int], room: int) -> list[str]:
    """Validation documents with the smallest hashes, each text once."""
    found: dict[int, str] = {}
    for part in (part for source in sources for part in source.parts):
        with open(part.heldout, encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        found |= {row["hash"]: row["text"] for row in rows if row["hash"] in validating}
    return [found[value] for value in sorted(found)[:room]]
