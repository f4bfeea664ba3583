"""What a user's file can raise, as one error: which file, where in it, what is wrong and what to do."""

import csv
import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

_SYSTEM = {
    errno.ENOENT: "is not there; correct the path",
    errno.EACCES: "may not be read or written (permission denied); change its permissions or choose another",
    errno.EPERM: "may not be read or written (not permitted); change its permissions or choose another",
    errno.EROFS: "is on a file system that is read only; choose another folder",
    errno.EISDIR: "is a folder; name the files in it",
    errno.ENOTDIR: "lies below something that is no folder; correct the path",
    errno.ENOSPC: "finds no space left on the device; free some or choose another folder",
    errno.EDQUOT: "is beyond the quota of this file system; free some space or choose another folder",
    errno.ENAMETOOLONG: "has a name that is too long; shorten it",
    errno.ELOOP: "is a link that leads back to itself; correct it",
    errno.EIO: "cannot be read from its device (input/output error); copy it from elsewhere",
    errno.ESTALE: "has vanished from its network file system; try again",
}


class FileFaultError(ValueError):
    """A file that cannot be read for what its name says; the message names the file, the fault and the remedy."""


class DamagedFileError(FileFaultError):
    """A compressed file that is cut short, or whose bytes are not those that were packed."""


@contextmanager
def faults_of(path: str | Path, place: str = "") -> Iterator[None]:
    """Turn whatever reading `path` raises into a `FileFaultError`.

    Args:
        path: the file, for the message.
        place: where in it, such as `, line 3`.

    Raises:
        FileFaultError: in place of errors of the file system, of a library, and of what the file holds.
    """
    where = f"{path}{place}"
    try:
        yield
    except FileFaultError:
        raise
    except UnicodeDecodeError as error:
        raise FileFaultError(
            f"{where} is not UTF-8 (byte {error.start}: {error.reason}); convert it with iconv -f ENCODING -t UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise FileFaultError(
            f"{where}: not JSON ({error.msg} at column {error.colno}); write one object a line"
        ) from error
    except RecursionError as error:
        raise FileFaultError(f"{where}: nested too deeply to be read; write one plain object a line") from error
    except csv.Error as error:
        raise FileFaultError(
            f"{where}: not as CSV has it ({error}); put fields with quotes or line breaks in quotes, quotes inside doubled"
        ) from error
    except (pa.ArrowMemoryError, MemoryError) as error:
        raise FileFaultError(
            f"{where} asks for more memory than there is; it is damaged, or write it in parts"
        ) from error
    except OSError as error:
        raise FileFaultError(why(error, where)) from error
    except (
        pa.ArrowException,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        OverflowError,
        NotImplementedError,
    ) as error:
        raise FileFaultError(f"{where} cannot be read ({_said(error)}); fetch or write it again") from error


def why(error: OSError, where: str | Path | None = None) -> str:
    """What the file system says, as one line with the remedy; `where` by default what the error names."""
    where = where or error.filename or "a file of this command"
    known = _SYSTEM.get(error.errno) if error.errno is not None else None
    return (
        f"{where} {known}" if known else f"{where} cannot be read or written ({_said(error)}); fetch or write it again"
    )


def _said(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
