"""The tokenizer of a store: how to train one, on which text, and how it is kept."""

from .training import (
    ALGORITHMS,
    SMALLEST_VOCABULARY,
    SPECIAL_TOKENS,
    TokenizerConfig,
    copy,
    digest,
    save,
    separator_and_size,
    train,
)

__all__ = [
    "ALGORITHMS",
    "SMALLEST_VOCABULARY",
    "SPECIAL_TOKENS",
    "TokenizerConfig",
    "copy",
    "digest",
    "save",
    "separator_and_size",
    "train",
]
