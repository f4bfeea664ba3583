"""Loader tokens per second against the rate of training, in one run.

    python benchmarks/loader.py [--rate 300000] [--seconds 2]

A store of 16 languages with skewed sizes is written to a temporary folder and read by the data module as in a run
(alpha 0.3, micro-batches of 32 blocks). Ratios are to `--rate` (tokens/s of an accelerator, the 257M model) and to the
toy model's training steps measured here. The claim is a ratio of 10 or more.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from babelscope.model.loss import linear_cross_entropy
from babelscope.model.presets import build_model, preset
from babelscope.training.data.datamodule import TokenBlocks
from babelscope.training.data.packing import BlockWriter
from babelscope.training.data.store import FORMAT
from babelscope.training.data.stream import Batch

LANGUAGES = [f"l{number:02d}" for number in range(16)]
MICRO_BATCH, VOCABULARY, REPEATS = 32, 2048, 5


def write_store(folder: Path, block_length: int, tokens: int) -> str:
    """Random tokens, language i with a share of 2^-(i/2) of them."""
    random = np.random.default_rng(0)
    shares = 2.0 ** -(np.arange(len(LANGUAGES)) / 2)
    entries = {}
    for language, share in zip(LANGUAGES, shares / shares.sum(), strict=True):
        count = max(int(tokens * share), 4 * block_length)
        (folder / "blocks" / language).mkdir(parents=True)
        writer = BlockWriter(folder / "blocks" / language / "train", block_length)
        writer.add(np.array([count]), np.array([count]), random.integers(0, VOCABULARY, size=count, dtype=np.int32))
        entries[language] = {"splits": {"train": writer.close()}}
    manifest = {"format": FORMAT, "block_length": block_length, "languages": entries}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "tokenizer": {"vocab_size": VOCABULARY}}))
    return str(folder)


def rate_of(batches: Iterator[Batch], seconds: float) -> list[float]:
    """Tokens per second, `REPEATS` times."""
    next(batches)  # workers start and memory is mapped
    rates = []
    for _ in range(REPEATS):
        tokens, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds / REPEATS:
            tokens += next(batches)["input_ids"].numel()
        rates.append(tokens / elapsed)
    return rates


def toy_rate(seconds: float) -> list[float]:
    """Training tokens per second of the toy model on this machine: forward, loss, backward, AdamW."""
    model = build_model(preset("toy"), seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids_BT = torch.randint(0, VOCABULARY, (MICRO_BATCH, 64))

    def step() -> Iterator[Batch]:
        while True:
            hidden_BTD = model.model(input_ids=ids_BT, use_cache=False).last_hidden_state[:, :-1]
            loss = linear_cross_entropy(hidden_BTD.flatten(0, 1), model.lm_head.weight, ids_BT[:, 1:].flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield {"input_ids": ids_BT}

    return rate_of(step(), seconds)


def spread(rates: list[float]) -> str:
    return f"{statistics.median(rates) / 1e6:8.3f} ({min(rates) / 1e6:.3f} to {max(rates) / 1e6:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=300_000, help="tokens/s of the training to compare with")
    parser.add_argument("--seconds", type=float, default=2.0, help="measured for each row")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="size of the store that is read")
    arguments = parser.parse_args()
    toy = toy_rate(arguments.seconds)
    print(f"toy model, training step          M tokens/s {spread(toy)}")
    for block_length in (64, 512, 2048):
        with tempfile.TemporaryDirectory() as folder:
            store = write_store(Path(folder), block_length, arguments.tokens)
            for workers in (0, 1):
                data = TokenBlocks(store, MICRO_BATCH, MICRO_BATCH, num_workers=workers)
                rates = rate_of(iter(data.train_dataloader()), arguments.seconds)
                median = statistics.median(rates)
                print(
                    f"loader, block {block_length:4d}, {workers} workers     M tokens/s {spread(rates)}   "
                    f"{median / arguments.rate:6.0f} x {arguments.rate:,.0f}/s   "
                    f"{median / statistics.median(toy):6.0f} x toy"
                )


if __name__ == "__main__":
    main()
