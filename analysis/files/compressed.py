"""Compressed files as streams of bytes that end where their format says so, or not at all."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import zstandard

from .faults import DamagedFileError, FileFaultError
from .kinds import COMPRESSIONS

_PIECE = 1 << 14
"""Compressed bytes at a time: a hostile file grows some 20,000-fold."""
_WIDEST_WINDOW = 1 << 31
"""What `zstd --long=31` packs with."""


@contextmanager
def unpacked(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file packed as its name says.

    Raises:
        DamagedFileError: while reading: the file ends before its format does, or holds something else.
    """
    how = next(suffix for suffix in COMPRESSIONS if path.lower().endswith(suffix))
    with open(path, "rb") as raw, _OPENERS[how](raw) as stream:
        try:
            yield stream
        except EOFError as error:
            raise DamagedFileError(
                f"{path} is cut short: it ends before its {how} stream does; fetch or pack it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError) as error:
            if isinstance(error, FileFaultError) or (isinstance(error, OSError) and error.errno is not None):
                raise  # what the text inside is, or the file system's
            raise DamagedFileError(
                f"{path} is no sound {how} file ({(str(error) or type(error).__name__).splitlines()[0]}); fetch or pack it again"
            ) from error


class _Frames(io.RawIOBase):
    """Zstandard frames one behind the other. The library's own reader takes the end of a file for that of a frame."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._made = zstandard.ZstdDecompressor(max_window_size=_WIDEST_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._raw.read(_PIECE)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._made.decompressobj()
            self._ready = memoryview(self._frame.decompress(self._packed))
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(into), len(self._ready))
        into[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


_OPENERS: dict[str, Callable[[Any], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".zst": lambda raw: io.BufferedReader(_Frames(raw), 1 << 20),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
