"""Whole or absent: what a killed process leaves, and what is cleared of it."""

import os
import signal
import subprocess
import sys
import time

import pytest
from babelscope.analysis.atomic import LEFT_FOR, atomic_file, atomic_folder, remove_leftovers, temporary_name

DYING = """
import os, signal, sys
from pathlib import Path
from babelscope.analysis.atomic import atomic_file, atomic_folder
where = Path(sys.argv[1])
with atomic_folder(where / "below" / "folder") as folder, atomic_file(where / "file.txt") as file:
    (folder / "part").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_leaves_is_removed(tmp_path):
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)])
    assert died.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("*.tmp"))) == 2
    with atomic_file(tmp_path / "mine.txt") as mine:
        mine.write_text("in work")
        assert len(remove_leftovers(tmp_path)) == 2
        assert [path.name for path in tmp_path.rglob("*.tmp")] == [mine.name]
    assert (tmp_path / "mine.txt").read_text() == "in work"
    assert remove_leftovers(tmp_path) == []


def test_what_another_machine_writes_is_left_for_a_day(tmp_path):
    fresh, stale = tmp_path / ".a.txt.elsewhere.1.tmp", tmp_path / ".b.txt.elsewhere.2.tmp"
    for path in (fresh, stale):
        path.write_text("x")
    before = time.time() - LEFT_FOR - 60
    os.utime(stale, (before, before))
    users = [tmp_path / ".notes.tmp", tmp_path / "a.host.3.tmp", tmp_path / ".git"]
    for path in users:
        path.write_text("x")
        os.utime(path, (before, before))
    assert remove_leftovers(tmp_path) == [stale]
    assert fresh.exists()
    assert all(path.exists() for path in users)


def test_a_folder_put_aside_by_a_process_that_died_is_put_back(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = tmp_path / "checkpoint"
    aside = temporary_name(kept, "old").name.replace(f".{os.getpid()}.", f".{dead.pid}.")
    (tmp_path / aside).mkdir()
    (tmp_path / aside / "weights").write_text("whole")
    assert remove_leftovers(tmp_path) == []
    assert (kept / "weights").read_text() == "whole"
    # Where the successor came, the old one is litter.
    (tmp_path / aside).mkdir()
    assert remove_leftovers(tmp_path) == [tmp_path / aside]


def test_an_error_leaves_nothing_and_replaces_nothing(tmp_path):
    (tmp_path / "file.txt").write_text("before")

    def fail(into):
        with into as part:
            if part.suffix == ".tmp" and not part.is_dir():
                part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail(atomic_file(tmp_path / "file.txt"))
    with pytest.raises(RuntimeError):
        fail(atomic_folder(tmp_path / "folder"))
    assert (tmp_path / "file.txt").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
