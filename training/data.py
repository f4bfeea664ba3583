"""Token blocks for the trainer: the endless training stream, the validation batches, the Lightning data module.

Step s of the stream is the positions s * G ... (s + 1) * G - 1 of the mixture. A rank's micro-batch a of that step
takes m of them in a row, so what a step sees does not depend on how many processes, workers or micro-batches there are.

Shapes: G sequences of a step; W processes; A micro-batches of a process and step; m sequences of a micro-batch,
G = A * W * m; T tokens of a block.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import count
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .mixture import Mixture
from .store import Blocks, TokenStore

log = logging.getLogger(__name__)

Batch = dict[str, Tensor]


def micro_batches(global_batch_size: int, micro_batch_size: int, world_size: int) -> int:
    """How many micro-batches each of `world_size` processes accumulates in a step.

    Raises:
        ValueError: if the step cannot be divided evenly, with the nearest sizes that can.
    """
    for name, size in (("global_batch_size", global_batch_size), ("micro_batch_size", micro_batch_size)):
        if size < 1:
            raise ValueError(f"{name} is {size}; give at least 1 sequence")
    at_once = micro_batch_size * world_size
    if global_batch_size % at_once == 0:
        return global_batch_size // at_once
    below = global_batch_size // at_once * at_once
    remedy = "global_batch_size " + " or ".join(str(size) for size in (below, below + at_once) if size)
    if global_batch_size % world_size == 0:
        share = global_batch_size // world_size
        divisors = [size for size in range(1, share + 1) if share % size == 0]
        under, over = (
            [size for size in divisors if size < micro_batch_size][-1:],
            [size for size in divisors if size > micro_batch_size][:1],
        )
        remedy += ", or micro_batch_size " + " or ".join(str(size) for size in under + over)
    raise ValueError(
        f"global_batch_size {global_batch_size} is not a multiple of micro_batch_size {micro_batch_size} x "
        f"{world_size} processes; take {remedy}"
    )


class BlockStream(IterableDataset):
    """One process's endless stream of micro-batches; with loader workers, each makes every n-th of them.

    Args:
        blocks: the training blocks of every language of the mixture; they travel to loader workers as paths.
        mixture: which block is at which position.
        global_batch_size: sequences of an optimizer step, over all processes.
        micro_batch_size: sequences of a forward pass of one process.
        rank, world_size: this process among all.
        start: the step of the first micro-batch.

    Yields:
        `input_ids` int64 (m, T) and `languages` int64 (m,), which index `mixture.languages`.

    Raises:
        ValueError: if the step cannot be divided evenly.
    """

    def __init__(
        self,
        blocks: Mapping[str, Blocks],
        mixture: Mixture,
        *,
        global_batch_size: int,
        micro_batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start: int = 0,
    ) -> None:
        self.blocks = blocks
        self.mixture = mixture
        self.global_batch_size = global_batch_size
        self.micro_batch_size = micro_batch_size
        self.rank = rank
        self.world_size = world_size
        self.start = start
        self.accumulate = micro_batches(global_batch_size, micro_batch_size, world_size)

    def positions(self, index: int) -> np.ndarray:
        """Positions (m,) of this process's micro-batch `index`, counted from the first of step 0."""
        step, number = divmod(index, self.accumulate)
        first = step * self.global_batch_size + (number * self.world_size + self.rank) * self.micro_batch_size
        return np.arange(first, first + self.micro_batch_size)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in count(self.start * self.accumulate + offset, stride):
            yield gather(self.blocks, self.mixture.languages, *self.mixture.draw(self.positions(index)))


def gather(
    blocks: Mapping[str, Blocks], languages: tuple[str, ...], language_N: np.ndarray, block_N: np.ndarray
) -> Batch:
    """The blocks as a batch: `input_ids` int64 (N, T), `languages` int64 (N,)."""
    length = next(iter(blocks.values())).block_length
    input_ids_NT = np.empty((len(block_N), length), dtype=np.int64)
    for language in np.unique(language_N).tolist():
        here_N = language_N == language
        input_ids_NT[here_N] = blocks[languages[language]].gather(block_N[here_N])
    return {"input_ids": torch.from_numpy(input_ids_NT), "languages": torch.from_numpy(language_N)}


class ValidationBatches:
    """The same validation blocks in the same order every time, shared out over the processes, none twice.

    Every process gets the same number of batches (where a model broadcasts buffers in its forward pass, one that
    had more would wait for ever), so a batch may hold one sequence less or more than `micro_batch_size`.

    Raises:
        ValueError: if there are fewer blocks than processes.
    """

    def __init__(
        self,
        blocks: Mapping[str, Blocks],
        languages: tuple[str, ...],
        *,
        most: int,
        micro_batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.blocks, self.languages = blocks, languages
        rows: list[tuple[int, int]] = []
        for index, language in enumerate(languages):
            size = len(blocks[language]) if language in blocks else 0
            chosen = min(size, most)
            rows += [(index, entry * size // chosen) for entry in range(chosen)]  # spread over the whole split
        if rows and len(rows) < world_size:
            raise ValueError(
                f"validation has {len(rows)} blocks for {world_size} processes; hold out more text or raise "
                "validation_blocks, or set the trainer's limit_val_batches to 0"
            )
        batches = max(1, len(rows) // world_size // micro_batch_size)
        if len(rows) // world_size > batches * micro_batch_size:
            batches += 1
        mine = np.array(rows[rank::world_size], dtype=np.int64).reshape(-1, 2)
        self.batches = np.array_split(mine, batches) if rows else []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for rows_N2 in self.batches:
            yield gather(self.blocks, self.languages, rows_N2[:, 0], rows_N2[:, 1])


class StepLoader:
    """Loads the stream from the trainer's present step on, each time it is iterated.

    Lightning restores its progress before it asks for the training data, so a resumed run goes on at its step. The
    loader's own generator keeps the global random state untouched: its seed is drawn at every iteration otherwise.
    """

    def __init__(self, stream: BlockStream, trainer: L.Trainer | None, num_workers: int) -> None:
        self.stream, self.trainer, self.num_workers = stream, trainer, num_workers

    def __iter__(self) -> Iterator[Batch]:
        if self.trainer is not None:
            self.stream.start = self.trainer.global_step
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        yield from DataLoader(
            self.stream,
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=on_gpu,
            generator=torch.Generator(),
        )


class TokenBlocks(L.LightningDataModule):
    """Token blocks of a prepared store, mixed over languages.

    Batches hold `input_ids` int64 (m, T) and `languages` int64 (m,), which index `languages`.

    Args:
        store: Folder that `babelscope prepare` wrote.
        global_batch_size: Sequences of an optimizer step, over all processes and micro-batches.
        micro_batch_size: Sequences of one forward pass on one device. How many are accumulated follows.
        alpha: Languages are drawn in proportion to their number of blocks to this power, 0 to 1.
        weights: Weights of the languages in place of alpha; 0 leaves one out.
        seed: The order of the data follows from it.
        num_workers: Processes that load data beside each training process; 0 is fast enough for most.
        validation_blocks: At most so many validation blocks of each language.
    """

    def __init__(
        self,
        store: str,
        global_batch_size: int = 32,
        micro_batch_size: int = 32,
        alpha: float = 0.3,
        weights: dict[str, float] | None = None,
        seed: int = 0,
        num_workers: int = 0,
        validation_blocks: int = 64,
    ) -> None:
        super().__init__()
        self.store = str(store)
        self.global_batch_size = global_batch_size
        self.micro_batch_size = micro_batch_size
        self.alpha = alpha
        self.weights = weights
        self.seed = seed
        self.num_workers = num_workers
        self.validation_blocks = validation_blocks
        self._blocks: dict[str, dict[str, Blocks]] = {}

    @cached_property
    def token_store(self) -> TokenStore:
        return TokenStore(self.store)

    def blocks(self, split: str) -> dict[str, Blocks]:
        """The blocks of every language that has any in this split, "train" or "validation"; opened once."""
        if split not in self._blocks:
            found = {
                language: self.token_store.blocks(language, split)
                for language, entry in self.token_store.manifest["languages"].items()
                if split in entry["splits"]
            }
            self._blocks[split] = {language: blocks for language, blocks in found.items() if len(blocks)}
        return self._blocks[split]

    @cached_property
    def mixture(self) -> Mixture:
        """Which block is at which position.

        Raises:
            ValueError: for wrong weights or alpha, or a language without training blocks.
        """
        blocks = {language: len(self.blocks("train").get(language, ())) for language in self.token_store.languages}
        return Mixture(blocks, seed=self.seed, alpha=self.alpha, weights=self.weights)

    @property
    def languages(self) -> tuple[str, ...]:
        """Names, sorted; the `languages` of a batch index them."""
        return self.mixture.languages

    @property
    def block_length(self) -> int:
        return self.token_store.block_length

    @property
    def vocab_size(self) -> int:
        return self.token_store.vocab_size

    @property
    def accumulate(self) -> int:
        """Micro-batches of a step on each process: the trainer's `accumulate_grad_batches`."""
        return micro_batches(self.global_batch_size, self.micro_batch_size, self._world()[1])

    def tokens_seen(self, step: int) -> dict[str, int]:
        """Tokens of each language in the steps before `step`."""
        counts = self.mixture.counts(step * self.global_batch_size)
        return {language: draws * self.block_length for language, draws in counts.items()}

    def sample(self, position: int) -> tuple[str, int, np.ndarray]:
        """Language, block and tokens int32 (T,) at a position of the stream (step * global batch + slot)."""
        (language,), (block,) = self.mixture.draw(np.array([position]))
        name = self.languages[language]
        return name, int(block), self.blocks("train")[name].gather(np.array([block]))[0]

    def setup(self, stage: str) -> None:
        """Open the store and, for fit, tell the trainer how many micro-batches make a step.

        Raises:
            ValueError: for settings that do not fit together.
        """
        if stage != "fit" or self.trainer is None:
            return
        accumulate, given = self.accumulate, self.trainer.accumulate_grad_batches
        if given not in (1, accumulate):
            raise ValueError(
                f"accumulate_grad_batches is {given}, but global_batch_size {self.global_batch_size} makes it "
                f"{accumulate}; leave it out and set global_batch_size and micro_batch_size"
            )
        self.trainer.accumulate_grad_batches = accumulate
        if without := [name for name in self.languages if name not in self.blocks("validation")]:
            log.warning("no validation block for %s: their validation loss is not reported", ", ".join(without))

    def train_dataloader(self) -> StepLoader:
        rank, world_size = self._world()
        stream = BlockStream(
            self.blocks("train"),
            self.mixture,
            global_batch_size=self.global_batch_size,
            micro_batch_size=self.micro_batch_size,
            rank=rank,
            world_size=world_size,
        )
        if self.trainer is not None:
            self._align_progress(self.trainer, stream.accumulate)
        return StepLoader(stream, self.trainer, self.num_workers)

    def val_dataloader(self) -> ValidationBatches:
        rank, world_size = self._world()
        return ValidationBatches(
            self.blocks("validation"),
            self.languages,
            most=self.validation_blocks,
            micro_batch_size=self.micro_batch_size,
            rank=rank,
            world_size=world_size,
        )

    def state_dict(self) -> dict[str, Any]:
        """What the order of the data follows from."""
        mixture = self.mixture
        return {
            "global_batch_size": self.global_batch_size,
            "block_length": self.block_length,
            "seed": self.seed,
            "blocks": dict(zip(mixture.languages, mixture.blocks_L.tolist(), strict=True)),
            "weights": dict(zip(mixture.languages, mixture.weights.tolist(), strict=True)),
            "tokenizer": self.token_store.manifest["tokenizer"]["sha256"],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on with other data than the run began with.

        Raises:
            ValueError: if one of the settings that order the data differs; it names them with both values.
        """
        now = self.state_dict()
        changed = [f"{name} was {state_dict[name]} and is {now[name]}" for name in now if now[name] != state_dict[name]]
        if changed:
            raise ValueError(
                f"the run to resume had other data: {'; '.join(changed)}. Put the settings back, or start a new run "
                "from the checkpoint's weights"
            )

    def _world(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @staticmethod
    def _align_progress(trainer: L.Trainer, accumulate: int) -> None:
        """Make the trainer's count of micro-batches agree with the step that the stream starts at.

        The trainer steps the optimizer when that count is a multiple of `accumulate`. It is off when a run is resumed
        with another number of processes, or from a state saved between two micro-batches of a step.
        """
        if trainer.current_epoch > 0:
            return
        progress = trainer.fit_loop.epoch_loop.batch_progress
        surplus = progress.total.ready - trainer.global_step * accumulate
        for tracker in (progress.current, progress.total):
            for field in ("ready", "started", "processed", "completed"):
                setattr(tracker, field, getattr(tracker, field) - surplus)
