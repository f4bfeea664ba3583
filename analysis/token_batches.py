"""Sentences to right-padded batches under a token budget, and back into the order in which they came.

Shapes: B sentences of a batch, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..model.sites import most_positions

_AT_ONCE = 1000
"""Sentences given to a tokenizer at a time."""


@dataclass(frozen=True)
class TokenBatch:
    """A padded batch.

    Attributes:
        rows: which sentences these are.
        ids_BT, attention_BT: int64 input of the model; padding is on the right.
        counted: first and last + 1 of each sentence's tokens whose responses count; equal ones are neighbours.
    """

    rows: tuple[int, ...]
    ids_BT: Tensor
    attention_BT: Tensor
    counted: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TokenisedSentences:
    """Token ids of each sentence.

    Attributes:
        ids: of each sentence.
        counted: first and last + 1 of the tokens whose responses count.
        lead: the special token that all sentences begin with, if it is one and the same and counts.
    """

    ids: tuple[tuple[int, ...], ...]
    counted: tuple[tuple[int, int], ...]
    lead: int | None

    def batches(self, batch_tokens: int) -> list[TokenBatch]:
        """Batches of at most `batch_tokens` tokens with padding (a longer sentence gets a batch of its own).

        Neighbours in length share a batch. Which ones depends on the sentences alone, not on their order.
        """
        order = sorted(range(len(self.ids)), key=lambda row: (len(self.ids[row]), self.counted[row], self.ids[row]))
        groups: list[list[int]] = []
        for row in order:
            if groups and (len(groups[-1]) + 1) * len(self.ids[row]) <= batch_tokens:
                groups[-1].append(row)
            else:
                groups.append([row])
        return [self._padded(rows) for rows in groups]

    def _padded(self, rows: list[int]) -> TokenBatch:
        longest = max(len(self.ids[row]) for row in rows)
        ids_BT = torch.tensor([[*self.ids[row], *([0] * (longest - len(self.ids[row])))] for row in rows])
        length_B = torch.tensor([len(self.ids[row]) for row in rows])
        attention_BT = (torch.arange(longest) < length_B[:, None]).long()
        return TokenBatch(tuple(rows), ids_BT, attention_BT, tuple(self.counted[row] for row in rows))


def tokenise(
    model: nn.Module, tokenizer: Any, sentences: Sequence[str], max_length: int = 128, special_tokens: bool = True
) -> TokenisedSentences:
    """Tokens of each sentence, cut at `max_length` and at the positions that the model has.

    Args:
        special_tokens: whether the responses at the tokenizer's own tokens (a leading `</s>`) count.

    Raises:
        ValueError: there is no sentence, one has no tokens, or the tokenizer has tokens that the model lacks.
    """
    if max_length < 1:
        raise ValueError(f"max_length={max_length}: give at least one token")
    if isinstance(sentences, str):
        raise ValueError(f"sentences is one text ({sentences[:40]!r}): give a list of texts")
    if not sentences:
        raise ValueError("sentences is empty: give at least one")
    length = min(max_length, most_positions(model) or max_length)
    ids: list[tuple[int, ...]] = []
    masks: list[list[int]] = []
    # A few at a time: what the tokenizer tells of a token besides its number takes ten times as much memory.
    for first in range(0, len(sentences), _AT_ONCE):
        # Cut here and not by the tokenizer, which may be set to cut or pad on the left.
        encoded = tokenizer(
            list(sentences[first : first + _AT_ONCE]),
            padding=False,
            truncation=False,
            return_attention_mask=False,
            return_special_tokens_mask=True,
            verbose=False,
        )
        ids += (tuple(row[:length]) for row in encoded["input_ids"])
        masks += (row[:length] for row in encoded["special_tokens_mask"])
    counted: list[tuple[int, int]] = []
    leads = set()
    embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
    vocabulary = embeddings.weight.shape[0]
    for number, (row, marks) in enumerate(zip(ids, masks, strict=True)):
        text = [place for place, mark in enumerate(marks) if not mark]
        if not text:
            raise ValueError(
                f"sentence {number} ({sentences[number][:40]!r}) has no tokens within max_length={max_length}: "
                "leave it out, or allow more tokens"
            )
        if max(row) >= vocabulary:
            raise ValueError(
                f"sentence {number} has token {max(row)}, but the model's vocabulary has {vocabulary} entries: "
                "use the tokenizer that the model was trained with"
            )
        # A tokenizer puts its own tokens before and after a text, never inside.
        counted.append((0, len(row)) if special_tokens else (text[0], text[-1] + 1))
        leads.add(row[0] if marks[0] else None)
    return TokenisedSentences(tuple(ids), tuple(counted), leads.pop() if special_tokens and len(leads) == 1 else None)
