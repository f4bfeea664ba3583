"""Shared work: several processes on one folder, each piece of work claimed by one of them.

A claim is a small file that its holder touches while it lives. The claim of a process that died is taken over: at once
on the same machine, where the process can be looked up; elsewhere when the file has stood still for a while by our own
clock (machines' clocks differ).
"""

import errno
import json
import logging
import os
import secrets
import socket
import threading
import time
from pathlib import Path

from ..analysis.atomic import process_lives

log = logging.getLogger(__name__)

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""How file systems without hard links say so."""


class Claims:
    """Claims of one process below a folder.

    Args:
        folder: where claim files lie; shared by all processes.
        beat: seconds between two signs of life.
        stale_after: seconds without one after which a claim is taken over.
    """

    def __init__(self, folder: Path, beat: float = 10.0, stale_after: float = 60.0) -> None:
        self.folder, self.beat, self.stale_after = folder, beat, stale_after
        self.token = secrets.token_hex(8)
        self._held: dict[str, Path] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._live, name="claims", daemon=True)

    def __enter__(self) -> "Claims":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._heart.join()
        for name in list(self._held):
            self.release(name)

    def take(self, name: str) -> bool:
        """Claim a piece of work; False where another living process holds it. Never waits."""
        path = self.folder / f"{name}.claim"
        if self._create(path):
            self._held[name] = path
            return True
        held_by = self._stale(name, path)
        if held_by is None or not self._take_over(name, path, held_by):
            return False
        log.warning("Taking over %s: process %s on %s is gone", name, held_by.get("pid"), held_by.get("host"))
        self._held[name] = path
        return True

    def take_or_wait(self, name: str) -> bool:
        """Claim a piece of work, waiting until it is known whether another holder lives; False where one does."""
        first: int | None = None
        began = time.monotonic()
        while not self.take(name):
            beat = self._seen.get(name, (None, 0.0))[0]
            if first is None and beat is not None:
                first = beat
                log.info("%s is claimed: waiting up to %.0f s to see whether its holder lives", name, self.stale_after)
            if beat != first or time.monotonic() - began > self.stale_after + 2 * self.beat:
                return False
            time.sleep(self.beat / 10)
        return True

    def holder(self, name: str) -> str:
        """Who holds a claim, in words."""
        claim = _read(self.folder / f"{name}.claim") or {}
        return f"process {claim.get('pid', '?')} on {claim.get('host', '?')}"

    def release(self, name: str) -> None:
        """Give a claim back."""
        path = self._held.pop(name, None)
        if path is not None and (_read(path) or {}).get("token") == self.token:
            path.unlink(missing_ok=True)

    def still(self, name: str) -> bool:
        """Whether a claim of another process has shown no sign of life since `take` first saw it."""
        path = self.folder / f"{name}.claim"
        try:
            return name in self._seen and path.stat().st_mtime_ns == self._seen[name][0]
        except FileNotFoundError:
            return False

    def held(self, name: str) -> bool:
        """Whether anybody holds a claim, living or dead."""
        return (self.folder / f"{name}.claim").exists()

    def _create(self, path: Path) -> bool:
        """Claim a place that is empty."""
        temporary = self._written(path)
        try:
            os.link(temporary, path)  # into place whole: no reader ever sees an empty claim
            return True
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._create_without_links(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _create_without_links(self, path: Path) -> bool:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self._words())
            return True
        except FileExistsError:
            return False

    def _written(self, path: Path) -> Path:
        temporary = path.with_name(f".{path.name}.{self.token}")
        temporary.write_text(self._words(), encoding="utf-8")
        return temporary

    def _words(self) -> str:
        return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": self.token})

    def _stale(self, name: str, path: Path) -> dict | None:
        """What a dead process's claim says; None where its holder may live."""
        claim = _read(path)
        if claim is None:
            return None
        if claim.get("host") == socket.gethostname() and not process_lives(int(claim["pid"])):
            return claim
        try:
            beat = path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        seen, since = self._seen.get(name, (None, 0.0))
        if seen != beat:
            self._seen[name] = (beat, time.monotonic())
            return None
        return claim if time.monotonic() - since > self.stale_after else None

    def _take_over(self, name: str, path: Path, stale: dict) -> bool:
        """Put our claim in the place of a dead one. Of many who try one does, behind a guard.

        A living claim is never moved, not for a moment: whoever found its place empty would take it.
        """
        guard = path.with_name(f".{path.name}.guard")
        if not self._create(guard):
            if self._stale(f"{name}/guard", guard) is not None:  # its holder died at this very place
                guard.unlink(missing_ok=True)
            return False
        try:
            there = _read(path)
            if there is None:
                return self._create(path)
            if there.get("token") != stale.get("token"):
                return False
            os.replace(self._written(path), path)
            return True
        finally:
            guard.unlink(missing_ok=True)

    def _live(self) -> None:
        while not self._stop.wait(self.beat):
            for name, path in list(self._held.items()):
                try:
                    os.utime(path)
                except FileNotFoundError:
                    log.warning("The claim on %s is gone: another process may do the same work again", name)


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # half written, or emptied by a full disk: nobody's, once it has stood still for long
