"""Streams of token blocks: the endless one that trains, from any step on, and the short one that validates.

Step s of training is the positions s * G ... (s + 1) * G - 1 of the mixture. A rank's micro-batch a of that step
takes m of them in a row, so what a step sees does not depend on how many processes, workers or micro-batches there are.

Shapes: G sequences of a step; W processes; A micro-batches of a process and step; m sequences of a micro-batch,
G = A * W * m; T tokens of a block.
"""

from collections.abc import Iterator, Mapping
from itertools import count

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .mixture import Mixture
from .store import Blocks

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
