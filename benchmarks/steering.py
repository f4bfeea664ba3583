"""Steering's generation against plain `generate` at the same batch size, and against one seed at a time.

    python benchmarks/steering.py [--model toy|xglm-257m] [--seeds 100] [--length 20] [--repeats 5]

Randomly initialised weights, 500 forced units (50 in the toy model), temperature 0.8, top-p 0.9. All variants draw
`--length` tokens for each seed from one start token. The variants are run in turns, so that a change of the machine's
load meets all of them. Claims: at most 1.15 times the time of `generate`; far below one seed at a time (of which only a
few seeds are run, and the time is scaled up).
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from babelscope.analysis.experts.activations import Units
from babelscope.analysis.steering.generation import generate, text_nats
from babelscope.model.interventions import Forcing
from babelscope.model.presets import build_model, preset

START, TEMPERATURE, TOP_P = 2, 0.8, 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="toy", choices=("toy", "xglm-257m"))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", type=int, default=3, help="seeds that are run one at a time")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    model = build_model(preset(arguments.model), seed=0).eval().to(arguments.device)
    units = Units.of(model).n
    chosen = torch.randperm(units, generator=torch.Generator().manual_seed(0))[
        : 50 if arguments.model == "toy" else 500
    ]
    forcing = Forcing(tuple(chosen.tolist()), (0.5,) * len(chosen))
    sampling = {"length": arguments.length, "temperature": TEMPERATURE, "top_p": TOP_P}
    seeds = range(arguments.seeds)
    texts = generate(model, [START], seeds, **sampling)

    def plain() -> None:
        ids_BT = torch.full((arguments.seeds, 1), START, device=arguments.device)
        with torch.no_grad():
            model.generate(
                ids_BT, attention_mask=torch.ones_like(ids_BT), do_sample=True, temperature=TEMPERATURE, top_p=TOP_P,
                top_k=0, max_new_tokens=arguments.length, min_new_tokens=arguments.length, pad_token_id=1,
            )  # fmt: skip

    def alone() -> None:
        for seed in range(arguments.alone):
            generate(model, [START], [seed], forcings=[forcing], rows=[0], **sampling)

    def steered() -> None:
        generate(model, [START], seeds, forcings=[forcing], rows=[0] * len(seeds), **sampling)

    variants: dict[str, tuple[Callable[[], object], float]] = {
        "generate of the library, unsteered": (plain, 1.0),
        "steered, all seeds in one batch": (steered, 1.0),
        "not steered, all seeds in one batch": (lambda: generate(model, [START], seeds, **sampling), 1.0),
        "steered, one seed at a time": (alone, arguments.seeds / arguments.alone),
        "likelihood of the texts": (lambda: text_nats(model, [START], texts, arguments.seeds), 1.0),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(-1, arguments.repeats):  # the first round warms up
        for name, (run, scale) in variants.items():
            if repeat < 0 and run is alone:
                continue
            begin = time.perf_counter()
            run()
            if arguments.device == "cuda":
                torch.cuda.synchronize()
            if repeat >= 0:
                times[name].append(scale * (time.perf_counter() - begin))
    print(f"{arguments.model}, {arguments.seeds} seeds x {arguments.length} tokens, {torch.get_num_threads()} threads")
    for name, found in times.items():
        ratios = [own / base for own, base in zip(found, times["generate of the library, unsteered"], strict=True)]
        print(
            f"{name:<38} {statistics.median(found):9.3f} s ({min(found):.3f} to {max(found):.3f})   "
            f"{statistics.median(ratios):7.2f} x generate ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
