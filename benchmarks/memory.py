"""Peak memory of expert analysis on a random BLOOM of 0.56 B parameters in bf16, by memory_gb, and the time of its passes.

    python benchmarks/memory.py [--memory_gb 0.6 0.8 1.2] [--layers 24] [--width 1024] [--sentences 1200]

Every setting is measured in a process of its own, as what the first leaves behind would hide the next. Printed are the
peak above the loaded model, its ratio to the setting (1 or less: the setting holds), how often the text was read, and
whether the results are those of the largest setting. The extrapolation to BLOOM-7b1 at the end is the formula in
numbers.
"""

import argparse
import hashlib
import json
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
import torch
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.experts import search
from babelscope.analysis.experts.analysis import ExpertAnalysis
from babelscope.analysis.experts.memory import OVERHEAD_GB
from babelscope.model.sites import unit_sites
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

WORDS = [f"w{i}" for i in range(2000)]


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word."""
    inner = Tokenizer(
        models.WordLevel({"<unk>": 0, **{word: i + 1 for i, word in enumerate(WORDS)}}, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


def concepts(sentences: int, languages: int) -> ConceptSet:
    """Four concepts a language; their sentences lean towards words of their own."""
    random = np.random.default_rng(0)
    rows = []
    for language in range(languages):
        for concept in range(4):
            for _ in range(sentences // 4):
                own = WORDS[language * 40 + concept * 8 + int(random.integers(8))]
                words = [*random.choice(WORDS, 10).tolist(), own]
                rows.append(Row(f"c{concept}", f"l{language}", " ".join(words), 1))
    return ConceptSet(rows)


def resident() -> int:
    """Bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(memory_gb: float, options: argparse.Namespace, answer) -> None:
    """Analyse once; report peak memory over the loaded model, time, and a hash of what was found."""
    torch.set_num_threads(options.threads)
    config = BloomConfig(
        vocab_size=options.vocabulary, hidden_size=options.width, n_layer=options.layers, n_head=options.heads
    )
    torch.manual_seed(0)
    with torch.device("meta"):
        model = BloomForCausalLM(config)
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    model.tie_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            # In place, a piece at a time: initialising in fp32 would be the peak.
            for piece in parameter.view(-1).split(1 << 22):
                piece.normal_(0, 0.02)
    analysis = ExpertAnalysis(concepts(options.sentences, options.languages), memory_gb=memory_gb, k=500)
    passes = 0
    groups = search.iter_unit_responses

    def counted(*arguments, **settings):
        nonlocal passes
        for part in groups(*arguments, **settings):
            passes += 1
            yield part
            del part

    search.iter_unit_responses = counted
    loaded = resident()
    began, worked = time.perf_counter(), time.process_time()
    found = analysis(model.eval(), tokenizer(), 0)
    digest = hashlib.sha256(b"".join(found.arrays[name].tobytes() for name in sorted(found.arrays))).hexdigest()[:12]
    answer.send(
        {
            "memory_gb": memory_gb,
            "parameters": sum(p.numel() for p in model.parameters()),
            "units": unit_sites(model)[-1].stop,
            "weights_gb": sum(p.numel() * p.element_size() for p in model.parameters()) / 1e9,
            "loaded_gb": loaded / 1e9,
            "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - worked,
            "found": digest,
            "passes": passes / options.languages,
        }
    )


def main() -> None:
    """Measure every setting side by side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory_gb", type=float, nargs="+", default=[0.6, 0.8, 1.2])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--vocabulary", type=int, default=250_880)
    parser.add_argument("--sentences", type=int, default=1200)
    parser.add_argument("--languages", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    results = []
    for memory_gb in sorted(options.memory_gb, reverse=True):
        receiving, sending = context.Pipe(False)
        process = context.Process(target=measure, args=(memory_gb, options, sending))
        process.start()
        sending.close()
        results.append(receiving.recv())
        process.join()
        row = results[-1]
        extra = row["peak_gb"] - row["loaded_gb"]
        print(
            f"memory_gb {memory_gb:5.2f}: peak {row['peak_gb']:.2f} GB = loaded {row['loaded_gb']:.2f} + {extra:.2f} "
            f"({extra / memory_gb:.2f} x the setting); {row['passes']:.0f} passes, {row['seconds']:.0f} s, {row['cpu_seconds']:.0f} s of CPU; "
            f"{'same results' if row['found'] == results[0]['found'] else 'OTHER RESULTS'}"
        )
    row = results[0]
    everything = 4 * row["units"] * options.sentences / 1e9
    print(
        f"{row['parameters'] / 1e9:.2f} B parameters, {row['weights_gb']:.2f} GB in bf16, {row['units']:,} units; "
        f"all responses of one language at once would be {everything:.2f} GB"
    )
    big_units, forward = 30 * 9 * 4096, 2 * (10 * 4096 * 16384 + 6 * 4096 * 32 * 128 + 4 * 4096**2)
    for memory_gb in (4, 8, 16):
        sentences = 12_000
        left = (1 - 3 / 16) * memory_gb * 1e9 - forward - 0.1e9
        print(
            f"BLOOM-7b1, memory_gb {memory_gb}: {2 * 7_069_016_064 / 1e9:.1f} GB of weights + {memory_gb} GB + "
            f"{OVERHEAD_GB} GB; {sentences:,} sentences of {big_units:,} units are read in "
            f"{-(-4 * sentences * big_units // int(left))} passes"
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
