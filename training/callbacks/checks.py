"""What is wrong with callbacks as a configuration lists them, before any of them is made."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

from .base import AnalysisCallback

Entry = Mapping[str, Any]
"""`class_path` and `init_args` of a callback."""


def settings_out_of_range(callbacks: Sequence[Entry] | None, field: str) -> Iterator[str]:
    """What is wrong with the settings of analysis callbacks; `field` is the name of their list."""
    for index, kind, arguments in _analyses(callbacks):
        yield from (f"{field}[{index}].{problem}" for problem in kind.settings_type.wrong(arguments))


def writers(callbacks: Sequence[Entry] | None) -> list[tuple[str, str | None]]:
    """The analysis, and the folder of results if one is named, of each analysis callback."""
    return [(kind.name, arguments.get("results")) for _, kind, arguments in _analyses(callbacks)]


def repeated(found: Iterable[tuple[str, str | None]], field: str) -> Iterator[str]:
    """Analyses that stand twice in a list and would write over each other's results."""
    for (name, results), count in Counter(found).items():
        if count > 1:
            where = "" if results is None else f" in {results}"
            yield (
                f"{field} has {name} {count} times, and each writes over the other's results{where}: leave one"
                ", or do the other in a run of its own"
            )


def analyses_among(callbacks: Sequence[Entry]) -> list[Entry]:
    """Those entries that are analysis callbacks."""
    return [callbacks[index] for index, _, _ in _analyses(callbacks)]


def _analyses(callbacks: Sequence[Entry] | None) -> Iterator[tuple[int, type[AnalysisCallback], Mapping[str, Any]]]:
    for index, entry in enumerate(callbacks or ()):
        kind = locate(entry["class_path"])
        if isinstance(kind, type) and issubclass(kind, AnalysisCallback):
            yield index, kind, entry.get("init_args") or {}


def unready(
    callbacks: Sequence[Any],
    last: int | None = None,
    steps: Sequence[int] | None = None,
    results: str | Path | None = None,
) -> Iterator[str]:
    """What is wrong with what callbacks read, told before the first step; those that are ready are not asked again.

    Args:
        last: the last step of a training, where it is known; each callback's schedule says when it is due.
        steps: the steps of a sweep, at which every callback is due.
        results: where results of a sweep lie.
    """
    told = set()
    for index, callback in enumerate(callbacks):
        if isinstance(callback, AnalysisCallback):
            due = steps if steps is not None or last is None else callback.schedule.steps(last)
            try:
                callback.make_ready(callbacks[:index], due, results)
            except ValueError as error:
                name = type(callback).__name__
                if str(error) not in told:  # one that leans on another meets the other's mistake again
                    yield str(error) if str(error).startswith(name) else f"{name}: {error}"
                told.add(str(error))
