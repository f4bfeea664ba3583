"""Being told to stop, by a scheduler or by Ctrl-C: a handler that only sets a flag, for training to ask between steps."""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

import lightning.pytorch as pl

from ..errors import EXIT_INTERRUPTED

log = logging.getLogger(__name__)

EXIT_RESUMABLE = 75
"""Exit status (EX_TEMPFAIL) of a run that saved its state and wants to be queued again with --resume."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopRequest:
    """Whether SIGTERM, SIGUSR1 or SIGINT (Ctrl-C) has arrived since `watch`; a second SIGINT ends at once.

    Saving inside a handler would wait for processes that sit in another collective operation: the flag is read between
    steps, where all processes can agree.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal that arrived."""
        self.at_once = False
        """Whether Ctrl-C was pressed twice."""
        self._previous: dict[int, Any] = {}
        self._owner = 0

    @property
    def arrived(self) -> bool:
        """Whether any signal has."""
        return self.number is not None

    @property
    def exit_status(self) -> int:
        """With which status a run that was stopped so ends."""
        return EXIT_INTERRUPTED if self.number == signal.SIGINT else EXIT_RESUMABLE

    def watch(self) -> None:
        """Install the handlers, where this thread may; again where others have put theirs before.

        Forked loader workers inherit them: they act in this process alone.
        """
        self._owner = os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.signal(number, self._on_signal)
                if before != self._on_signal:
                    self._previous.setdefault(number, before)

    def release(self) -> None:
        """Put the handlers back that were there before the first `watch`."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            return
        if number == signal.SIGINT == self.number:
            self.at_once = True
            raise KeyboardInterrupt
        if self.number is None:
            self.number = number
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            more = "; once more ends it at once, without saving" if number == signal.SIGINT else ""
            log.warning("%s: the run stops after this step and saves its state%s", name, more)


class StopWatch(pl.Callback):
    """Puts the run's handlers before Lightning's, which are installed last before training starts; the first of all."""

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning would end the process for SIGTERM without a state and without a status."""
        self.request.watch()
