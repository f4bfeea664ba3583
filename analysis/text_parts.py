"""A text file in parts that processes can share out, a sentence a line."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 20
PART_BYTES = 16 << 20
# White space that is not one space between words.
UNEVEN = re.compile(r"[^\S\n ]|  |^ | $|\n | \n")


@dataclass(frozen=True)
class TextPart:
    """Bytes of a file: the lines that begin at or after `start` and before `end`."""

    language: str
    path: Path
    start: int
    end: int

    def chunks(self) -> Iterator[list[str]]:
        """Its lines, some at a time."""
        with self.path.open("rb") as file:
            if self.start:
                file.seek(self.start - 1)
                file.readline()
            while (place := file.tell()) < self.end:
                lines = file.readlines(min(CHUNK_BYTES, self.end - place))
                text = b"".join(lines).decode("utf-8", "replace")
                if UNEVEN.search(text):
                    yield [clean for line in text.split("\n") if (clean := " ".join(line.split()))]
                else:
                    yield [line for line in text.split("\n") if line]


def text_parts(language: str, path: Path) -> list[TextPart]:
    """A file in parts whose bounds depend on nothing but its size."""
    size = os.path.getsize(path)
    return [TextPart(language, path, start, min(start + PART_BYTES, size)) for start in range(0, size, PART_BYTES)]
