"""What readers of users' files do with damaged ones: rows or one clear error, never anything else.

Run as `python -m benchmarks.files` or `python benchmarks/files.py [--count 2000] [--seed 0]`. Small files of every form and
packing are made and broken in turn (bytes flipped, cut, NULs and byte order marks put in, another suffix, blocks
doubled), then read as a source of text, as text by language, as a concept set and as a table. Printed is a line a form:
how many of the readings gave something, how many an error; a reading that raises anything but a one-line `ValueError`, or
an error that does not name the file, is a failure. The exit status is 1 if there is any.
"""

import argparse
import bz2
import csv
import gzip
import io
import json
import logging
import lzma
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from babelscope.analysis.concepts import ConceptSet, load_text
from babelscope.analysis.files import read_table
from babelscope.training.data.sources import Source, resolve

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
COLUMNS = ("concept", "language", "text", "label")
ROWS = [("water" if i % 2 else "fire", "en", f'sentence {i}, ünïcode 漢字 "{i}"', str(i % 3 % 2)) for i in range(12)]
FORMS = ("txt", "jsonl", "json", "csv", "tsv", "parquet")


def sound(form: str) -> bytes:
    """A small file of a form without a fault."""
    if form == "txt":
        return "\n".join(row[2] for row in ROWS).encode()
    if form in ("jsonl", "json"):
        return b"\n".join(json.dumps(dict(zip(COLUMNS, row, strict=True))).encode() for row in ROWS)
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.table({name: [row[i] for row in ROWS] for i, name in enumerate(COLUMNS)}), sink)
        return sink.getvalue()
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if form == "tsv" else ",").writerows([COLUMNS, *ROWS])
    return text.getvalue().encode()


def broken(data: bytes, random: Random) -> bytes:
    """The same bytes with a fault or two."""
    out = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2])):
        place = random.randrange(len(out) + 1)
        kind = random.randrange(7)
        if kind == 0 and out:
            for _ in range(random.randint(1, 8)):
                out[random.randrange(len(out))] ^= random.randint(1, 255)
        elif kind == 1:
            del out[place:]
        elif kind == 2:
            out[place:place] = b"\0" * random.randint(1, 4)
        elif kind == 3:
            out[:0] = random.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0"])
        elif kind == 4:
            out[place:place] = out[place : place + random.randint(1, 200)]
        elif kind == 5:
            del out[place : place + random.randint(1, 50)]
        else:
            out[place:place] = random.choice([b'"', b"\n", b"\r", b"[", b"{", b",", b"\t", b"\xe2\x80\xa8", b"NaN"])
    return bytes(out)


def as_source(path: Path) -> object:
    """Read as `prepare` and mining do; what `resolve` finds is its one error."""
    sources, problems = resolve([Source(str(path), language="en")])
    if problems:
        raise ValueError("; ".join(problems))
    return [unit.documents() for source in sources for unit in source.units(1000)]


READERS: dict[str, Callable[[Path], object]] = {
    "source": as_source,
    "text": lambda path: load_text(path.parent if ".txt" in path.name.lower() else path),
    "concepts": ConceptSet.load,
    "table": lambda path: read_table(path, ("language", "text")),
}


def fuzz(form: str, count: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Break `count` files of a form; what came of the readings, and what should not have come."""
    random = Random(f"{form} {seed}")
    whole = sound(form)
    seen: Counter[str] = Counter()
    failures = []
    for number in range(count):
        end = random.choice(list(PACK)) if form != "parquet" else ""
        inside = random.random() < 0.5  # broken before it is packed, or after
        data = PACK[end](broken(whole, random)) if inside else broken(PACK[end](whole), random)
        suffix = (
            f".{form}{end}" if random.random() < 0.9 else random.choice([".csv", ".parquet", ".jsonl.gz", ".TXT.ZST"])
        )
        path = folder / f"{number}{suffix}"
        path.write_bytes(data)
        for name, read in READERS.items():
            try:
                read(path)
                seen["read"] += 1
            except ValueError as error:
                seen["error"] += 1
                if (
                    "\n" in str(error)
                    or path.name not in str(error)
                    or isinstance(error, UnicodeError | pa.ArrowInvalid)
                ):
                    failures.append(f"{form} {number} as {name}: {type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
                failures.append(f"{form} {number} as {name}: {type(error).__name__}: {error}")
        path.unlink()
    return seen, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="files of each form")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for form in FORMS:
            start = time.perf_counter()
            seen, failures = fuzz(form, arguments.count, arguments.seed, Path(name))
            taken = time.perf_counter() - start
            print(
                f"{form:8} {arguments.count} files: {seen['read']} readings gave something, {seen['error']} one error, "
                f"{len(failures)} failures, {taken:.0f} s"
            )
            print(*failures[:20], sep="\n", end="\n" if failures else "")
            wrong += len(failures)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
