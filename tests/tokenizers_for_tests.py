"""A tokenizer of sixty words, and sentences of them."""

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = [f"w{i}" for i in range(60)]
VOCABULARY = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *WORDS])}


def word_tokenizer(template: str | None = None, **special) -> PreTrainedTokenizerFast:
    """One token a word; `template` puts special tokens around it; padding is on the wrong side on purpose."""
    inner = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template:
        inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", **special}
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, padding_side="left", truncation_side="left", **{k: v for k, v in names.items() if v}
    )


def sentences(count: int = 23, seed: int = 0, longest: int = 14) -> list[str]:
    """Sentences of different lengths."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, longest))) for _ in range(count)]
