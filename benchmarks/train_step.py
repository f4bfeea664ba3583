"""A training step of ours against `transformers.Trainer`'s with stock XGLM: same weights, batch and precision.

Each side runs in a process of its own, so that peak memory is its own; the two take turns, and the medians count.

    python benchmarks/train_step.py --preset xglm-257m --batch 4 --tokens 512 --steps 3 --rounds 3

Expected: 3 x the tokens per second and half the peak memory.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import torch


def ours(options: argparse.Namespace) -> tuple[list[float], float]:
    """Seconds of each step, and the loss of the first, in Babelscope's module under Lightning."""
    import lightning.pytorch as pl
    from babelscope.training.fit.module import Pretraining

    module = Pretraining(options.preset, overrides=overrides(options), warmup_steps=1, learning_rate=1e-4)
    clock = LightningClock()
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        precision="bf16-mixed",
        max_steps=options.steps + 1,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    batches = [{"input_ids": ids, "languages": torch.zeros(len(ids), dtype=torch.long)} for ids in blocks(options)]
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    return clock.seconds, clock.first_loss


def stock(options: argparse.Namespace) -> tuple[list[float], float]:
    """The same in the library's model and trainer."""
    import transformers
    from babelscope.model import preset

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    model = transformers.XGLMForCausalLM(preset(options.preset, **overrides(options)))
    rows = [{"input_ids": row, "labels": row} for ids in blocks(options) for row in ids]
    clock = HuggingFaceClock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            per_device_train_batch_size=options.batch,
            max_steps=options.steps + 1,
            learning_rate=1e-4,
            weight_decay=0.1,
            max_grad_norm=1.0,
            report_to="none",
            save_strategy="no",
            logging_strategy="steps",
            logging_steps=1,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            train_sampling_strategy="sequential",
        )
        trainer = transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[clock])
        trainer.train()
    return clock.seconds, trainer.state.log_history[0]["loss"]


def clocks() -> tuple[type, type]:
    """A step's wall time as each trainer's own callbacks see it."""
    import lightning.pytorch as pl
    import transformers

    class Lightning(pl.Callback):
        def __init__(self) -> None:
            self.seconds, self.first_loss, self.began = [], 0.0, 0.0

        def on_train_batch_start(self, *_):
            self.began = time.perf_counter()

        def on_train_batch_end(self, trainer, module, *_):
            self.first_loss = self.first_loss or float(module.step_loss)
            self.seconds.append(time.perf_counter() - self.began)

    class HuggingFace(transformers.TrainerCallback):
        def __init__(self) -> None:
            self.seconds, self.began = [], 0.0

        def on_step_begin(self, *_, **__):
            self.began = time.perf_counter()

        def on_step_end(self, *_, **__):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds.append(time.perf_counter() - self.began)

    return Lightning, HuggingFace


def overrides(options: argparse.Namespace) -> dict:
    """Fields that differ from the preset."""
    shorter = {"max_position_embeddings": max(options.tokens, 128)} if options.preset == "toy" else {}
    return {"dropout": options.dropout, "attention_dropout": options.dropout, **shorter}


def blocks(options: argparse.Namespace) -> list[torch.Tensor]:
    """The same random tokens for both sides."""
    from babelscope.model import preset

    generator = torch.Generator().manual_seed(0)
    high = preset(options.preset).vocab_size
    size = (options.batch, options.tokens)
    return [torch.randint(4, high, size, generator=generator) for _ in range(options.steps + 1)]


def peak_gb() -> float:
    """Peak memory of this process in GB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="xglm-257m")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3, help="measured steps a process; the first one is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    # A CPU's fused attention kernel has no dropout: with it, sdpa keeps whole attention matrices.
    parser.add_argument("--dropout", type=float, default=0.0, help="of both sides, attention's included")
    parser.add_argument("--side", choices=["ours", "stock"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    LightningClock, HuggingFaceClock = clocks()
    if options.side:
        seconds, loss = {"ours": ours, "stock": stock}[options.side](options)
        print(json.dumps({"seconds": seconds[1:], "loss": loss, "memory": peak_gb()}))
        sys.exit()
    found: dict[str, list[dict]] = {"ours": [], "stock": []}
    for number in range(options.rounds):
        for side in found:
            words = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            result = json.loads(done.stdout.strip().splitlines()[-1])
            found[side].append(result)
            rate = options.batch * options.tokens / statistics.median(result["seconds"])
            print(
                f"round {number + 1} {side:5}  {rate:8.1f} tokens/s  {result['memory']:5.2f} GB  first loss {result['loss']:.4f}"
            )
    rates = {
        side: [options.batch * options.tokens / statistics.median(result["seconds"]) for result in results]
        for side, results in found.items()
    }
    memory = {side: statistics.median(result["memory"] for result in results) for side, results in found.items()}
    speed = [a / b for a, b in zip(rates["ours"], rates["stock"], strict=True)]
    print(
        f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'}: ours {statistics.median(rates['ours']):.0f} tokens/s, "
        f"stock {statistics.median(rates['stock']):.0f}: {statistics.median(speed):.2f} x (rounds {min(speed):.2f} to {max(speed):.2f}); "
        f"peak memory {memory['ours']:.2f} GB against {memory['stock']:.2f} GB: {memory['ours'] / memory['stock']:.2f} x"
    )
