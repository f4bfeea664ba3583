"""An instrument's settings: names, defaults, text and checks in one place, for analysis, callback and command alike.

A subclass is a frozen dataclass whose fields carry their text below them. Analyses and callbacks take the same settings
as keyword arguments and hand them to the subclass; the command line follows them there for types, defaults and help.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any


class SettingsError(ValueError):
    """Everything that is out of range among an instrument's settings."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class Settings:
    """Settings that are checked when they are made.

    Raises:
        SettingsError: with everything that `problems` finds.
    """

    def __post_init__(self) -> None:
        found = list(self.problems())
        if found:
            raise SettingsError(found)

    @classmethod
    def wrong(cls, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """What is out of range among keyword arguments; those that are no settings of this kind are passed over."""
        names = {field.name for field in fields(cls)}
        try:
            cls(**{name: value for name, value in arguments.items() if name in names})
        except SettingsError as error:
            return error.problems
        return ()

    def problems(self) -> Iterator[str]:
        """What is out of range, each with field, value and remedy."""
        yield from ()

    def as_arguments(self) -> dict[str, Any]:
        """The settings by name, to be handed on as keyword arguments."""
        return self.pick(*(field.name for field in fields(self)))

    def pick(self, *names: str) -> dict[str, Any]:
        """Some of the settings by name, for example what findings record."""
        return {name: getattr(self, name) for name in names}

    def _positive(self, of: str, *names: str) -> Iterator[str]:
        """A problem for every one of these fields that is no positive number; `of` says of what, or nothing."""
        for name in names:
            if not getattr(self, name) > 0:
                yield f"{name}={getattr(self, name)}: give a positive number{of}"

    def _at_least(self, least: int, *names: str) -> Iterator[str]:
        """A problem for every one of these fields that is below a number; None is no number."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value < least:
                yield f"{name}={value}: give at least {least}"
