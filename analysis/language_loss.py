"""Held-out loss per language: nats per token, and bits per byte, which compares across tokenizers.

The documents of a language are joined to one stream, each behind the tokenizer's own start of a document. The stream
is cut into windows that overlap: every token is scored once, with at least `context - stride` tokens before it, apart
from the stream's first ones. Separators give context and are not scored.

Shapes: B windows, T tokens of a window, N tokens of a stream.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..model.sites import most_positions
from .findings import Findings
from .progress import telling
from .settings import Settings
from .token_losses import NOT_SCORED, TokenLosses


@dataclass(frozen=True)
class LossSettings(Settings):
    """How held-out text is scored."""

    context: int = 2048
    """tokens of a window; the model's positions bound it."""
    stride: int | None = None
    """tokens by which overlapping windows advance; half the context by default."""
    max_tokens: int = 32768
    """tokens scored per language at most; documents are taken in their order, and the last one is cut."""
    batch_tokens: int = 8192
    """tokens of a forward pass."""

    def problems(self) -> Iterator[str]:
        """Numbers that leave nothing to score."""
        yield from self._at_least(2, "context")
        yield from self._at_least(1, "max_tokens", "batch_tokens")
        if self.stride is not None and not 1 <= self.stride <= self.context:
            yield f"stride={self.stride}: give 1 to context={self.context}"


class LanguageLoss:
    """The analysis `validation`: rows `loss` and `bits_per_byte`, per language and (language null) their mean."""

    name = "validation"
    told_as = name
    """What signs of life call it: health scores text by it, too."""

    def __init__(self, texts: Mapping[str, Sequence[str]], **settings: Any) -> None:
        """Prepare held-out documents.

        Args:
            texts: language -> documents.
            settings: of `LossSettings`.

        Raises:
            ValueError: no text at all, or settings that leave nothing to score.
        """
        self.settings = LossSettings(**settings)
        self.texts = {language: list(texts[language]) for language in sorted(texts) if texts[language]}
        if not self.texts:
            raise ValueError("text: no language has a held-out document; give text with at least one")
        digest = hashlib.sha256()
        for language, documents in self.texts.items():
            digest.update("\0".join([language, *documents, ""]).encode())
        self.recorded = {
            **self.settings.pick("context", "stride", "max_tokens"),
            "text": digest.hexdigest()[:16],
        }

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Score every language; nats per token and bits per byte."""
        rows, losses, bits = [], [], []
        measured, empty = [], []
        for language in telling(list(self.texts), self.told_as, "language", str):
            ids_N, labels_N, bytes_scored = self._stream(tokenizer, self.texts[language])
            if not (labels_N != NOT_SCORED).any():
                empty.append(language)
                continue
            measured.append(language)
            nats, tokens = self._score(model, ids_N, labels_N)
            losses.append(nats / tokens)
            bits.append(nats / math.log(2) / bytes_scored)
            rows.append({"metric": "loss", "language": language, "value": losses[-1]})
            rows.append({"metric": "bits_per_byte", "language": language, "value": bits[-1]})
        if not measured:
            raise ValueError("text: no language has a held-out token to score; give text with at least two words")
        rows.append({"metric": "loss", "value": sum(losses) / len(losses)})
        rows.append({"metric": "bits_per_byte", "value": sum(bits) / len(bits)})
        broken = [language for language, loss in zip(measured, losses, strict=True) if not math.isfinite(loss)]
        warnings = [f"the loss is not finite in {', '.join(broken)}: the weights are broken"] if broken else []
        if empty:
            warnings.append(f"left out, without a token to score: {', '.join(empty)}")
        return Findings.from_rows(self.name, step, rows, settings=self.recorded, warnings=warnings)

    def _stream(self, tokenizer: Any, documents: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Token ids (N,), the labels among them (N,), and the UTF-8 bytes of the text that is scored."""
        start = document_start(tokenizer)
        ids: list[int] = []
        labels: list[int] = []
        scored = size = 0
        for document in documents:
            tokens = tokenizer(document, add_special_tokens=False)["input_ids"]
            if not tokens:
                continue
            # Without a separator the very first token has nothing before it, and can't be scored.
            skipped = 0 if ids or start else 1
            left = self.settings.max_tokens - scored + skipped
            if len(tokens) > left:
                tokens, document = _cut(tokenizer, document, tokens, left)
            ids += [*start, *tokens]
            labels += [NOT_SCORED] * (len(start) + skipped) + tokens[skipped:]
            scored += len(tokens) - skipped
            size += len(document.encode()) - (_first_token_bytes(tokenizer, document) if skipped else 0)
            if len(tokens) >= left:
                break
        return torch.tensor(ids), torch.tensor(labels), size

    def _score(self, model: nn.Module, ids_N: torch.Tensor, labels_N: torch.Tensor) -> tuple[float, int]:
        """Nats of the scored tokens and how many there are."""
        context = min(self.settings.context, most_positions(model) or self.settings.context)
        stride = min(self.settings.stride or max(1, context // 2), context)
        score = TokenLosses(model, ids_N.tolist())
        device = next(model.parameters()).device
        windows = []
        scored_to = 1
        for begin in range(0, len(ids_N), stride):
            end = min(begin + context, len(ids_N))
            labels_T = torch.full((end - begin,), NOT_SCORED)
            labels_T[scored_to - begin :] = labels_N[scored_to:end]
            windows.append((ids_N[begin:end], labels_T))
            scored_to = end
            if end == len(ids_N):
                break
        nats, tokens = 0.0, 0
        size = max(1, self.settings.batch_tokens // context)
        for first in range(0, len(windows), size):
            ids_BT, labels_BT = (
                nn.utils.rnn.pad_sequence(list(part), batch_first=True, padding_value=value).to(device)
                for part, value in zip(zip(*windows[first : first + size], strict=True), (0, NOT_SCORED), strict=True)
            )
            mask_BT = torch.arange(ids_BT.shape[1], device=device) < torch.tensor(
                [[len(ids)] for ids, _ in windows[first : first + size]], device=device
            )
            nats += score(ids_BT, labels_BT[:, 1:], slice(0, -1), mask_BT.long()).double().sum().item()
            tokens += int((labels_BT[:, 1:] != NOT_SCORED).sum())
        return nats, tokens


def _cut(tokenizer: Any, document: str, tokens: list[int], most: int) -> tuple[list[int], str]:
    """The first tokens of a document, at most so many and at least one, and the text that they spell with what is
    between the last of them and the next: a character that several tokens spell is not split."""
    spans = tokenizer(document, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    keep = next((n for n in range(most, 0, -1) if spans[n][0] >= spans[n - 1][1]), 0)
    if keep == 0:
        return tokens, document
    return tokens[:keep], document[: spans[keep][0]]


def _first_token_bytes(tokenizer: Any, document: str) -> int:
    """UTF-8 bytes of a document's first token, with the white space behind it."""
    spans = tokenizer(document, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return len(document[: spans[1][0]].encode()) if len(spans) > 1 else len(document.encode())


def document_start(tokenizer: Any) -> list[int]:
    """Ids that stand before a document: what the tokenizer puts there itself, else its end- or begin-of-text token."""
    own = tokenizer("")["input_ids"]
    if own:
        return list(own)
    token = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
    return [] if token is None else [token]
