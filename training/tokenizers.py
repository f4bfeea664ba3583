"""Tokenizers as they lie on disk: what a library hands back is held against the file that it was made from.

transformers makes up a tokenizer where there is none (eleven words for XGLM, and every text is unknown), and rebuilds
some classes with a pre-tokenizer of their own (GPT-2's cuts Hindi into five times as many ids as its tokenizer.json).
"""

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from .errors import CheckpointDamagedError, first_line

log = logging.getLogger(__name__)

DEFINITION = "tokenizer.json"
REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_VOCABULARIES = (
    DEFINITION, "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt", "tekken.json",
    "merges.txt", "bpe.codes",
)  # fmt: skip
PROBES = (
    "The river's 3 boats don't sail  before 10:45.",
    "En été, où l'on naît: çà et là, 1 234,5 œufs.",
    "Reka, žluťoučký kůň, İstanbul'da güneşli.",
    "Река течёт на юг; ещё 17 вёрст.",
    "في القرية نَهرٌ صغير، و٣ قوارب.",
    "دریا کے کنارے ایک گاؤں ہے۔",
    "नदी के किनारे एक गाँव है, बाज़ार में सब्ज़ियाँ।",
    "নদীর ধারে একটি গ্রাম, ৩টি নৌকা।",
    "ஆற்றின் கரையில் ஒரு கிராமம்.",
    "నది ఒడ్డున ఒక ఊరు ఉంది.",
    "แม่น้ำไหลผ่านหมู่บ้าน",
    "河边有一个村庄，三条船。川のほとりに村がある。강가의 마을",
    "Nắng ấm ở làng bên sông.",
    "def f(x):\n\treturn x ** 2  # ok",
)
"""Lines in many scripts, with marks, digits, apostrophes and white space: what pre-tokenizers differ in."""


class NoTokenizerError(ValueError):
    """There is no tokenizer where one was looked for; `reason` says what is there."""

    def __init__(self, path: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"tokenizer: none can be loaded from {path} ({reason}): name one with tokenizer=NAME_OR_FOLDER, for example "
            "that of the final model's repository"
        )


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or a repository, with the ids of its own tokenizer.json.

    Where the library's class cuts text otherwise, the file's own definition is used, with a warning.

    Raises:
        CheckpointDamagedError: its files are there and can't be read.
        NoTokenizerError: there is none.
        ValueError: no class cuts text as its file does.
    """
    path = os.path.expanduser(path)
    if Path(path).is_dir() and not has_tokenizer(path):
        raise NoTokenizerError(path, f"it holds none of {', '.join(_VOCABULARIES[:3])}, …")
    try:
        loaded = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # a damaged tokenizer.json is a plain Exception to the library
        if (Path(path) / DEFINITION).exists():
            raise CheckpointDamagedError(f"{path}: {DEFINITION} can't be read ({first_line(error)})") from error
        if not isinstance(error, OSError | ValueError | KeyError | TypeError):
            raise
        raise NoTokenizerError(path, first_line(error)) from error
    if not has_tokenizer(path, loaded.vocab_files_names.values()):
        raise NoTokenizerError(path, "it has none, and the library would make one up")
    own = definition_of(path)
    if own is None or same_ids(loaded, own):
        return loaded
    faithful = PreTrainedTokenizerFast.from_pretrained(path)
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        token = getattr(loaded, name)
        if getattr(faithful, name) is None and token is not None and own.token_to_id(token) is not None:
            setattr(faithful, name, token)
    if not same_ids(faithful, own):
        raise ValueError(
            f"tokenizer: {path} cuts text otherwise than its own {DEFINITION}, by {type(loaded).__name__} and without "
            f"it: save it again with the library that made it"
        )
    log.warning(
        "Tokenizer %s: %s cuts text otherwise than %s, which is followed", path, type(loaded).__name__, DEFINITION
    )
    return faithful


def has_tokenizer(path: str, names: Iterable[str] = ()) -> bool:
    """Whether there is anything that a tokenizer can be read from."""
    folder = Path(path)
    if not folder.is_dir():
        return any(_file(path, name) for name in (*_VOCABULARIES, *names))
    return any(
        file.name in _VOCABULARIES or file.name.startswith("vocab") or file.suffix in (".model", ".tiktoken")
        for file in folder.iterdir()
    )


def definition_of(path: str | Path) -> Tokenizer | None:
    """What the tokenizer.json of a folder or a repository says by itself; None where there is none."""
    file = _file(str(path), DEFINITION)
    if file is None:
        return None
    own = Tokenizer.from_file(file)
    own.no_truncation()
    own.no_padding()
    return own


def same_ids(loaded: Any, own: Tokenizer) -> bool:
    """Whether a tokenizer cuts the probes, special tokens left out, into the ids of a definition."""
    found = loaded(list(PROBES), add_special_tokens=False)["input_ids"]
    return [list(ids) for ids in found] == [
        encoded.ids for encoded in own.encode_batch(list(PROBES), add_special_tokens=False)
    ]


def _file(path: str, name: str) -> str | None:
    """A file of a folder, or of a repository where it has been fetched already."""
    if Path(path).is_dir():
        return str(Path(path) / name) if (Path(path) / name).exists() else None
    found = try_to_load_from_cache(path, name) if REPOSITORY.fullmatch(path) else None
    return found if isinstance(found, str) else None
