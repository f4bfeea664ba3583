"""As a script: expert analyses of a small BLOOM under a tight and a loose setting, and the process's peak memory of each."""

import json
import resource
from pathlib import Path

import numpy as np
import torch
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.experts import analysis as expertise
from babelscope.analysis.experts.analysis import ExpertAnalysis

from tests.model.families import tiny_model
from tests.tokenizers_for_tests import WORDS, word_tokenizer

TIGHT_GB = 0.03


def peak() -> int:
    """Of this program: what getrusage says includes the parent's memory at the time of the fork."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    texts = sorted({" ".join(random.choice(WORDS, 6)) for _ in range(2500)})
    rows = [Row(f"c{i % 5}", "xx", text, 1) for i, text in enumerate(texts)]
    model, tokenizer = tiny_model("bloom", hidden_size=128, n_layer=4, n_head=4), word_tokenizer()
    settings = {"k": 50, "batch_tokens": 256, "seed": 0}
    ExpertAnalysis(ConceptSet(rows[:200]), **settings)(model, tokenizer, 0)  # what is loaded on first use
    analyses = [ExpertAnalysis(ConceptSet(rows), memory_gb=gb, **settings) for gb in (TIGHT_GB, 2.0)]
    passes, real = [], expertise.iter_unit_responses

    def counted(*arguments, **given):
        for group, responses in real(*arguments, **given):
            passes.append(group.start)
            yield group, responses
            del responses

    expertise.iter_unit_responses = counted
    report = {"responses": 4 * len(texts) * 4 * 9 * 128, "loaded": resident(), "before": peak(), "found": []}
    for name, analysis in zip(("tight", "loose"), analyses, strict=True):
        found = analysis(model, tokenizer, 0)
        report[name], report[f"{name}_passes"] = peak(), len(passes)
        report["found"].append([found.table["value"].to_pylist(), found.arrays["indices"].tolist()])
        passes.clear()
    report["same"] = repr(report["found"][0]) == repr(report["found"][1])
    del report["found"]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
