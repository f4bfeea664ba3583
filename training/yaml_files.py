"""Configuration files as they were meant: what YAML takes silently for something else is named."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml


def config_files(words: Sequence[str]) -> list[Path]:
    """The files that words of a command line name with `--config`."""
    found = []
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == "--config":
            found.append(Path(following))
        elif word.startswith("--config="):
            found.append(Path(word.removeprefix("--config=")))
    return [path for path in found if path.is_file()]


def repeated_keys(path: Path) -> Iterator[str]:
    """Keys that stand twice in one mapping: the library keeps the last and drops the others without a word.

    A file that is no YAML is left to whoever reads it.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    if root is not None:
        yield from _repeated(root, path, "")


def _repeated(node: yaml.Node, path: Path, field: str) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, path, f"{field}[{index}]")
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name = f"{field}.{key.value}" if field else str(key.value)
            line = key.start_mark.line + 1
            if key.value in first:
                yield f"{path}, line {line}: {name} stands in line {first[key.value]} already; join the two"
            first.setdefault(key.value, line)
            yield from _repeated(value, path, name)
