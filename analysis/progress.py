"""Signs of life inside a long analysis: now and then a line in the log that says how far it is."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from .numbers import duration

log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two lines; an analysis that is done sooner says nothing."""

Item = TypeVar("Item")


def telling(
    items: Sequence[Item],
    analysis: str,
    what: str,
    called: Callable[[Item], str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Go through the parts of an analysis, and say in the log how many are done and how long the rest may take.

    Args:
        analysis: its name.
        what: what an item is, for example a language.
        called: the name of an item.
    """
    began = told = clock()
    for done, item in enumerate(items):
        now = clock()
        if done and now - told >= EVERY:
            told = now
            left = (now - began) / done * (len(items) - done)
            name = "" if called is None else f" ({called(item)})"
            log.info("%s: %s %d of %d%s, about %s left", analysis, what, done + 1, len(items), name, duration(left))
        yield item
