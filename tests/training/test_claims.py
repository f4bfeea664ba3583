"""Claims of several processes on one folder: exclusive, given back, and taken over from the dead alone."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from babelscope.training import claims as subject
from babelscope.training.claims import Claims

from tests.patience import wait_until


def test_one_holder_at_a_time(tmp_path):
    with Claims(tmp_path) as one, Claims(tmp_path) as two:
        assert one.take("a")
        assert not two.take("a")
        assert two.take("b")
        one.release("a")
        assert two.take("a")
    assert not list(tmp_path.iterdir()), "all given back on leaving"


def race_of_eight(folder):
    """Who gets it, of eight who reach for one claim at once; all have left when it is told."""
    won = []
    everyone = [Claims(folder) for _ in range(8)]
    for claims in everyone:
        claims.__enter__()
    barrier = threading.Barrier(8)

    def race(claims):
        barrier.wait()
        if claims.take("a"):
            won.append(claims)

    threads = [threading.Thread(target=race, args=(claims,)) for claims in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for claims in everyone:
        claims.__exit__()
    return won


def test_of_many_one_gets_it(tmp_path):
    assert len(race_of_eight(tmp_path)) == 1


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_of_many_one_takes_over(tmp_path, monkeypatch, links):
    """Thirty times: a living claim that is moved aside for a moment lets in a second one now and then."""
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for turn in range(30):
        folder = tmp_path / str(turn)
        folder.mkdir()
        dead(folder)
        assert len(race_of_eight(folder)) == 1
        assert not list(folder.iterdir())


def no_links(*_):
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_living_claim_is_in_its_place_at_every_moment(tmp_path):
    """Who believes it dead by an older look finds it alive, and nobody finds its place empty meanwhile."""
    dead(tmp_path)
    path = tmp_path / "a.claim"
    old = json.loads(path.read_text())
    with Claims(tmp_path) as living, Claims(tmp_path) as late:
        assert living.take("a")
        seen = []
        watch = threading.Thread(target=lambda: [seen.append(path.exists()) for _ in range(3000)])
        watch.start()
        for _ in range(300):
            assert not late._take_over("a", path, old)
        watch.join()
        assert all(seen)


def test_a_guard_whose_holder_died_stands_in_nobodys_way_for_long(tmp_path):
    dead(tmp_path)
    (tmp_path / "a.claim").rename(tmp_path / ".a.claim.guard")
    dead(tmp_path)
    with Claims(tmp_path) as claims:
        assert not claims.take("a")
        assert claims.take("a")


def test_an_empty_claim_is_nobodys_once_it_has_stood_still(tmp_path):
    (tmp_path / "a.claim").touch()
    with Claims(tmp_path, stale_after=0.0) as claims:
        assert not claims.take("a")  # perhaps somebody writes it just now
        assert claims.take("a")


def dead(folder, host=None):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    claim = {"host": host or socket.gethostname(), "pid": process.pid, "token": "gone"}
    (folder / "a.claim").write_text(json.dumps(claim))


def test_a_process_that_died_here_is_followed_at_once(tmp_path, caplog):
    dead(tmp_path)
    with Claims(tmp_path) as claims:
        assert claims.take("a")
    assert "Taking over a: process" in caplog.text


class Clock:
    """In place of the module `time`: it goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(subject, "time", clock)
    return clock


def test_a_claim_from_elsewhere_is_taken_over_when_it_stands_still(tmp_path, clock):
    dead(tmp_path, host="elsewhere")
    with Claims(tmp_path, stale_after=60) as claims:
        assert not claims.take("a")
        clock.now += 60
        assert not claims.take("a"), "not before it has stood still for longer than that"
        assert claims.still("a")
        clock.now += 1
        assert claims.take("a")


def test_a_claim_that_lives_is_left_alone_whatever_its_clock_says(tmp_path, clock):
    dead(tmp_path, host="elsewhere")
    with Claims(tmp_path, stale_after=60) as other:
        for sign_of_life in range(5):
            os.utime(tmp_path / "a.claim", (sign_of_life, sign_of_life))
            assert not other.still("a")
            assert not other.take("a")
            clock.now += 50


def test_a_holder_shows_signs_of_life(tmp_path):
    with Claims(tmp_path, beat=0.01) as holder:
        assert holder.take("a")
        for _ in range(3):
            os.utime(tmp_path / "a.claim", (0, 0))
            wait_until(lambda: (tmp_path / "a.claim").stat().st_mtime_ns > 0, "a beat")


def test_a_claim_that_another_took_is_not_given_back(tmp_path, caplog):
    with Claims(tmp_path) as one:
        one.take("a")
        (tmp_path / "a.claim").write_text(json.dumps({"host": "x", "pid": 1, "token": "other"}))
        one.release("a")
        assert (tmp_path / "a.claim").exists()


def test_who_waits_learns_whether_the_holder_lives(tmp_path):
    """A holder that gives signs of life is left alone; one that gives none on another machine is taken over."""
    with Claims(tmp_path, beat=0.05, stale_after=2.0) as one, Claims(tmp_path, beat=0.1, stale_after=2.0) as two:
        assert one.take("training")
        assert not two.take_or_wait("training")
        assert two.holder("training") == f"process {os.getpid()} on {socket.gethostname()}"
    claim = {"host": "elsewhere", "pid": 1, "token": "of another"}
    (tmp_path / "training.claim").write_text(json.dumps(claim))
    with Claims(tmp_path, beat=0.1, stale_after=0.5) as three:
        assert three.take_or_wait("training")
