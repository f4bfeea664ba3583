"""Configuration files as they were meant: what YAML takes silently for something else is named."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from ..analysis.files import FileFaultError, read_whole_text


def config_files(words: Sequence[str]) -> list[Path]:
    """The files that words of a command line name with `--config`."""
    found = []
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == "--config":
            found.append(Path(following))
        elif word.startswith("--config="):
            found.append(Path(word.removeprefix("--config=")))
    return [path for path in found if path.is_file()]


_plain_loader = get_loader("yaml")
_LANGUAGES = re.compile(r"(\w+_)?languages?")
_BOOL, _INT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int"


def load_with_languages(text: str) -> Any:
    """YAML as jsonargparse reads it, but for names of languages: `no` is Norwegian there, and as a key everywhere.

    Taken back are the words that YAML reads as true or false, and in lists of languages whole numbers.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        root = None  # said by the reader itself
    places = sorted(_misread(root, False), reverse=True) if root is not None else []
    for start, end in places:
        text = f'{text[:start]}"{text[start:end]}"{text[end:]}'
    return _plain_loader(text)


def _misread(node: yaml.Node, of_languages: bool) -> Iterator[tuple[int, int]]:
    """Where words stand that are meant as names and read as something else; (begin, end) in the text."""
    if isinstance(node, yaml.ScalarNode):
        number = node.tag == _INT and str(int(node.value)) == node.value if node.value.isdecimal() else False
        if of_languages and node.style is None and (node.tag == _BOOL or number):
            yield node.start_mark.index, node.end_mark.index
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _misread(item, of_languages)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag == _BOOL and key.style is None:
                yield key.start_mark.index, key.end_mark.index
            name = str(key.value)
            counted = name == "languages" and value.tag == _INT  # a toy world says how many
            yield from _misread(value, _LANGUAGES.fullmatch(name) is not None and not counted)


def repeated_keys(path: Path) -> Iterator[str]:
    """Keys that stand twice in one mapping: the library keeps the last and drops the others without a word.

    A file that is no YAML is named, with the place.
    """
    try:
        root = yaml.compose(read_whole_text(path), Loader=yaml.SafeLoader)
    except FileFaultError as error:
        yield str(error)
        return
    except yaml.YAMLError as error:
        yield f"{path} is no YAML: {' '.join(str(error).split())}"
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
