"""Documents to tokens, unit by unit, in threads or processes, into one part file a language and shard.

Shape legend: D documents of a unit, N tokens of a unit.

A part holds whole documents with their hash, not blocks: which of them validate and how they are cut is decided when
all parts are there (`packing`), so a part serves any block length.
"""

import hashlib
import heapq
import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer
from tqdm import tqdm

from ...analysis.atomic import write_text
from .documents import PROBLEMS, Unit

SCHEMA = pa.schema([("hash", pa.uint64()), ("bytes", pa.uint32()), ("tokens", pa.list_(pa.int32()))])
EVERY_HASH = 1 << 64


@dataclass(frozen=True)
class Encoded:
    """A unit's documents as tokens."""

    hash_D: np.ndarray
    bytes_D: np.ndarray
    length_D: np.ndarray
    tokens_N: np.ndarray
    problems: Counter[str]
    candidates: list[tuple[int, str]]
    size: int

    def first(self, documents: int) -> "Encoded":
        """Only so many documents of it."""
        return Encoded(
            self.hash_D[:documents],
            self.bytes_D[:documents],
            self.length_D[:documents],
            self.tokens_N[: self.length_D[:documents].sum()],
            self.problems,
            [(h, t) for h, t in self.candidates if h in set(self.hash_D[:documents].tolist())],
            self.size,
        )

    def batch(self) -> pa.RecordBatch:
        """As one batch of a part file."""
        offsets = np.zeros(len(self.length_D) + 1, dtype=np.int32)
        np.cumsum(self.length_D, out=offsets[1:])
        tokens = pa.ListArray.from_arrays(pa.array(offsets), pa.array(self.tokens_N))
        return pa.RecordBatch.from_arrays([pa.array(self.hash_D), pa.array(self.bytes_D), tokens], schema=SCHEMA)


class Encoder:
    """Encodes units with one tokenizer; every document begins with the separator, as a prompt does."""

    def __init__(self, tokenizer_file: str, separator: int) -> None:
        self._tokenizer = Tokenizer.from_file(tokenizer_file)
        self._tokenizer.encode_special_tokens = True  # "</s>" within a text is text
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._separator = separator

    def __call__(self, unit: Unit, bound: int) -> Encoded:
        """Encode a unit; `candidates` are its documents with a hash below `bound`."""
        texts, problems = unit.documents()
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        length_D = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids)) + 1
        tokens_N = np.full(int(length_D.sum()), self._separator, dtype=np.int32)
        is_text_N = np.ones(len(tokens_N), dtype=bool)
        is_text_N[np.cumsum(length_D) - length_D] = False
        tokens_N[is_text_N] = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=len(tokens_N) - len(ids))
        data = [text.encode() for text in texts]
        digests = b"".join(hashlib.blake2b(d, digest_size=8).digest() for d in data)
        hash_D = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
        return Encoded(
            hash_D=hash_D,
            bytes_D=np.fromiter(map(len, data), dtype=np.uint32, count=len(data)),
            length_D=length_D,
            tokens_N=tokens_N,
            problems=problems,
            candidates=[(h, text) for h, text in zip(hash_D.tolist(), texts, strict=True) if h < bound],
            size=unit.size,
        )


_encoder: Encoder | None = None  # one a worker process


def _start_worker(tokenizer_file: str, separator: int) -> None:
    global _encoder
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    _encoder = Encoder(tokenizer_file, separator)


def _encode_in_worker(unit: Unit, bound: int) -> Encoded:
    assert _encoder is not None
    return _encoder(unit, bound)


class Encoders:
    """Encodes a stream of units in order: in two threads over the tokenizer's own, or in processes."""

    def __init__(self, executor: Executor, encode: Any, depth: int) -> None:
        self._executor, self._encode, self._depth = executor, encode, depth

    def run(self, units: Iterable[Unit], held: "Heldout") -> Iterator[Encoded]:
        """Results in the order of the units, with a bounded number of them under way."""
        pending: deque[Future[Encoded]] = deque()
        for unit in units:
            pending.append(self._executor.submit(self._encode, unit, held.bound))
            if len(pending) >= self._depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def encoders(tokenizer_file: str, separator: int, num_proc: int) -> Iterator[Encoders]:
    """Start what encodes; work that is still waiting is dropped at the end, also when an exception ends it."""
    executor: Executor
    if num_proc == 1:
        executor = ThreadPoolExecutor(2)  # one prepares text while the other is inside the tokenizer
        ready = Encoders(executor, Encoder(tokenizer_file, separator), depth=3)
    else:
        executor = ProcessPoolExecutor(
            num_proc,
            mp_context=get_context("spawn"),
            initializer=_start_worker,
            initargs=(tokenizer_file, separator),
        )
        ready = Encoders(executor, _encode_in_worker, depth=3 * num_proc)
    try:
        yield ready
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class Heldout:
    """The documents with the smallest hashes, no text twice."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._heap: list[tuple[int, str]] = []  # negated hashes: the largest comes out first
        self._known: set[int] = set()

    @property
    def bound(self) -> int:
        """Hashes from here on do not get in."""
        if not self._room:
            return 0
        return -self._heap[0][0] if len(self._heap) == self._room else EVERY_HASH

    def add(self, candidates: Iterable[tuple[int, str]]) -> None:
        for value, text in candidates:
            if value >= self.bound or value in self._known:
                continue
            self._known.add(value)
            heapq.heappush(self._heap, (-value, text))
            if len(self._heap) > self._room:
                self._known.discard(-heapq.heappop(self._heap)[0])

    def rows(self) -> list[tuple[int, str]]:
        """(hash, text), smallest hash first."""
        return sorted((-negated, text) for negated, text in self._heap)


@dataclass(frozen=True)
class Part:
    """One language's documents of one shard on disk. It is whole once its description is there."""

    tokens: Path
    heldout: Path
    description: Path

    @classmethod
    def at(cls, folder: Path, language: str) -> "Part":
        return cls(*(folder / f"{language}.{end}" for end in ("arrow", "heldout.jsonl", "json")))

    def described(self) -> dict[str, Any] | None:
        """The description; None if the part is not whole."""
        return json.loads(self.description.read_text()) if self.description.exists() else None

    def write(
        self, results: Iterable[Encoded], held: Heldout, max_tokens: int | None, about: dict[str, Any], bar: tqdm
    ) -> None:
        """Write encoded units one batch each, until `max_tokens`, and the description last."""
        self.tokens.parent.mkdir(parents=True, exist_ok=True)
        self.description.unlink(missing_ok=True)
        problems: Counter[str] = Counter()
        units = documents = tokens = 0
        with pa.OSFile(str(self.tokens), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
            for result in results:
                if max_tokens is not None:
                    before_D = tokens + np.cumsum(result.length_D) - result.length_D
                    result = result.first(int(np.searchsorted(before_D, max_tokens)))
                writer.write_batch(result.batch())
                held.add(result.candidates)
                problems += result.problems
                units, documents = units + 1, documents + len(result.hash_D)
                tokens += len(result.tokens_N)
                bar.update(result.size)
                if max_tokens is not None and tokens >= max_tokens:
                    break
        with open(self.heldout, "w", encoding="utf-8") as stream:
            for value, text in held.rows():
                stream.write(json.dumps({"hash": value, "text": text}, ensure_ascii=False) + "\n")
        about = about | {"units": units, "documents": documents, "tokens": tokens}
        write_json(self.description, about | {"problems": {reason: problems[reason] for reason in PROBLEMS}})


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is whole or absent."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
