"""Whether translations are represented alike, layer by layer, by sentences with the same meaning in several languages.

Shapes: G layers of a group, S sentences, D model width, B sentences of a batch, T tokens.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...model.sites import backbone_of, blocks_of
from ..failures import BrokenModelError
from ..files.tables import read_table
from ..findings import Findings
from ..hidden import watched_layers
from ..token_batches import TokenisedSentences, tokenise
from ..undisturbed import undisturbed
from .measures import align, high
from .settings import AlignmentSettings

Sentences = Mapping[str, Mapping[str, str]]
"""language -> id -> text."""


def load_parallel(path: str | Path, languages: Sequence[str] | None = None) -> dict[str, dict[str, str]]:
    """Sentences by language and id from a .parquet, .csv or .jsonl table with columns id, language, text.

    Raises:
        ValueError: no such table, a column is missing, an id is there twice in a language, or a language is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"parallel: {path} does not exist; give a table with columns id, language, text")
    found: dict[str, dict[str, str]] = {}
    for row in read_table(path, ("id", "language", "text")):
        texts = found.setdefault(str(row["language"]), {})
        if str(row["id"]) in texts:
            raise ValueError(f"{path}: id {row['id']} is there twice in {row['language']}: give each sentence its own")
        texts[str(row["id"])] = str(row["text"])
    absent = sorted(set(languages or ()) - set(found))
    if absent:
        raise ValueError(f"languages: {', '.join(absent)} is not in {path}; it has {', '.join(sorted(found))}")
    return {language: found[language] for language in sorted(languages or found)}


class AlignmentAnalysis:
    """The analysis `alignment`.

    Rows per layer (hidden states, 0 the embedding output) and pair of languages: `retrieval_accuracy` both ways and
    `retrieval_chance`; `cosine_margin`, `cka`, `cka_null`, `cka_null_high`, `cka_p` once (see `alignment_measures`).
    With the languages null, the mean over pairs; of `cka_null_high` the 95th percentile of the mean over pairs,
    permutation by permutation, and of `cka_p` nothing.

    Args:
        sentences: language -> id -> text; two languages are compared on the ids that both have.
        settings: of `AlignmentSettings`.

    Raises:
        ValueError: fewer than two languages, or no two that share 4 different sentences.
    """

    name = "alignment"

    def __init__(self, sentences: Sentences, **settings: Any) -> None:
        self.settings = AlignmentSettings(**settings)
        seed = self.settings.seed
        self.languages = tuple(sorted(sentences))
        self.texts = _different({language: sentences[language] for language in self.languages})
        ids = sorted({key for texts in self.texts.values() for key in texts}, key=lambda key: _hash(seed, key))
        chosen = set(ids[: self.settings.max_sentences])
        self.texts = {name: {k: t for k, t in texts.items() if k in chosen} for name, texts in self.texts.items()}
        self.pairs = {
            pair: shared
            for pair in combinations(self.languages, 2)
            if len(shared := sorted(self.texts[pair[0]].keys() & self.texts[pair[1]].keys())) >= 4
        }
        if not self.pairs:
            raise ValueError(
                f"parallel: no two of the languages {', '.join(self.languages) or 'none'} share 4 different sentences; "
                "give the same ids to sentences with the same meaning"
            )
        used = {language for pair in self.pairs for language in pair}
        left_out = [language for language in self.languages if language not in used]
        self.warnings = (
            [f"languages without 4 sentences in common with any other: {', '.join(left_out)}"] if left_out else []
        )
        digest = hashlib.sha256()
        for language, texts in self.texts.items():
            for key in sorted(texts):
                digest.update("\0".join([language, key, texts[key], ""]).encode())
        self.recorded = {
            "parallel": digest.hexdigest()[:16],
            **self.settings.pick("permutations", "seed", "special_tokens", "max_length"),
        }

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Compare all pairs of languages in all layers."""
        rows: list[dict[str, Any]] = []
        for layer, states in self._layers(model, tokenizer):
            measured: dict[str, list[float]] = {}
            nulls: list[np.ndarray] = []
            for (one, two), shared in self.pairs.items():
                found = align(
                    np.stack([states[one, key] for key in shared]),
                    np.stack([states[two, key] for key in shared]),
                    self._orders(one, two, len(shared)),
                )
                pair = {"layer": layer, "language": one, "other_language": two}
                back = {"layer": layer, "language": two, "other_language": one}
                values = {
                    "cosine_margin": found.margin,
                    "cka": found.cka,
                    "cka_null": found.cka_null,
                    "retrieval_chance": 1 / len(shared),
                }
                own = {"cka_null_high": found.cka_null_high, "cka_p": found.cka_p}
                rows += [{**pair, "metric": metric, "value": value} for metric, value in (values | own).items()]
                rows.append({**pair, "metric": "retrieval_accuracy", "value": found.forward})
                rows.append({**back, "metric": "retrieval_accuracy", "value": found.backward})
                values["retrieval_accuracy"] = (found.forward + found.backward) / 2
                for metric, value in values.items():
                    measured.setdefault(metric, []).append(value)
                nulls.append(found.null_P)
            rows += [{"layer": layer, "metric": m, "value": float(np.mean(v))} for m, v in measured.items()]
            # The mean over pairs varies less than a pair does.
            rows.append({"layer": layer, "metric": "cka_null_high", "value": high(np.mean(nulls, axis=0))})
        return Findings.from_rows(self.name, step, rows, settings=self.recorded, warnings=self.warnings)

    def _orders(self, one: str, two: str, count: int) -> np.ndarray:
        """Permutations (P, S) that depend on the pair alone, not on which others there are."""
        random = np.random.default_rng(int.from_bytes(_hash(self.settings.seed, f"{one}\0{two}")[:8], "big"))
        return np.array([random.permutation(count) for _ in range(self.settings.permutations)], np.int64).reshape(
            -1, count
        )

    def _layers(self, model: nn.Module, tokenizer: Any) -> Iterator[tuple[int, dict[tuple[str, str], np.ndarray]]]:
        """Each layer's pooled states by language and id, as many layers at a time as memory allows."""
        keys = [(language, key) for language, texts in self.texts.items() for key in sorted(texts)]
        sentences = [self.texts[language][key] for language, key in keys]
        tokens = tokenise(model, tokenizer, sentences, self.settings.max_length, self.settings.special_tokens)
        layers = len(blocks_of(model)) + 1
        width = int(model.get_input_embeddings().weight.shape[1])  # type: ignore[operator]
        group = max(1, min(layers, int(self.settings.memory_gb * 1e9 / (4 * len(keys) * width))))
        for first in range(0, layers, group):
            pooled_GSD = mean_states(
                model, tokens, range(first, min(first + group, layers)), self.settings.batch_tokens
            )
            if not torch.isfinite(pooled_GSD).all():
                raise BrokenModelError("a hidden state is NaN or infinite, and near to nothing: the weights are broken")
            for layer, pooled_SD in enumerate(pooled_GSD, first):
                yield layer, dict(zip(keys, pooled_SD.numpy(), strict=True))


class _Enough(Exception):
    """The last layer that is needed has computed."""


def mean_states(model: nn.Module, tokens: TokenisedSentences, layers: range, batch_tokens: int = 4096) -> Tensor:
    """Hidden states of some layers, averaged over each sentence's tokens that count: float32 (G, S, D) on the CPU."""
    device = next(model.parameters()).device
    parts: list[Tensor] = []
    order: list[int] = []
    with undisturbed(model):
        for batch in tokens.batches(batch_tokens):
            place_BT = torch.arange(batch.ids_BT.shape[1])
            spans = torch.tensor(batch.counted)
            counts_BT = ((place_BT >= spans[:, :1]) & (place_BT < spans[:, 1:])).float().to(device)
            share_BT = counts_BT / counts_BT.sum(dim=1, keepdim=True)
            found: dict[int, Tensor] = {}

            def keep(
                layer: int, states_BTD: Tensor, found: dict[int, Tensor] = found, share_BT: Tensor = share_BT
            ) -> None:
                if layer in layers:
                    found[layer] = torch.einsum("btd,bt->bd", states_BTD.float(), share_BT).cpu()
                if layer == layers[-1]:
                    raise _Enough

            try:
                with watched_layers(model, keep):
                    backbone_of(model)(
                        batch.ids_BT.to(device), attention_mask=batch.attention_BT.to(device), use_cache=False
                    )
            except _Enough:
                pass
            parts.append(torch.stack([found[layer] for layer in layers]))
            order += batch.rows
    return torch.cat(parts, dim=1)[:, torch.tensor(order).argsort()]


def _different(sentences: Sentences) -> dict[str, dict[str, str]]:
    """Without ids whose text another id already has in some language: two right answers would be no question."""
    repeated: set[str] = set()
    for texts in sentences.values():
        seen: set[str] = set()
        for key in sorted(texts):
            if texts[key] in seen:
                repeated.add(key)
            seen.add(texts[key])
    return {
        language: {key: text for key, text in texts.items() if key not in repeated}
        for language, texts in sentences.items()
    }


def _hash(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
