"""What ends a command: everything that is wrong with a configuration, or a reason met on the way."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..analysis.files.faults import FileFaultError, why

EXIT_INTERRUPTED = 130
"""Exit status of what was ended by Ctrl-C, as shells have it."""


class ConfigError(ValueError):
    """All mistakes found in a configuration, raised once, before any work starts.

    Each problem names the field, its value and the remedy. The command line prints them and exits with status 2.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        assert self.problems, "a ConfigError without problems"
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n".join([f"{head} in the configuration:", *(f"  - {p}" for p in self.problems)]))


def raise_if(problems: Iterable[str]) -> None:
    """Raise `ConfigError` if there is any problem."""
    found = list(problems)
    if found:
        raise ConfigError(found)


class CheckpointDamagedError(ValueError):
    """A checkpoint whose files are there but are not the whole of a model; the message says which and how."""


class StoppedRun(RuntimeError):
    """A run that failed on its way for a reason that its message explains in full; exit status 1."""


@contextmanager
def work_begun() -> Iterator[None]:
    """What a file or the file system refuses once work has begun ends the command with status 1.

    Raises:
        StoppedRun: in place of the error of a user's file, of a full disk and the like.
    """
    try:
        yield
    except FileFaultError as error:
        raise StoppedRun(str(error)) from error
    except OSError as error:
        raise StoppedRun(why(error)) from error


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on the machine or on an accelerator (torch has no one type)."""
    said = str(error)
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said
