"""The order in which a sweep takes its checkpoints: claimed from other processes, fetched ahead, told as they end."""

import logging
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..claims import Claims
from .checkpoint import Checkpoint
from .hub import CheckpointMissing, Hub
from .work import CheckpointWork

log = logging.getLogger(__name__)


class SweepStoppedError(RuntimeError):
    """A sweep that ended before its last checkpoint, for a reason that the message explains; results are valid."""


@dataclass
class Sweep:
    """The order of the work: claimed and fetched ahead, analysed one checkpoint at a time."""

    work: CheckpointWork
    series: list[Checkpoint]
    hub: Hub
    claims: Claims
    keep: int
    skip: bool

    def run(self) -> list[str]:
        """Do all that is left, apart from what other living processes are at.

        Returns:
            What could not be analysed, now or earlier: a line a checkpoint, with the reasons.
        """
        todo = deque(checkpoint for checkpoint in self.series if self.work.due(checkpoint.step))
        if len(todo) < len(self.series):
            log.info("%d of %d checkpoints have their results already", len(self.series) - len(todo), len(self.series))
        self._clear()
        ahead: deque[tuple[Checkpoint, Future[Path]]] = deque()
        total, done, skipped, began = len(todo), 0, 0, time.perf_counter()
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher:
            try:
                while todo or ahead:
                    self._claim(todo, ahead, fetcher)
                    if not ahead:
                        if self._others_live(todo):
                            break
                        continue
                    checkpoint, arriving = ahead.popleft()
                    started = time.perf_counter()
                    try:
                        self.work.analyse(checkpoint, arriving.result())
                        done += 1
                        spent = time.perf_counter() - began
                        left = spent / (done + skipped) * (total - done - skipped)
                        log.info(
                            "%d of %d: step %d in %.1f s; %s",
                            done + skipped,
                            total,
                            checkpoint.step,
                            time.perf_counter() - started,
                            f"about {_span(left)} left" if done + skipped < total else f"all in {_span(spent)}",
                        )
                    except CheckpointMissing as error:
                        if not self.skip:
                            raise SweepStoppedError(
                                f"{error}\nWhat was found so far is in {self.work.folder.results}; the same command "
                                "goes on, missing: skip goes on without this checkpoint"
                            ) from error
                        skipped += 1
                        log.warning("Skipped step %d: %s", checkpoint.step, error)
                    finally:
                        self._let_go(checkpoint)
            finally:
                self.hub.close()
                for checkpoint, arriving in ahead:
                    arriving.cancel()
                    self._release(checkpoint)
        if skipped:
            log.warning("%d checkpoints were skipped", skipped)
        return [line for checkpoint in self.series if (line := self._failures(checkpoint.step))]

    def _failures(self, step: int) -> str:
        by_reason: dict[str, list[str]] = {}
        for analysis, reason in self.work.failures(step).items():
            by_reason.setdefault(reason, []).append(analysis)
        reasons = "; ".join(f"{reason} ({', '.join(names)})" for reason, names in by_reason.items())
        return f"step {step}: {reasons}" if reasons else ""

    def _claim(
        self, todo: deque[Checkpoint], ahead: deque[tuple[Checkpoint, "Future[Path]"]], fetcher: ThreadPoolExecutor
    ) -> None:
        """Claim the next checkpoint, and as many further ones as may be fetched ahead."""
        for _ in range(len(todo)):
            # What is local needs no fetching: to claim it early would only keep it from others.
            if len(ahead) >= (self.keep if todo[0].remote else 1):
                return
            checkpoint = todo.popleft()
            if not self.claims.take(_name(checkpoint)):
                todo.append(checkpoint)
            elif not self.work.due(checkpoint.step):
                self._release(checkpoint)  # another process did it in the meantime
            else:
                ahead.append((checkpoint, fetcher.submit(self.hub.fetch, checkpoint)))

    def _others_live(self, todo: deque[Checkpoint]) -> bool:
        """Whether all that is left is in the hands of living processes; waits until that is known."""
        for checkpoint in [checkpoint for checkpoint in todo if not self.work.due(checkpoint.step)]:
            todo.remove(checkpoint)
        if not todo:
            return False
        log.info("%d checkpoints are claimed by other processes: waiting for a sign of life", len(todo))
        until = time.monotonic() + self.claims.stale_after
        while time.monotonic() < until:
            if not any(self.claims.still(_name(checkpoint)) for checkpoint in todo):
                claimable = [c for c in todo if self.work.due(c.step) and not self.claims.held(_name(c))]
                if claimable:
                    return False
                log.info("Other processes are at work on steps %s", ", ".join(str(c.step) for c in todo))
                return True
            time.sleep(min(1.0, self.claims.beat))
        return False

    def _let_go(self, checkpoint: Checkpoint) -> None:
        if checkpoint.remote:
            self.hub.release(checkpoint)
        self.claims.release(_name(checkpoint))

    def _release(self, checkpoint: Checkpoint) -> None:
        # What was half fetched stays: the next process to claim it goes on from there.
        self.claims.release(_name(checkpoint))

    def _clear(self) -> None:
        """Remove what a dead process had fetched for work that others then finished."""
        for checkpoint in self.series:
            if checkpoint.remote and not self.work.due(checkpoint.step) and not self.claims.held(_name(checkpoint)):
                self.hub.release(checkpoint)


def _name(checkpoint: Checkpoint) -> str:
    return f"step_{checkpoint.step:08d}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
