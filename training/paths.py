"""One reading of paths in a configuration: `~` and environment variables, for every field of every command."""

import os
import re
from collections.abc import Iterator
from typing import Any

from jsonargparse import Namespace

_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
_WORDS = frozenset({"note", "prompt"})
"""Fields that hold words for people."""


def expand_paths(settings: Any, field: str = "") -> Iterator[str]:
    """Replace `~/…` and `$NAME` in all texts among parsed settings, in place, but in those that people read.

    Yields:
        what is wrong: a variable that the environment lacks, by its field.
    """
    for key, value in _entries(settings):
        name = f"{field}[{key}]" if isinstance(key, int) else f"{field}.{key}" if field else str(key)
        if isinstance(value, str) and key not in _WORDS:
            settings[key] = found = os.path.expanduser(os.path.expandvars(value))
            missing = _VARIABLE.search(found)
            if missing:
                yield f"{name}={value}: the environment has no {missing[0].strip('${}')}; set it, or write the path out"
        elif isinstance(value, Namespace | dict | list):
            yield from expand_paths(value, name)


def _entries(settings: Any) -> list[tuple[Any, Any]]:
    if isinstance(settings, list):
        return list(enumerate(settings))
    return list((vars(settings) if isinstance(settings, Namespace) else settings).items())
