"""The language probe: can one token's hidden state tell which language it belongs to?

Per seed, sentences are split into training and test sentences, and tokens are drawn at random from each, the same
number for every language. One multinomial logistic regression per layer predicts the language (Riemenschneider and
Frank 2025; tokens per language, penalty and split are not given there and are settings here). All choices follow from
the seed and the texts alone.

Rows: `accuracy` (layer, seed), `accuracy_mean`, `accuracy_std` (layer), `recall` (layer, seed, language), `confusion`
(layer, language = true, other_language = predicted; a share, mean over seeds), `accuracy_over_layers_mean`,
`accuracy_over_layers_std` (seed), `chance`; for every further number n of tokens `accuracy_n` (layer, seed),
`accuracy_n_mean`, `accuracy_n_std` (layer).
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..findings import Findings, Row
from ..hidden import hidden_states
from ..progress import telling
from ..token_batches import TokenisedSentences, tokenise
from .fit import ProbeFit, fit_probes
from .settings import ProbeSettings


@dataclass(frozen=True)
class Sample:
    """Tokens drawn for one seed: (sentence, position) in the order training then test, language by language."""

    chosen: tuple[tuple[int, int], ...]
    labels_N: Tensor
    train_N: Tensor
    rank_N: Tensor
    """Place of a token within its language's training or test tokens: the first n make a smaller sample."""


class ProbeAnalysis:
    """The analysis `probe`."""

    name = "probe"

    def __init__(self, texts: Mapping[str, Sequence[str]], **settings: Any) -> None:
        """Keep the languages with enough text.

        Args:
            texts: language -> sentences or documents.
            settings: of `ProbeSettings`.

        Raises:
            ValueError: settings out of range, or fewer than two languages with enough sentences.
        """
        self.settings = ProbeSettings(**settings)
        self.counts, self.seeds = self.settings.counts, tuple(self.settings.seeds)
        min_sentences = self.settings.min_sentences
        # A text that stands under two languages belongs to neither, and could both train and test.
        languages_of = Counter(text for found in texts.values() for text in set(found))
        usable = {
            language: sorted({t for t in texts[language] if t.strip() and languages_of[t] == 1})
            for language in sorted(texts)
        }
        few = {language: len(found) for language, found in usable.items() if len(found) < min_sentences}
        self.texts = {language: found for language, found in usable.items() if language not in few}
        self.warnings: tuple[str, ...] = ()
        if few:
            listed = ", ".join(f"{language} ({count})" for language, count in few.items())
            self.warnings = (f"left out, with fewer than {min_sentences} sentences: {listed}",)
        if len(self.texts) < 2:
            raise ValueError(
                f"text: {len(self.texts)} language(s) with at least {min_sentences} sentences ("
                f"{', '.join(f'{name}: {len(found)}' for name, found in usable.items())}); a probe needs two"
            )
        self.languages = tuple(self.texts)
        digest = hashlib.sha256("\0".join(f"{k}\0{t}" for k, v in self.texts.items() for t in v).encode())
        self.recorded = {
            "tokens_per_language": self.counts,
            "seeds": list(self.seeds),
            **self.settings.pick("C", "test_share", "sentences_per_language", "tokens_per_sentence", "max_length"),
            "languages": list(self.languages),
            "text": digest.hexdigest()[:16],
        }

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Sample, fit all layers of a seed together, and report."""
        fits: list[dict[int, ProbeFit]] = []
        warnings = list(self.warnings)
        for seed in telling(self.seeds, self.name, "seed"):
            sentences, labels, without = _with_tokens(tokenizer, *self._sentences(seed))
            if without:
                warnings.append(f"seed {seed}: {without} held-out texts have no tokens and are left out")
            silent = [name for index, name in enumerate(self.languages) if index not in labels]
            if silent:
                raise ValueError(
                    f"text: no sentence in {', '.join(silent)} has a token; give other text, or leave it out"
                )
            tokens = tokenise(model, tokenizer, sentences, self.settings.max_length, special_tokens=False)
            sample = self._sample(seed, tokens, sentences, labels)
            states_LND = hidden_states(model, tokens, sample.chosen, self.settings.batch_tokens)
            fits.append({count: self._fit(states_LND, sample, count) for count in self.counts})
            for kind, part, share in (
                ("training", sample.train_N, 1 - self.settings.test_share),
                ("test", ~sample.train_N, self.settings.test_share),
            ):
                reached, wanted = int(sample.rank_N[part].max()) + 1, round(self.counts[0] * share)
                if reached < wanted:
                    warnings.append(f"seed {seed}: {reached} {kind} tokens a language, {wanted} were asked for")
            loose = sum(int((~fit.converged_P).sum()) for fit in fits[-1].values())
            if loose:
                warnings.append(f"seed {seed}: {loose} probes stopped before they had converged")
        return Findings.from_rows(self.name, step, self._rows(fits), settings=self.recorded, warnings=warnings)

    def _sentences(self, seed: int) -> tuple[list[str], list[int]]:
        """Sentences of this seed in the order of their hash, and their languages' indices."""
        sentences: list[str] = []
        labels: list[int] = []
        for index, language in enumerate(self.languages):
            found = sorted(self.texts[language], key=lambda text, name=language: _key(seed, name, text))  # type: ignore[misc]
            sentences += found[: self.settings.sentences_per_language]
            labels += [index] * min(len(found), self.settings.sentences_per_language)
        return sentences, labels

    def _sample(self, seed: int, tokens: TokenisedSentences, sentences: Sequence[str], labels: Sequence[int]) -> Sample:
        """Draw the same number of tokens for every language, from training and from test sentences."""
        drawn: dict[tuple[int, bool], list[tuple[int, int]]] = {}
        for index in range(len(self.languages)):
            rows = [row for row, label in enumerate(labels) if label == index]
            tests = max(1, round(len(rows) * self.settings.test_share))
            for part, is_train in ((rows[tests:], True), (rows[:tests], False)):
                drawn[index, is_train] = list(self._tokens(seed, part, tokens, sentences))
        chosen: list[tuple[int, int]] = []
        marks: list[tuple[int, bool, int]] = []
        for is_train in (True, False):
            share = 1 - self.settings.test_share if is_train else self.settings.test_share
            wanted = max(1, round(self.counts[0] * share))
            count = min(wanted, *(len(drawn[index, is_train]) for index in range(len(self.languages))))
            for index in range(len(self.languages)):
                chosen += drawn[index, is_train][:count]
                marks += [(index, is_train, rank) for rank in range(count)]
        label, train, rank = zip(*marks, strict=True)
        return Sample(tuple(chosen), torch.tensor(label), torch.tensor(train), torch.tensor(rank))

    def _tokens(
        self, seed: int, rows: Sequence[int], tokens: TokenisedSentences, sentences: Sequence[str]
    ) -> Iterator[tuple[int, int]]:
        """Tokens in the order in which they are taken: one from every sentence, then a second one, and so on."""
        shuffled = {}
        for row in rows:
            first, stop = tokens.counted[row]
            random = np.random.default_rng(int.from_bytes(_key(seed, "token", sentences[row])[:8], "little"))
            shuffled[row] = (first + random.permutation(stop - first)).tolist()
        for turn in range(self.settings.tokens_per_sentence):
            yield from ((row, places[turn]) for row, places in shuffled.items() if turn < len(places))

    def _fit(self, states_LND: Tensor, sample: Sample, count: int) -> ProbeFit:
        """Probes of all layers, trained on the first tokens of each language and tested on all test tokens."""
        limit = max(1, round(count * (1 - self.settings.test_share)))
        used_N = ~sample.train_N | (sample.rank_N < limit)
        return fit_probes(
            states_LND[:, used_N],
            sample.labels_N[used_N],
            sample.train_N[used_N],
            C=self.settings.C,
            memory_gb=self.settings.memory_gb,
        )

    def _rows(self, fits: Sequence[Mapping[int, ProbeFit]]) -> list[Row]:
        rows: list[Row] = [{"metric": "chance", "value": 1 / len(self.languages)}]
        for count in self.counts:
            name = "accuracy" if count == self.counts[0] else f"accuracy_{count}"
            accuracy_SL = np.stack([fit[count].accuracy_P.numpy() for fit in fits])
            for layer in range(accuracy_SL.shape[1]):
                for seed, value in zip(self.seeds, accuracy_SL[:, layer], strict=True):
                    rows.append({"metric": name, "layer": layer, "seed": seed, "value": value})
                rows.append({"metric": f"{name}_mean", "layer": layer, "value": accuracy_SL[:, layer].mean()})
                rows.append({"metric": f"{name}_std", "layer": layer, "value": accuracy_SL[:, layer].std()})
            for seed, accuracy_L in zip(self.seeds, accuracy_SL, strict=True):
                rows.append({"metric": f"{name}_over_layers_mean", "seed": seed, "value": accuracy_L.mean()})
                rows.append({"metric": f"{name}_over_layers_std", "seed": seed, "value": accuracy_L.std()})
        rows += self._confusion_rows([fit[self.counts[0]] for fit in fits])
        return rows

    def _confusion_rows(self, fits: Sequence[ProbeFit]) -> Iterator[Row]:
        share_SLKK = np.stack([fit.confusion_PKK.double().numpy() for fit in fits])
        share_SLKK = share_SLKK / share_SLKK.sum(-1, keepdims=True)
        for layer in range(share_SLKK.shape[1]):
            for true, language in enumerate(self.languages):
                for seed, share_LKK in zip(self.seeds, share_SLKK, strict=True):
                    value = share_LKK[layer, true, true]
                    yield {"metric": "recall", "layer": layer, "seed": seed, "language": language, "value": value}
                for predicted, other in enumerate(self.languages):
                    yield {
                        "metric": "confusion",
                        "layer": layer,
                        "language": language,
                        "other_language": other,
                        "value": share_SLKK[:, layer, true, predicted].mean(),
                    }


def _key(seed: int, kind: str, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{kind}\0{text}".encode(), digest_size=16).digest()


def _with_tokens(tokenizer: Any, sentences: list[str], labels: list[int]) -> tuple[list[str], list[int], int]:
    """The sentences of which a tokenizer makes something, with their labels, and the number of the others."""
    ids = tokenizer(sentences, add_special_tokens=False, verbose=False)["input_ids"]
    kept = [(sentence, label) for sentence, label, row in zip(sentences, labels, ids, strict=True) if len(row)]
    return [sentence for sentence, _ in kept], [label for _, label in kept], len(sentences) - len(kept)
