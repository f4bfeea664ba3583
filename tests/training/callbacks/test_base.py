"""The analysis callback in somebody else's Trainer: when it fires, what it finds, what it says when it can't."""

import lightning.pytorch as pl
import pytest
import torch
from babelscope.analysis.failures import BrokenModelError, failure_of
from babelscope.analysis.findings import Findings, read_findings, result_steps
from babelscope.model import build_model, preset
from babelscope.training.callbacks import AnalysisCallback, PerLanguageLoss
from babelscope.training.callbacks.base import causal_lm
from babelscope.training.callbacks.schedule import StepSchedule
from torch import nn

TINY = preset("toy", vocab_size=320, d_model=16, ffn_dim=16, num_layers=1, attention_heads=2)


class Somebodys(pl.LightningModule):
    """A module of a user: a causal LM under a name of their own, plain batches, manual data."""

    def __init__(self, tokenizer=None):
        super().__init__()
        self.head = nn.Linear(2, 2)
        self.network = build_model(TINY, seed=0)
        self.tokenizer = tokenizer

    def training_step(self, batch, batch_idx):
        return self.network(input_ids=batch, labels=batch).loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Look:
    name = "look"

    def __call__(self, model, tokenizer, step):
        assert not model.training
        torch.rand(5)
        rows = [{"metric": "norm", "value": float(sum(p.norm() for p in model.parameters()))}]
        return Findings.from_rows(self.name, step, rows)


class Looking(AnalysisCallback):
    name = "look"

    def build(self, model, tokenizer):
        assert tokenizer is not None
        return Look()


def trainer_for(tmp_path, callbacks, steps=6, **settings):
    return pl.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        **settings,
    )


def batches(count=40):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(4, 320, (2, 8), generator=generator) for _ in range(count)]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_it_fires_once_an_optimizer_step(tmp_path, accumulate):
    callback = Looking(StepSchedule(every=2, start=0), tokenizer=None)
    trainer = trainer_for(tmp_path, [callback], accumulate_grad_batches=accumulate)
    trainer.fit(Somebodys(tokenizer=object()), torch.utils.data.DataLoader(batches(), batch_size=None))
    assert result_steps(tmp_path / "results", "look") == [0, 2, 4, 6]
    assert read_findings(tmp_path / "results", "look", 4).table["tokens"].to_pylist() == [None]


def test_it_does_not_fire_again_after_a_resume(tmp_path):
    fired = []

    class Counting(Looking):
        def run(self, model, tokenizer, step, *rest):
            fired.append(step)
            return super().run(model, tokenizer, step, *rest)

    data = torch.utils.data.DataLoader(batches(), batch_size=None)
    first = trainer_for(tmp_path, [Counting(StepSchedule(every=2, start=0, final=False))], steps=4)
    first.fit(Somebodys(object()), data)
    first.save_checkpoint(tmp_path / "state.ckpt")
    second = trainer_for(tmp_path, [Counting(StepSchedule(every=2, start=0, final=False))], steps=8)
    second.fit(Somebodys(object()), data, ckpt_path=tmp_path / "state.ckpt", weights_only=True)
    assert fired == [0, 2, 4, 6, 8]


def test_a_callback_of_ours_in_a_foreign_trainer(tmp_path, toy_store):
    callback = PerLanguageLoss(
        StepSchedule(at=[3], final=False), text=str(toy_store), tokenizer=str(toy_store / "tokenizer"), context=16
    )
    trainer = trainer_for(tmp_path, [callback])
    trainer.fit(Somebodys(), torch.utils.data.DataLoader(batches(), batch_size=None))
    rows = read_findings(tmp_path / "results", "validation", 3).table.to_pylist()
    assert {row["language"] for row in rows} == {"alvo", "beki", None}


def test_what_an_analysis_warns_of_is_said_once_a_run_and_kept_at_every_step(tmp_path, caplog):
    class Warning(Look):
        def __call__(self, model, tokenizer, step):
            short = [f"seed {seed}: {step + 10} tokens, 60 were asked for" for seed in range(3)]
            late = ["cc is left out"] if step >= 4 else []
            return Findings.from_rows("look", step, [], warnings=[*short, *late])

    class Unhappy(Looking):
        def build(self, model, tokenizer):
            return Warning()

    trainer = trainer_for(tmp_path, [Unhappy(StepSchedule(every=2, start=0))])
    trainer.fit(Somebodys(object()), torch.utils.data.DataLoader(batches(), batch_size=None))
    said = [record.getMessage() for record in caplog.records if record.name == AnalysisCallback.__module__]
    assert [line for line in said if "took" not in line] == [
        "look at step 0: seed 0: 10 tokens, 60 were asked for (3 of the kind)",
        "look at step 4: cc is left out",
    ]
    kept = {step: len(read_findings(tmp_path / "results", "look", step).warnings) for step in (0, 2, 4, 6)}
    assert kept == {0: 3, 2: 3, 4: 4, 6: 4}


def test_without_a_tokenizer_it_says_what_to_do(tmp_path):
    trainer = trainer_for(tmp_path, [Looking()])
    with pytest.raises(ValueError, match="Looking has no tokenizer: pass tokenizer=NAME_OR_FOLDER"):
        trainer.fit(Somebodys(), torch.utils.data.DataLoader(batches(), batch_size=None))


def test_a_module_without_a_causal_lm_is_named():
    with pytest.raises(ValueError, match="Linear holds no Hugging Face causal language model: assign one"):
        causal_lm(nn.Linear(1, 1))


def test_the_causal_lm_is_found_and_not_its_decoder():
    module = Somebodys()
    assert causal_lm(module) is module.network


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to"),
        BrokenModelError("hidden states of layer 2 are not finite"),
    ],
)
def test_an_analysis_without_room_is_recorded_and_training_goes_on(tmp_path, caplog, error):
    class Hungry(Looking):
        def build(self, model, tokenizer):
            def look(model, tokenizer, step):
                if step == 2:
                    raise error
                return Look()(model, tokenizer, step)

            return look

    module = Somebodys(object())
    trainer = trainer_for(tmp_path, [Hungry(StepSchedule(every=2, start=0))])
    trainer.fit(module, torch.utils.data.DataLoader(batches(), batch_size=None))
    assert trainer.global_step == 6
    reasons = {step: failure_of(read_findings(tmp_path / "results", "look", step)) for step in (0, 2, 4, 6)}
    assert [step for step, reason in reasons.items() if reason] == [2]
    assert str(error)[:20] in reasons[2]
    assert "look could not be done at step 2" in caplog.text
    if not isinstance(error, BrokenModelError):
        assert "leave more to it" in reasons[2]
    assert module.network.training


def test_another_error_of_an_analysis_is_raised(tmp_path):
    class Faulty(Looking):
        def build(self, model, tokenizer):
            raise RuntimeError("a fault of an analysis")

    with pytest.raises(RuntimeError, match="a fault of an analysis"):
        trainer_for(tmp_path, [Faulty()]).fit(
            Somebodys(object()), torch.utils.data.DataLoader(batches(), batch_size=None)
        )
