"""The Lightning data module: a prepared store, the mixture over its languages, and where the run stands in it.

Shapes: m sequences of a micro-batch; T tokens of a block.
"""

import logging
from functools import cached_property
from typing import Any

import lightning as L
import numpy as np

from .mixture import Mixture
from .store import Blocks, TokenStore
from .stream import BlockStream, StepLoader, ValidationBatches, micro_batches

log = logging.getLogger(__name__)


class TokenBlocks(L.LightningDataModule):
    """Token blocks of a prepared store, mixed over languages.

    Batches hold `input_ids` int64 (m, T) and `languages` int64 (m,), which index `languages`.

    Args:
        store: Folder that `babelscope prepare` wrote.
        global_batch_size: Sequences of an optimizer step, over all processes and micro-batches.
        micro_batch_size: Sequences of one forward pass on one device. How many are accumulated follows.
        alpha: Languages are drawn in proportion to their number of blocks to this power, 0 to 1.
        weights: Weights of the languages in place of alpha; 0 leaves one out.
        seed: The order of the data follows from it; by default the run's, `seed_everything`, and 0 where there is none.
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
        seed: int | None = None,
        num_workers: int = 0,
        validation_blocks: int = 64,
    ) -> None:
        super().__init__()
        self.store = str(store)
        self.global_batch_size = global_batch_size
        self.micro_batch_size = micro_batch_size
        self.alpha = alpha
        self.weights = weights
        self.seed = seed or 0
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
