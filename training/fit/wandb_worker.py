"""A W&B run in a thread of its own: whatever W&B does there, training neither ends nor waits for it."""

import atexit
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import wandb

from ..callbacks.wandb_errors import Result, attempt

log = logging.getLogger(__name__)

Call = Callable[[Any], object]

MODES = ("online", "offline", "disabled")
"""Each is milder than the one before."""
LONGEST_QUEUE = 10_000
"""Calls that may wait for W&B; those of a run that does not move any more are dropped, so that memory does not grow."""
GRACE = 1.0
"""Seconds more than W&B was given itself, for what it does beside waiting for its server."""
PATIENCE = {"online": 3.0, "offline": 60.0}
"""Seconds more than W&B was given until a start in its thread is left behind; nobody waits for it there."""

NOT_ALL = "W&B's server has not taken everything within %g s: %s"

_working: "set[WandbWorker]" = set()
_exiting, _torn_down = threading.Event(), threading.Event()


class WandbWorker:
    """Makes the calls of one W&B run, in their order, in a thread of its own.

    A run that cannot be started, or that fails later, goes on in the next milder mode: offline, then disabled, without
    one. Each of the waits for W&B is bounded: for its start (`wait`), for its end (`end`) and at the end of the process.
    """

    def __init__(self, start: Callable[[str], Any], mode: str, timeout: float) -> None:
        """Begin to start the run.

        Args:
            start: gives a run in a mode (online or offline); raises where it cannot.
            mode: the mode that is tried first.
            timeout: seconds that W&B's server has to answer at the start, and to take the rest at the end.
        """
        self.run: Any = None
        self.mode = mode
        self._start, self._timeout = start, timeout
        self._calls: queue.Queue[Call | None] = queue.Queue(LONGEST_QUEUE)
        self._begun, self._ended = threading.Event(), threading.Event()
        self._told: set[str] = set()
        self._restarted, self._exit_code = False, 0
        self.ending = False
        _working.add(self)
        _last_resort()
        threading.Thread(target=self._work, name="wandb", daemon=True).start()

    def wait(self) -> None:
        """Wait until the run has started, a bounded time."""
        self._begun.wait(self._timeout + GRACE)
        _be_first_at_exit()

    def send(self, call: Call) -> None:
        """Have a call made with the run; returns at once, and never raises."""
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._tell("W&B has stopped taking values: from here on results/ and logs/ have more than it")

    def end(self, exit_code: int = 0) -> None:
        """Make the calls that wait, and end the run. What is not done in time goes on beside what follows."""
        if not self.ending:
            self.ending, self._exit_code = True, exit_code
            try:
                self._calls.put_nowait(None)
            except queue.Full:
                log.debug("W&B is stuck: it has no place for its end")
        if self._ended.wait(self._timeout + GRACE):
            return
        if self.run is None:
            self._tell("W&B has not started by the end of the run; results/ and logs/ are whole")
        else:
            self._tell(NOT_ALL, self._timeout + GRACE, self._sync())

    def _work(self) -> None:
        self._go_on(MODES[MODES.index(self.mode) :])
        self._begun.set()
        while (call := self._calls.get()) is not None:
            self._make(call)
            if self.ending and self._calls.empty():  # there was no place for the end
                break
        if self.run is not None:
            _, failure = attempt(lambda: self.run.finish(exit_code=self._exit_code))
            if failure is not None:
                log.debug("W&B at its end: %s", failure)
                self._tell(NOT_ALL, self._timeout, self._sync())
        _working.discard(self)
        self._ended.set()

    def _make(self, call: Call) -> None:
        if self.run is None:
            return
        _, failure = attempt(partial(call, self.run))
        if failure is None:
            return
        if attempt(lambda: self.run.log({}, commit=False))[1] is None:
            # The run lives: it is these values that it does not take.
            self._tell("W&B did not take everything (%s); results/ and logs/ are whole. This is told once", failure)
            return
        modes, self._restarted = MODES[2 if self._restarted else 1 :], True
        self._go_on(modes, failure, call)

    def _go_on(self, modes: Sequence[str], failure: str | None = None, call: Call | None = None) -> None:
        """Start the run in the first mode that works, and make the call that failed before; tell how it ended, once."""
        asked = self.mode
        for mode in modes:
            if failure is not None:
                self._set_aside()
            self.mode = mode
            if mode == "disabled":
                self.run = None
                break
            self.run, error = _within(self._timeout + PATIENCE[mode], partial(self._start, mode))
            _be_first_at_exit()
            if error is None and call is not None:
                _, error = attempt(partial(call, self.run))
            if error is None:
                break
            failure = failure or error
        if failure is not None and self.run is not None and self.mode == "offline":
            self._tell("W&B %s failed (%s). Offline from here on; %s", asked, failure, self._sync())
        elif failure is not None:
            self._tell("W&B %s failed (%s). Going on without it; results/ and logs/ are whole", asked, failure)

    def _set_aside(self) -> None:
        """Make room for another start: W&B keeps the id of a run that failed until it is torn down."""
        if wandb.run is None and all(worker is self or worker.ending for worker in list(_working)):
            _within(GRACE, wandb.teardown)
        elif self.run is not None:  # torn down, W&B would lose the other runs of this process too
            _within(GRACE, self.run.finish)

    def _sync(self) -> str:
        folder, _ = attempt(lambda: Path(self.run.dir).parent)
        return f"`wandb sync {folder}` uploads it"

    def _tell(self, message: str, *values: Any) -> None:
        if message not in self._told:
            self._told.add(message)
            log.warning(message, *values)


def _within(seconds: float, call: Callable[[], Result]) -> tuple[Result | None, str | None]:
    """As `attempt`, for a call that may never return: no version of W&B keeps all the limits that it is given."""
    outcome: list[tuple[Result | None, str | None]] = []
    thread = threading.Thread(target=lambda: outcome.append(attempt(call)), name="wandb-call", daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else (None, f"nothing for {seconds:g} s")


def _be_first_at_exit() -> None:
    """The hook registered last runs first: before that of a start of W&B, which waits for its process without a limit."""
    atexit.unregister(_end_all)
    atexit.register(_end_all)


def _last_resort() -> None:
    """A thread that tears W&B down when the process ends: by then some versions of Python start none any more."""
    if not any(thread.name == "wandb-teardown" for thread in threading.enumerate()):
        threading.Thread(target=_teardown_at_exit, name="wandb-teardown", daemon=True).start()


def _teardown_at_exit() -> None:
    _exiting.wait()
    # It takes back W&B's own hook first of all; then it waits for W&B's process, which ends with ours.
    attempt(wandb.teardown)
    _torn_down.set()


def _end_all() -> None:
    """End what nobody has ended, and go before W&B's own hook, which waits for its server without a limit."""
    for worker in list(_working):
        if not worker.ending:
            worker.end()
    if wandb.run is None:  # else somebody else's run, which has its own time
        _exiting.set()
        _torn_down.wait(GRACE)
