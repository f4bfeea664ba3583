"""Being told to stop by a scheduler: a handler that only sets a flag, for training to ask at the end of a step."""

import os
import signal
import threading
from types import FrameType
from typing import Any

EXIT_RESUMABLE = 75
"""Exit status (EX_TEMPFAIL) of a run that saved its state and wants to be queued again with --resume."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether SIGTERM or SIGUSR1 has arrived since `watch`.

    Saving inside a handler would wait for processes that sit in another collective operation: the flag is read between
    steps, where all processes can agree.
    """

    def __init__(self) -> None:
        self.arrived = False
        self._previous: dict[int, Any] = {}
        self._owner = 0

    def watch(self) -> None:
        """Install the handlers, where this thread may. Forked loader workers inherit them: they act here alone."""
        self._owner = os.getpid()
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._on_signal) for number in SIGNALS}

    def release(self) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._owner:
            self.arrived = True
