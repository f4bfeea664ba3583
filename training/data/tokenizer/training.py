"""The tokenizer: trained here, or taken from a folder or the hub, and kept inside the store.

Nothing is lost on the way: white space is part of the pieces, a character without a piece falls back to its bytes, and
text that looks like a special token stays text. So every NFC string comes back from its ids as it was.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from ...tokenizers import NoTokenizerError, definition_of, load_tokenizer, same_ids
from . import unigram

log = logging.getLogger(__name__)

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))
ALGORITHMS = ("unigram", "bpe")
SMALLEST_VOCABULARY = len(SPECIAL_TOKENS) + len(BYTE_PIECES) + 40

# A word with the space before it, a number, other signs, or white space. Marks and joiners belong to words, as Indic
# and Arabic scripts need. Letters and signs are never in one piece, so neither "</s>" nor "<0x41>" can be one.
WORDS = r" ?[\p{L}\p{M}\x{200C}\x{200D}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}\x{200C}\x{200D}]+|\s+(?!\S)|\s+"


@dataclass
class TokenizerConfig:
    """A tokenizer by name or folder, or how to train one."""

    path: str | None = None
    """Folder or hub name of a tokenizer to use, for example facebook/xglm-564M; leave it out to train one."""
    algorithm: str = "unigram"
    """What to train: "unigram" (with byte fallback) or "bpe" (on bytes)."""
    vocab_size: int = 32_000
    """Words of the trained tokenizer, the four special tokens and 256 bytes among them."""
    alpha: float = 0.3
    """How languages share the training text: in proportion to n^alpha for n bytes of text; 1 leaves their proportions,
    0 makes them equal."""
    max_training_bytes: int = 20_000_000
    """Text to train on, all languages together."""
    max_repeats: float = 1.0
    """A small language's text counts at most so many times over, even if its share is larger. Beyond 1, words seen
    once begin to take pieces of their own."""
    character_coverage: float = 0.9999
    """Share of all characters that get a piece of their own when training "unigram"; rarer ones are spelled in
    bytes."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these settings."""
        found: list[str] = []
        if self.path is not None:
            return found
        if self.algorithm not in ALGORITHMS:
            found.append(f"tokenizer.algorithm is {self.algorithm!r}; choose {' or '.join(ALGORITHMS)}")
        if self.vocab_size < SMALLEST_VOCABULARY:
            found.append(
                f"tokenizer.vocab_size is {self.vocab_size}; give at least {SMALLEST_VOCABULARY}: 4 special tokens, "
                "256 bytes and room for pieces"
            )
        if not 0 <= self.alpha <= 1:
            found.append(f"tokenizer.alpha is {self.alpha}; give a number from 0 (equal shares) to 1")
        if self.max_training_bytes < 1:
            found.append(f"tokenizer.max_training_bytes is {self.max_training_bytes}; give at least 1")
        if self.max_repeats < 1:
            found.append(f"tokenizer.max_repeats is {self.max_repeats}; give at least 1 (no repeats)")
        if not 0 < self.character_coverage <= 1:
            found.append(f"tokenizer.character_coverage is {self.character_coverage}; give 0.999 to 1")
        return found


def train(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Train a tokenizer on NFC texts; the same texts, in any order, give the same tokenizer.

    "unigram" pieces are learned by `unigram.learn`, "bpe" merges by the library's trainer.

    Raises:
        ValueError: if the vocabulary has no room for the characters of the texts.
    """
    return _train_bpe(texts, config) if config.algorithm == "bpe" else _train_unigram(texts, config)


def _train_bpe(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    words = pre_tokenizers.Split(Regex(WORDS), "isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = _dress(Tokenizer(models.BPE()), pre_tokenizers.Sequence([words, as_bytes]), decoders.ByteLevel())
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _train_unigram(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    split = pre_tokenizers.Split(Regex(WORDS), "isolated")
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in split.pre_tokenize_str(f" {text}"))
    room = config.vocab_size - len(SPECIAL_TOKENS) - len(BYTE_PIECES)
    try:
        pieces = unigram.learn(_without_rare(words, config.character_coverage), room)
    except unigram.TooManyCharacters as error:
        raise ValueError(
            f"tokenizer.vocab_size is {config.vocab_size}, but the text alone has {error.characters} characters that "
            "need a piece; raise vocab_size, or lower character_coverage so that rare ones are spelled in bytes"
        ) from error
    lowest = pieces[-1][1]
    vocabulary = [
        *((token, 0.0) for token in SPECIAL_TOKENS),
        *((piece, lowest) for piece in BYTE_PIECES),
        *pieces,
    ]
    model = models.Unigram(vocabulary, unk_id=SPECIAL_TOKENS.index("<unk>"), byte_fallback=True)
    return _dress(Tokenizer(model), split, decoders.ByteFallback())


def _without_rare(words: Mapping[str, int], coverage: float) -> dict[str, int]:
    """Words cut at each character beyond the most frequent ones that make up the coverage."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    allowed = (1 - coverage) * counts.total()
    rare: set[str] = set()
    for character, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        allowed -= count
        if allowed < 0:
            break
        rare.add(character)
    cut: Counter[str] = Counter()
    for word, count in words.items():
        if rare.isdisjoint(word):
            cut[word] += count
            continue
        for part in "".join("\n" if character in rare else character for character in word).split("\n"):
            cut[part] += count
    del cut[""]
    return cut


def _dress(tokenizer: Tokenizer, words: Any, decoder: Any) -> Tokenizer:
    """Everything around the model. A text begins with a space, as its words inside do, and loses it on the way back."""
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Prepend(" ")])
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.Sequence([decoder, decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    end = "</s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{end} $A",
        pair=f"{end} $A {end} {end} $B",
        special_tokens=[(end, SPECIAL_TOKENS.index(end))],
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: str | Path) -> None:
    """Write a trained tokenizer for `AutoTokenizer.from_pretrained`."""
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="right",
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(str(folder))


def copy(path: str, folder: str | Path) -> None:
    """Copy a tokenizer from a folder or the hub, with a padding token and padding on the right.

    Raises:
        ValueError: if there is none, or if it has no fast version or no end-of-text token to put between documents.
    """
    try:
        tokenizer = load_tokenizer(path)
    except NoTokenizerError as error:
        raise ValueError(
            f"tokenizer.path is {path}, from which no tokenizer can be loaded ({error.reason}); give a folder with "
            "tokenizer.json, a name on the hub, or leave path out to train one"
        ) from error
    if not tokenizer.is_fast:
        raise ValueError(f"tokenizer.path is {path}, which has no fast tokenizer (tokenizer.json); convert it first")
    if tokenizer.eos_token_id is None:
        raise ValueError(f"tokenizer.path is {path}, which has no eos token to put between documents; set one")
    if tokenizer.pad_token_id is None:
        log.warning("tokenizer %s has no padding token; its eos token %s pads", path, tokenizer.eos_token)
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    tokenizer.clean_up_tokenization_spaces = False
    tokenizer.save_pretrained(str(folder))
    own, copied = definition_of(path), definition_of(folder)
    if copied is None or not same_ids(load_tokenizer(folder), own or copied):
        raise ValueError(
            f"tokenizer.path is {path}, whose copy cuts text otherwise than itself; save it again with the library that "
            "made it"
        )


def digest(folder: str | Path) -> str:
    """SHA-256 of the tokenizer's definition."""
    return hashlib.sha256((Path(folder) / "tokenizer.json").read_bytes()).hexdigest()


def separator_and_size(folder: str | Path) -> tuple[int, int]:
    """The id put before each document, and the least vocabulary that holds all ids."""
    tokenizer = load_tokenizer(folder)
    return tokenizer.eos_token_id, max(tokenizer.get_vocab().values()) + 1
