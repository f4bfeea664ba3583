"""Lines of text files, compressed or not: UTF-8 alone, and what is something else is refused by name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .compressed import unpacked
from .faults import FileFaultError, faults_of
from .kinds import kind_of
from .visible import has_text

BOM = b"\xef\xbb\xbf"
PIECE = 1 << 20
_HEAD = 1 << 16
_FOREIGN = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked if its name says that it is packed.

    Raises:
        FileFaultError: also while it is read, whatever is wrong with it.
    """
    kind = kind_of(path)
    with faults_of(path):
        if kind is not None and kind.compression:
            with unpacked(str(path)) as stream:
                yield stream
        else:
            with open(path, "rb") as stream:
                yield stream


def check_encoding(block: bytes, path: str | Path, start: int = 0) -> None:
    """Refuse what is no UTF-8 text: the byte order mark of another encoding at the start of a file, or NULs anywhere.

    Args:
        block: bytes of the file from `start` on; it costs no more than a search for one byte.

    Raises:
        FileFaultError: naming the encoding, or the line of the first NUL.
    """
    if start == 0:
        for mark, name in _FOREIGN:
            if block.startswith(mark):
                raise FileFaultError(_is(path, name))
    place = block.find(b"\0")
    if place < 0:
        return
    head = block[:_HEAD]
    # UTF-32 has three NULs of four bytes at most; a download that was never filled has nothing else.
    if (
        start == 0
        and len(head) >= 4
        and head.count(0) <= 0.8 * len(head)
        and max(head[0::2].count(0), head[1::2].count(0)) > 0.3 * len(head) / 2
    ):
        raise FileFaultError(_is(path, "UTF-32" if head.count(0) > 0.6 * len(head) else "UTF-16"))
    with opened(path) as stream:
        number = 1 + _breaks(stream, start + place)
    raise FileFaultError(
        f"{path}, line {number}: a NUL byte, which no text has; remove them with tr -d '\\000', or fetch the file again"
    )


def check_head(path: str | Path) -> None:
    """Look whether the beginning of a text file can be read: cheap, before any work.

    Raises:
        FileFaultError: what is wrong with it.
    """
    with opened(path) as stream:
        check_encoding(stream.read(_HEAD), path)


def _is(path: str | Path, encoding: str) -> str:
    return f"{path} is {encoding}; convert with iconv -f {encoding} -t UTF-8"


def _breaks(stream: BinaryIO, before: int) -> int:
    count = 0
    while before > 0 and (block := stream.read(min(before, PIECE))):
        count, before = count + block.count(b"\n"), before - len(block)
    return count


def raw_lines(path: str | Path, max_bytes: int | None = None) -> Iterator[bytes | None]:
    """Lines without their ends and without a byte order mark; None for those that are longer than `max_bytes`.

    Of one that is too long never more than a piece is held.

    Raises:
        FileFaultError: while reading: a damaged file, UTF-16, a NUL.
    """
    rest, mark, skipping, at = b"", BOM, False, 0
    with opened(path) as stream:
        while block := stream.read(PIECE):
            check_encoding(block, path, at)
            at += len(block)
            *lines, rest = (rest + block).split(b"\n")
            if lines and skipping:
                lines, skipping = lines[1:], False
            for line in lines:
                yield line.removeprefix(mark).removesuffix(b"\r")
                mark = b""
            if skipping:
                rest = b""
            elif max_bytes is not None and len(rest) > max_bytes + len(BOM) + 1:
                yield None
                rest, mark, skipping = b"", b"", True
    if rest:
        yield rest.removeprefix(mark).removesuffix(b"\r")


def lines_of(path: str | Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of the lines that are not empty, nor of invisible characters alone.

    Raises:
        FileFaultError: as `raw_lines`, and for a line that is not UTF-8, by its number.
    """
    for number, line in enumerate(raw_lines(path), start=1):
        assert line is not None
        with faults_of(path, f", line {number}"):
            text = line.decode()
        if has_text(text):
            yield number, text


def read_whole_text(path: str | Path) -> str:
    """A small text file as one string.

    Raises:
        FileFaultError: it cannot be read, is UTF-16, has NULs or is not UTF-8.
    """
    with opened(path) as stream:
        data = stream.read()
    check_encoding(data, path)
    with faults_of(path):
        return data.removeprefix(BOM).decode()


def size_of(path: str | Path) -> int:
    """Bytes on disk."""
    with faults_of(path):
        return os.path.getsize(path)
