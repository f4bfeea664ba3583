"""Responses of all units, pooled inside the hooks: time against the bare backbone and against keeping the outputs.

The plain way runs the whole language model, LM head included, on sentences padded in the order in which they come,
keeps every output, and pools afterwards. Each way runs in a process of its own, so that peak memory is its own.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from babelscope.analysis.experts.activations import unit_responses
from babelscope.analysis.token_batches import tokenise
from babelscope.model import build_model, preset
from babelscope.model.sites import backbone_of, unit_sites
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

WORDS = 30_000


def tokenizer() -> PreTrainedTokenizerFast:
    """Words to ids, with a leading `</s>` as in XGLM."""
    words = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(WORDS))])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def sentences(count: int) -> list[str]:
    """Texts whose lengths are spread as those of real sentences: 5 to 60 words, most of them short."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(2.9, 0.5, count), 5, 60).astype(int)
    return [" ".join(f"w{i}" for i in random.integers(0, WORDS, length)) for length in lengths]


def pooled_in_hooks(model: nn.Module, texts: list[str]) -> Tensor:
    """Ours."""
    return unit_responses(model, tokenizer(), texts)[0]


@torch.no_grad()
def bare_backbone(model: nn.Module, texts: list[str]) -> Tensor:
    """The same batches through the backbone, no hooks: the floor."""
    for batch in tokenise(model, tokenizer(), texts).batches(4096):
        backbone_of(model.eval())(input_ids=batch.ids_BT, attention_mask=batch.attention_BT, use_cache=False)
    return torch.zeros(1)


@torch.no_grad()
def kept_outputs(model: nn.Module, texts: list[str]) -> Tensor:
    """The plain way: batches of 32 as they come, every output kept until the batch is done."""
    sites, found = unit_sites(model), []
    kept: dict[int, Tensor] = {}
    for site in sites:
        site.module.register_forward_hook(lambda _m, _a, output, start=site.start: kept.__setitem__(start, output))
    encode, model = tokenizer(), model.eval()
    for start in range(0, len(texts), 32):
        batch = encode(texts[start : start + 32], return_tensors="pt", padding=True, padding_side="right")
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        output_BTU = torch.cat([kept[site.start] for site in sites], dim=2)
        padding_BT1 = batch["attention_mask"][:, :, None] == 0
        found.append(output_BTU.masked_fill(padding_BT1, float("-inf")).amax(dim=1))
    return torch.cat(found)


WAYS: dict[str, Callable[[nn.Module, list[str]], Tensor]] = {
    "bare backbone": bare_backbone,
    "pooled in hooks": pooled_in_hooks,
    "outputs kept": kept_outputs,
}


def measure(way: str, layers: int, count: int, queue: multiprocessing.Queue) -> None:
    """Seconds, added peak memory in GB, and the sum of responses, from a process that does nothing else."""
    model = build_model(preset("xglm-257m", num_layers=layers, vocab_size=WORDS + 4), seed=0)
    texts = sentences(count)
    WAYS[way](model, texts[:40])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    responses_SU = WAYS[way](model, texts)
    seconds = time.perf_counter() - began
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    queue.put((seconds, added, float(responses_SU.double().mean())))


def main() -> None:
    """Run every way in turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=3, help="blocks of the model, of the 257M model's 24")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {args.layers} blocks, {args.sentences} sentences, {args.turns} turns")
    context = multiprocessing.get_context("spawn")
    results: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for _ in range(args.turns):
        for way in WAYS:
            queue = context.Queue()
            process = context.Process(target=measure, args=(way, args.layers, args.sentences, queue))
            process.start()
            results[way].append(queue.get())
            process.join()
    for way, found in results.items():
        seconds = sorted(second for second, _, _ in found)
        memory = np.median([added for _, added, _ in found])
        print(
            f"{way:16s} {np.median(seconds):6.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}), {memory:5.2f} GB added, "
            f"mean response {found[0][2]:.6f}"
        )
    ours = np.median([second for second, _, _ in results["pooled in hooks"]])
    floor = np.median([second for second, _, _ in results["bare backbone"]])
    plain = np.median([second for second, _, _ in results["outputs kept"]])
    print(f"ours takes {ours / floor:.2f} x the bare backbone; keeping the outputs takes {plain / ours:.1f} x ours")


if __name__ == "__main__":
    main()
