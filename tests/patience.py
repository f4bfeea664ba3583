"""Waiting for what another thread, process or program does: for as long as it takes, within reason."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0
"""Seconds. No bound on anything: whoever waits that long waits for what never comes, on a busy machine too."""


def wait_until(found: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of `found`, asked for every 50 ms.

    Raises:
        TimeoutError: there was none.
    """
    end = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return value
