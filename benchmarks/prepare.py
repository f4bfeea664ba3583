"""What `prepare` costs beyond its tokenizer: encoding and packing text against the bare tokenizer over the same text.

Run as `python -m benchmarks.prepare` or `python benchmarks/prepare.py [FILE …]`. Both take turns, in the same batches and
threads; printed are the medians and their ratio, which should stay below 1.2.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from babelscope.training.data import tokenizer as tokenizers_
from babelscope.training.data.prepare import prepare
from babelscope.training.data.sources import Source, resolve
from babelscope.training.data.tokenizer import TokenizerConfig
from babelscope.training.toy.world import ToyWorld
from tokenizers import Tokenizer


def toy_text(folder: Path) -> list[str]:
    """A file of invented text for each of four languages."""
    lines: dict[str, list[str]] = {}
    for language, text in ToyWorld(words=3_000_000).documents():
        lines.setdefault(language, []).append(text)
    for language, texts in lines.items():
        (folder / f"{language}.txt").write_text("\n".join(texts))
    return [str(folder / f"{language}.txt") for language in lines]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of all threads together, which other load on the machine hardly changes."""
    start, start_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - start_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="text, a document a line; invented text by default")
    parser.add_argument("--algorithm", choices=tokenizers_.ALGORITHMS, default="unigram")
    parser.add_argument("--vocab_size", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = arguments.files or toy_text(folder)
        sources = [Source(path=path, language=f"l{number}") for number, path in enumerate(files)]
        config = TokenizerConfig(
            algorithm=arguments.algorithm, vocab_size=arguments.vocab_size, max_training_bytes=4_000_000
        )
        trained = prepare(str(folder / "tokenizer"), sources, tokenizer=config, tokenizer_only=True) / "tokenizer"
        use = TokenizerConfig(path=str(trained))
        resolved, _ = resolve(sources)
        batches = [unit.documents()[0] for source in resolved for unit in source.units(1_000_000)]
        size = sum(len(text.encode()) for batch in batches for text in batch)

        def whole() -> None:
            shutil.rmtree(folder / "store", ignore_errors=True)
            prepare(str(folder / "store"), sources, tokenizer=use, block_length=512, progress=False)

        def bare(fast: bool) -> None:
            tokenizer = Tokenizer.from_file(str(trained / "tokenizer.json"))
            encode = tokenizer.encode_batch_fast if fast else tokenizer.encode_batch
            for batch in batches:
                encode(batch, add_special_tokens=False)

        runs = {"prepare": whole, "encode_batch": lambda: bare(False), "encode_batch_fast": lambda: bare(True)}
        times: dict[str, list[tuple[float, float]]] = {key: [] for key in runs}
        for turn in range(arguments.repeats + 1):
            for key, work in runs.items():
                seconds = timed(work)
                if turn:  # the first turn warms caches
                    times[key].append(seconds)
    print(f"{size / 1e6:.1f} MB of text, medians and ranges of {arguments.repeats} turns")
    for number, clock in enumerate(("clock", "CPU")):
        taken = {key: [pair[number] for pair in pairs] for key, pairs in times.items()}
        for key, values in taken.items():
            spread = f"({min(values):.2f}–{max(values):.2f})"
            print(f"{clock:5} {key:18} {statistics.median(values):6.2f} s {spread}")
        for key in ("encode_batch", "encode_batch_fast"):
            ratios = [one / other for one, other in zip(taken["prepare"], taken[key], strict=True)]
            spread = f"({min(ratios):.2f}–{max(ratios):.2f})"
            print(f"{clock:5} prepare / {key}: {statistics.median(ratios):.2f} {spread}, wanted ≤ 1.2")


if __name__ == "__main__":
    main()
