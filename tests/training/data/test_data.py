"""The stream and the data module: what a step sees does not depend on how the work is split or where it was stopped."""

import json
import logging
from pathlib import Path

import datasets
import lightning as L
import numpy as np
import pytest
import torch
from babelscope.training.data.datamodule import TokenBlocks
from babelscope.training.data.stream import BlockStream, StepLoader, ValidationBatches, micro_batches
from torch.utils.data import DataLoader

T = 8
TRAIN, VALIDATION = {"aa": 23, "bb": 60, "cc": 5}, {"aa": 9, "bb": 40, "cc": 3}


def write_store(folder: Path, validation: dict[str, int]) -> str:
    """A finished store whose every token tells language, split and block."""
    manifest: dict = {
        "format": 1,
        "block_length": T,
        "tokenizer": {"vocab_size": 10_000, "sha256": "0"},
        "languages": {},
    }
    features = datasets.Features({"input_ids": datasets.List(datasets.Value("int32"), length=T)})
    for number, language in enumerate(TRAIN):
        splits = {"train": TRAIN[language], "validation": validation.get(language, 0)}
        splits = {split: size for split, size in splits.items() if size}
        manifest["languages"][language] = {"splits": {split: {"bytes": 1, "tokens": 1} for split in splits}}
        for split, size in splits.items():
            first = 1000 * number + (500 if split == "validation" else 0)
            rows = [[first + block] * T for block in range(size)]
            data = datasets.Dataset.from_dict({"input_ids": rows}, features=features)
            data.save_to_disk(str(folder / "blocks" / language / split))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), VALIDATION)


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.ERROR, logger="lightning.pytorch")


def first_tokens(batches) -> list[list[int]]:
    return [batch["input_ids"][:, 0].tolist() for batch in batches]


def expected(data: TokenBlocks, steps: int) -> list[list[int]]:
    """Step by step, slot by slot, from the positions alone."""
    size = data.global_batch_size
    return [[int(data.sample(step * size + slot)[2][0]) for slot in range(size)] for step in range(steps)]


def stream_of(data: TokenBlocks, **changes) -> BlockStream:
    settings = {"global_batch_size": data.global_batch_size, "micro_batch_size": data.micro_batch_size, **changes}
    return BlockStream(data.blocks("train"), data.mixture, **settings)


class Recorder(L.LightningModule):
    """Learns a little from what it is given and keeps a record of it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(T, 1)
        self.register_buffer("broadcast", torch.zeros(1))
        self.seen: list[tuple[int, list[int]]] = []
        self.validated: list[list[int]] = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.global_step, batch["input_ids"][:, 0].tolist()))
        return self.layer(batch["input_ids"] / 1000.0).square().mean()

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch["input_ids"][:, 0].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def steps(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for step, tokens in self.seen:
            found.setdefault(step, []).extend(tokens)
        return found


class SaveAt(L.Callback):
    def __init__(self, path, batch_idx):
        self.path, self.batch_idx = path, batch_idx

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == self.batch_idx:
            trainer.save_checkpoint(self.path)


def trainer_for(steps: int, callbacks=(), **settings) -> L.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings = {"accelerator": "cpu", "devices": 1, "max_steps": steps, "limit_val_batches": 0, **quiet, **settings}
    return L.Trainer(enable_checkpointing=False, callbacks=list(callbacks), **settings)


@pytest.mark.parametrize("sizes", [(32, 32, 1, 1), (32, 4, 1, 8), (32, 4, 4, 2), (6, 3, 2, 1)])
def test_micro_batches_of_a_step(sizes):
    assert micro_batches(*sizes[:3]) == sizes[3]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            (30, 4, 1),
            "not a multiple of micro_batch_size 4 x 1 processes; take global_batch_size 28 or 32, or micro_batch"
            "_size 3 or 5$",
        ),
        ((32, 32, 2), "take global_batch_size 64, or micro_batch_size 16$"),
        ((33, 4, 2), "take global_batch_size 32 or 40$"),
        ((0, 4, 1), "global_batch_size is 0; give at least 1 sequence"),
        ((4, 0, 1), "micro_batch_size is 0; give at least 1 sequence"),
    ],
)
def test_sizes_that_do_not_divide_are_refused_with_the_nearest_that_do(sizes, message):
    with pytest.raises(ValueError, match=message):
        micro_batches(*sizes)


@pytest.mark.parametrize(("world_size", "micro"), [(1, 12), (1, 3), (2, 6), (2, 2), (3, 1), (4, 3)])
def test_a_step_is_the_same_however_it_is_split(store, world_size, micro):
    data = TokenBlocks(store, global_batch_size=12, seed=4)
    streams = [stream_of(data, micro_batch_size=micro, rank=rank, world_size=world_size) for rank in range(world_size)]
    accumulate = 12 // (world_size * micro)
    iterators = [iter(stream) for stream in streams]
    for step in expected(data, 6):
        found = [first_tokens([next(it)])[0] for _ in range(accumulate) for it in iterators]
        assert [token for batch in found for token in batch] == step


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_do_not_change_the_order_and_a_start_skips_exactly(store, workers):
    data = TokenBlocks(store, global_batch_size=6)
    stream = stream_of(data, micro_batch_size=2, start=5)
    loader = iter(DataLoader(stream, batch_size=None, num_workers=workers))
    batches = [next(loader) for _ in range(12)]
    assert [token for batch in first_tokens(batches) for token in batch] == [
        token for step in expected(data, 9)[5:] for token in step
    ]
    assert batches[0]["input_ids"].dtype == batches[0]["languages"].dtype == torch.int64
    assert batches[0]["input_ids"].shape == (2, T)
    for batch in batches:
        assert (batch["input_ids"][:, 0] // 1000).tolist() == batch["languages"].tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_leaves_the_random_state_alone(store, workers):
    data = TokenBlocks(store, global_batch_size=6, micro_batch_size=6)
    stream = stream_of(data)
    before = torch.get_rng_state()
    next(iter(StepLoader(stream, None, workers)))
    assert torch.equal(before, torch.get_rng_state())
    next(iter(DataLoader(stream, batch_size=None)))  # and a plain loader does disturb it
    assert not torch.equal(before, torch.get_rng_state())


def test_tokens_seen_counts_what_the_stream_gave(store):
    data = TokenBlocks(store, global_batch_size=10, micro_batch_size=10, alpha=0.5)
    seen = dict.fromkeys(data.languages, 0)
    stream = iter(stream_of(data))
    for step in range(30):
        assert data.tokens_seen(step) == seen
        for index in next(stream)["languages"].tolist():
            seen[data.languages[index]] += T
    assert min(seen.values()) > 0


def test_weights_zero_leaves_a_language_out_of_training_but_not_of_validation(store):
    data = TokenBlocks(store, weights={"aa": 1, "bb": 1, "cc": 0})
    assert data.tokens_seen(100)["cc"] == 0
    assert {int(i) for batch in data.val_dataloader() for i in batch["languages"]} == {0, 1, 2}


@pytest.mark.parametrize("workers", [0, 1])
def test_the_trainer_accumulates_and_sees_every_slot_once(store, workers):
    data = TokenBlocks(store, global_batch_size=8, micro_batch_size=2, num_workers=workers)
    trainer, module = trainer_for(5), Recorder()
    trainer.fit(module, data)
    assert trainer.accumulate_grad_batches == 4
    assert trainer.global_step == 5
    assert len(module.seen) == 20
    assert list(module.steps().values()) == expected(data, 5)


def whole_run(store, **settings) -> Recorder:
    module = Recorder()
    trainer_for(7).fit(module, TokenBlocks(store, **settings))
    return module


@pytest.mark.parametrize(
    ("micro_after", "stop_after_batches", "workers"),
    [(2, 12, 0), (2, 12, 1), (1, 12, 0), (4, 12, 0), (2, 14, 0)],
    ids=["plain", "worker", "more micro-batches", "fewer micro-batches", "saved within a step"],
)
def test_a_resumed_run_goes_on_at_its_step(store, tmp_path, micro_after, stop_after_batches, workers):
    """Saved after 12 micro-batches of 2, which is 3 steps of 8; resumed with 1, 2 or 4 at a time."""
    path = tmp_path / "state.ckpt"
    first = Recorder()
    data = TokenBlocks(store, global_batch_size=8, micro_batch_size=2, num_workers=workers)
    trainer_for(5, [SaveAt(path, stop_after_batches - 1)]).fit(first, data)
    second = Recorder()
    resumed = trainer_for(7)
    resumed.fit(
        second,
        TokenBlocks(store, global_batch_size=8, micro_batch_size=micro_after, num_workers=workers),
        ckpt_path=path,
    )
    assert resumed.global_step == 7
    assert second.steps() == {step: tokens for step, tokens in enumerate(expected(data, 7)) if step >= 3}
    assert all(len(tokens) == micro_after for _, tokens in second.seen)
    whole = whole_run(store, global_batch_size=8, micro_batch_size=micro_after)
    for ours, theirs in zip(second.parameters(), whole.parameters(), strict=True):
        if micro_after == 2:
            assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs)


def test_epochs_cut_short_by_the_trainer_do_not_repeat_data(store):
    data = TokenBlocks(store, global_batch_size=8, micro_batch_size=4)
    module = Recorder()
    trainer_for(6, limit_train_batches=4, max_epochs=-1).fit(module, data)
    assert list(module.steps().values()) == expected(data, 6)


def test_fast_dev_run_works(store):
    trainer = trainer_for(1, fast_dev_run=True, limit_val_batches=1.0)
    module = Recorder()
    trainer.fit(module, TokenBlocks(store, global_batch_size=4, micro_batch_size=4))
    assert len(module.seen) == len(module.validated) == 1


@pytest.mark.parametrize(("world_size", "micro"), [(1, 4), (1, 100), (2, 4), (3, 1), (5, 2), (7, 3)])
def test_validation_is_shared_out_without_duplicates_in_equally_many_batches(store, world_size, micro):
    data = TokenBlocks(store, validation_blocks=12)
    parts = [
        ValidationBatches(
            data.blocks("validation"), data.languages, most=12, micro_batch_size=micro, rank=rank, world_size=world_size
        )
        for rank in range(world_size)
    ]
    assert len({len(part) for part in parts}) == 1
    batches = [batch for part in parts for batch in part]
    assert all(0 < len(batch["languages"]) <= micro + 1 for batch in batches)
    found = sorted(token for batch in first_tokens(batches) for token in batch)
    spread = [1500 + block * 40 // 12 for block in range(12)]
    assert found == [*range(500, 509), *spread, *range(2500, 2503)]
    assert first_tokens(parts[0]) == first_tokens(parts[0])


def test_validation_with_fewer_blocks_than_processes_is_refused(store):
    data = TokenBlocks(store)
    with pytest.raises(ValueError, match="validation has 3 blocks for 4 processes; hold out more text or raise"):
        ValidationBatches(data.blocks("validation"), data.languages, most=1, micro_batch_size=1, world_size=4)


def test_a_language_without_validation_is_named_and_left_out(tmp_path, caplog):
    data = TokenBlocks(write_store(tmp_path, {"aa": 2, "cc": 1}))
    data.trainer = trainer_for(1)
    with caplog.at_level(logging.WARNING):
        data.setup("fit")
    assert "no validation block for bb: their validation loss is not reported" in caplog.text
    assert sorted(i for batch in data.val_dataloader() for i in batch["languages"].tolist()) == [0, 0, 2]


def test_a_store_without_validation_trains(tmp_path):
    module = Recorder()
    data = TokenBlocks(write_store(tmp_path, {}), global_batch_size=4, micro_batch_size=4)
    trainer_for(2, limit_val_batches=1.0).fit(module, data)
    assert len(module.seen) == 2
    assert module.validated == []


def test_other_data_than_the_run_began_with_is_refused(store, tmp_path):
    path = tmp_path / "state.ckpt"
    trainer = trainer_for(1)
    trainer.fit(Recorder(), TokenBlocks(store, global_batch_size=4, micro_batch_size=4))
    trainer.save_checkpoint(path)
    changed = TokenBlocks(store, global_batch_size=8, micro_batch_size=4, seed=1)
    with pytest.raises(ValueError, match=r"global_batch_size was 4 and is 8; seed was 0 and is 1\. Put the settings"):
        trainer_for(2).fit(Recorder(), changed, ckpt_path=path)
    with pytest.raises(ValueError, match=r"other data: weights was \{.*\} and is \{'aa'"):
        trainer_for(2).fit(
            Recorder(), TokenBlocks(store, global_batch_size=4, micro_batch_size=4, alpha=1.0), ckpt_path=path
        )


def test_an_accumulation_of_the_users_own_is_refused(store):
    data = TokenBlocks(store, global_batch_size=8, micro_batch_size=2)
    with pytest.raises(ValueError, match="accumulate_grad_batches is 3, but global_batch_size 8 makes it 4; leave it"):
        trainer_for(1, accumulate_grad_batches=3).fit(Recorder(), data)
    trainer_for(1, accumulate_grad_batches=4).fit(Recorder(), data)


class WriteWhatIsSeen(L.Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_fit_end(self, trainer, module):
        record = {
            "seen": module.seen,
            "validated": module.validated,
            "weights": module.layer.weight.tolist(),
        }
        (self.folder / f"{trainer.global_rank}.json").write_text(json.dumps(record))


def test_two_processes_share_a_step_and_the_validation(store, tmp_path):
    settings = {"global_batch_size": 8, "micro_batch_size": 2, "validation_blocks": 5}
    data = TokenBlocks(store, **settings)
    trainer_for(
        3,
        [WriteWhatIsSeen(tmp_path)],
        devices=2,
        strategy="ddp_fork",
        limit_val_batches=1.0,
        val_check_interval=4,
        num_sanity_val_steps=0,
    ).fit(Recorder(), data)
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    found: dict[int, list[int]] = {}
    for micro in zip(ranks[0]["seen"], ranks[1]["seen"], strict=True):
        for step, tokens in micro:
            found.setdefault(step, []).extend(tokens)
    assert list(found.values()) == expected(data, 3)
    assert len(ranks[0]["validated"]) == len(ranks[1]["validated"]) > 0
    both = [token for rank in ranks for batch in rank["validated"] for token in batch]
    assert len(both) == len(set(both)) == 13
    single = Recorder()
    trainer_for(3).fit(single, TokenBlocks(store, **settings))
    for rank in ranks:
        torch.testing.assert_close(torch.tensor(rank["weights"]), single.layer.weight.detach())


def test_sample_reads_one_position(store):
    data = TokenBlocks(store, seed=9)
    language, block, tokens_T = data.sample(17)
    assert tokens_T.tolist() == [1000 * data.languages.index(language) + block] * T
    assert tokens_T.dtype == np.int32
