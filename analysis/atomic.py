"""Files and folders that are whole or absent: written under a temporary name, then renamed.

A process that is killed leaves its temporaries behind: `remove_leftovers` clears a folder of them.
"""

import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

_HOST = re.sub(r"[^\w-]", "_", socket.gethostname())
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[\w-]+)\.(?P<pid>\d+)\.(?P<kind>tmp|old)")
LEFT_FOR = 24 * 3600.0
"""Seconds without a change after which what another machine's process has left counts as left by the dead."""


def temporary_name(path: Path, kind: str = "tmp") -> Path:
    """The name beside `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.{kind}")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on leaving without an error it takes the place of `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new empty folder beside `path`; on leaving without an error it takes the place of `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            old = temporary_name(path, "old")
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Clear a folder, and those below it, of what killed processes were about to write; returns what was removed.

    The process is looked up where it ran on this machine; elsewhere what has stood still for a day is taken for left. A
    folder that was put aside for its successor, which never came, is put back.
    """
    removed = []
    for parent, folders, files in os.walk(folder, topdown=True):
        for name in [*files, *folders]:
            found = _TEMPORARY.fullmatch(name)
            path = Path(parent) / name
            if found is None or not _left(path, found["host"], int(found["pid"])):
                continue
            place = path.with_name(found["name"])
            if found["kind"] == "old" and not place.exists():
                os.replace(path, place)
                log.warning("Put back %s: a process died while it replaced it", place)
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
            else:
                path.unlink(missing_ok=True)
                removed.append(path)
        folders[:] = [name for name in folders if _TEMPORARY.fullmatch(name) is None]
    if removed:
        log.info("Removed %d unfinished files and folders of processes that died, below %s", len(removed), folder)
    return removed


def process_lives(pid: int) -> bool:
    """Whether this machine has such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _left(path: Path, host: str, pid: int) -> bool:
    if host == _HOST:
        return not process_lives(pid)
    try:
        return time.time() - path.stat().st_mtime > LEFT_FOR
    except FileNotFoundError:
        return False
