"""Files of ours that are no longer what was written: known by digests, named, and set aside instead of used or deleted."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import SafetensorError

log = logging.getLogger(__name__)

COMPANIONS = (".safetensors", ".texts.jsonl")
"""What may lie beside a file of rows, under the same name."""
ASIDE = ".damaged"
"""What the names of files that were set aside end in."""
BETWEEN = 2.0
"""Seconds that rows may come later than their companions."""
_META, _COMPANY, _DIGEST = b"babelscope", b"babelscope.company", b"babelscope.digest"


class DamagedResultsError(ValueError):
    """A file of results that is not what was written; the message says which, and what becomes of it."""


def file_digest(path: str | Path) -> str:
    """BLAKE2b of a file's bytes, 32 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()  # type: ignore[arg-type,return-value]


def stamped(table: pa.Table, meta: str, path: Path) -> pa.Table:
    """A table of rows that carries what it needs to be known again: its own digest and those of its companions.

    Args:
        meta: JSON that is kept with the rows.
        path: where the rows will lie; their companions are there already.
    """
    company = json.dumps(
        {end: file_digest(path.with_suffix(end)) for end in COMPANIONS if path.with_suffix(end).exists()}
    )
    about = {_META: meta.encode(), _COMPANY: company.encode(), _DIGEST: content_digest(table, meta, company).encode()}
    return table.replace_schema_metadata(about)


def content_digest(table: pa.Table, *words: str) -> str:
    """BLAKE2b of what a table and some texts say, 32 hex digits; how they are laid out on disk plays no part."""
    digest = hashlib.blake2b(digest_size=16)
    for word in words:
        digest.update(f"{len(word)}:{word}".encode())
    for name in table.column_names:
        column = pa.chunked_array(table[name]).combine_chunks()
        digest.update(f"{name}:{column.type}:{len(column)}".encode())
        digest.update(np.packbits(pc.is_valid(column).to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_string(column.type):
            encoded = column.dictionary_encode()
            digest.update("\0".join(encoded.dictionary.to_pylist()).encode())
            column = encoded.indices
        digest.update(pc.fill_null(column, 0).to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()


def read_whole(path: Path, companions: bool = True) -> tuple[pa.Table, dict[str, Any]]:
    """Rows and what is kept with them, held against their digest; their companions against theirs.

    Args:
        companions: whether arrays and texts are looked at, which may be much larger than the rows.

    Raises:
        FileNotFoundError: there are no such rows.
        DamagedResultsError: something is not what was written; the files are set aside.
    """
    with damage_set_aside(path):
        before = path.stat()
        table = pq.read_table(path)
        about: Mapping[bytes, bytes] = table.schema.metadata or {}
        meta, company = about.get(_META, b"{}").decode(), about.get(_COMPANY, b"{}").decode()
        if _DIGEST in about and about[_DIGEST].decode() != content_digest(table, meta, company):
            raise DamagedResultsError("its rows are not those that were written")
        for end, digest in json.loads(company).items() if companions else ():
            beside = path.with_suffix(end)
            if not beside.exists() or file_digest(beside) != digest:
                if _replaced(path, before):
                    return read_whole(path)
                raise DamagedResultsError(f"{beside.name} is not what was written with it")
        return table.replace_schema_metadata(None), json.loads(meta)


def read_meta(path: Path) -> dict[str, Any]:
    """What is kept with rows, without reading them.

    Raises:
        FileNotFoundError: there are no such rows.
        DamagedResultsError: it can't be read; the files are set aside.
    """
    with damage_set_aside(path):
        return json.loads((pq.read_schema(path).metadata or {}).get(_META, b"{}"))


def _replaced(path: Path, before: os.stat_result) -> bool:
    """Whether another process is just writing these results anew: companions come first, the rows a moment later."""
    end = time.monotonic() + BETWEEN
    while True:
        now = path.stat()
        if (now.st_ino, now.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.05)


@contextmanager
def damage_set_aside(path: Path) -> Iterator[None]:
    """Set rows and their companions aside where reading them fails as it does for damaged files.

    Raises:
        DamagedResultsError: they are damaged; the message names the file.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowException, SafetensorError, OSError, ValueError) as error:
        if str(path) in str(error) and isinstance(error, DamagedResultsError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        moved = set_aside(path)
        where = f"set aside as {path.name}{ASIDE}" if moved else "and can't be set aside"
        message = f"{path} is damaged ({reason}), {where}: analyse that step again to have it back"
        log.warning("%s", message)
        raise DamagedResultsError(message) from error


def set_aside(path: Path) -> bool:
    """Rename a file of ours, and its companions, out of the way; False where the folder does not allow it."""
    try:
        os.replace(path, path.with_name(path.name + ASIDE))
        for end in COMPANIONS:
            beside = path.with_suffix(end)
            if beside != path and beside.exists():
                os.replace(beside, beside.with_name(beside.name + ASIDE))
    except OSError:
        return False
    return True
