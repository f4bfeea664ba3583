"""The callbacks in `transformers.Trainer`: the right steps, no trace in what is trained, the trainer's own reporters."""

import pytest
import torch
import wandb
from babelscope.analysis.findings import Findings, read_findings, result_steps
from babelscope.model import build_model, preset
from babelscope.training.callbacks import (
    AnalysisCallback,
    PerLanguageLoss,
    StepSchedule,
    TransformersCallback,
    observe,
)
from babelscope.training.callbacks.tracking import STEP_METRIC
from transformers import AutoTokenizer, Trainer, TrainingArguments
from transformers.integrations.integration_utils import TensorBoardCallback

TINY = preset("toy", vocab_size=320, d_model=16, ffn_dim=16, num_layers=1, attention_heads=2, dropout=0.1)


@pytest.fixture
def tokenizer(toy_store):
    return AutoTokenizer.from_pretrained(toy_store / "tokenizer")


@pytest.fixture
def loss(toy_store):
    return lambda **schedule: PerLanguageLoss(StepSchedule(**schedule), text=str(toy_store), context=16, max_tokens=200)


def rows(count=64):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 320, (count, 8), generator=generator)
    return [{"input_ids": row, "labels": row} for row in ids]


def trainer_for(folder, tokenizer=None, steps=6, callbacks=(), **settings):
    arguments = TrainingArguments(
        str(folder),
        max_steps=steps,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=1,
        **{"save_strategy": "no", "report_to": "none", **settings},
    )
    model = build_model(TINY, seed=0)
    return Trainer(model, arguments, train_dataset=rows(), processing_class=tokenizer, callbacks=list(callbacks))


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_watching_changes_nothing(tmp_path, tokenizer, loss, accumulate):
    plain = trainer_for(tmp_path / "plain", tokenizer, gradient_accumulation_steps=accumulate)
    plain.train()
    watch = TransformersCallback([loss(every=2, start=0)])
    watched = trainer_for(tmp_path / "watched", tokenizer, callbacks=[watch], gradient_accumulation_steps=accumulate)
    watched.train()
    assert losses(plain) == losses(watched)
    assert len(losses(plain)) == 6
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), watched.model.parameters(), strict=True))
    assert result_steps(tmp_path / "watched" / "results", "validation") == [0, 2, 4, 6]
    (after,) = observe(watched.model, tokenizer, 6, [loss(every=6)], results=tmp_path / "after")
    live = read_findings(tmp_path / "watched" / "results", "validation", 6)
    assert live.table.drop_columns("tokens").equals(after.table.drop_columns("tokens"))


def test_no_step_is_done_twice_after_a_resume_and_tokens_are_the_trainers(tmp_path, tokenizer, loss):
    ran = []

    class Counting(PerLanguageLoss):
        def run(self, model, tokenizer, step, tokens, results):
            ran.append((step, tokens))
            return super().run(model, tokenizer, step, tokens, results)

    def watch():
        made = loss(every=2, start=0)
        made.__class__ = Counting
        return TransformersCallback([made], results=tmp_path / "elsewhere")

    counted = {"save_strategy": "steps", "save_steps": 4, "include_num_input_tokens_seen": "all"}
    whole = trainer_for(tmp_path / "run", tokenizer, steps=8, callbacks=[watch()], **counted)
    whole.train()
    assert ran == [(0, None), (2, 32), (4, 64), (6, 96), (8, 128)]
    uninterrupted = read_findings(tmp_path / "elsewhere", "validation", 8)
    ran.clear()
    again = trainer_for(tmp_path / "run", tokenizer, steps=8, callbacks=[watch()], **counted)
    again.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-4"))
    assert ran == [(6, 96), (8, 128)]
    assert read_findings(tmp_path / "elsewhere", "validation", 8).table.equals(uninterrupted.table)


class Logits(AnalysisCallback):
    """An analysis of a user that calls the whole model, as steering does where it lets it write."""

    name = "logits"

    def build(self, model, tokenizer):
        def look(model, tokenizer, step):
            logits = model(torch.arange(4, 20)[None]).logits
            return Findings.from_rows("logits", step, [{"metric": "norm", "value": float(logits.double().norm())}])

        return look


def test_mixed_precision_of_the_trainer_does_not_reach_the_analyses(tmp_path, tokenizer):
    """accelerate wraps `forward` with autocast; findings are those of the weights as they are, and the wrap is back."""
    watch = TransformersCallback([Logits(StepSchedule(at=[2], final=False))])
    trainer = trainer_for(tmp_path / "run", tokenizer, steps=2, callbacks=[watch], bf16=True)
    trainer.train()
    assert "_original_forward" in vars(trainer.model)
    fresh = build_model(TINY, seed=0)
    fresh.load_state_dict(trainer.model.state_dict())
    (expected,) = observe(fresh, tokenizer, 0, [Logits()], results=tmp_path / "fresh")
    live = read_findings(tmp_path / "run" / "results", "logits", 2)
    assert live.table["value"].equals(expected.table["value"])
    with torch.no_grad():
        rounded = trainer.model.eval()(torch.arange(4, 20)[None]).logits
        exact = fresh.eval()(torch.arange(4, 20)[None]).logits
    assert not torch.equal(rounded, exact)


def test_mistakes_are_told_before_training(tmp_path, tokenizer, loss, toy_store):
    nowhere = PerLanguageLoss(StepSchedule(at=[5]), text=str(tmp_path / "nowhere"))
    trainer = trainer_for(tmp_path / "run", tokenizer, callbacks=[TransformersCallback([nowhere])])
    with pytest.raises(ValueError, match="nowhere does not exist"):
        trainer.train()
    trainer = trainer_for(tmp_path / "run", None, callbacks=[TransformersCallback([loss(every=2)])])
    with pytest.raises(ValueError, match="PerLanguageLoss has no tokenizer: pass tokenizer=NAME_OR_FOLDER"):
        trainer.train()
    assert not (tmp_path / "run" / "results").exists()
    named = PerLanguageLoss(text=str(toy_store), tokenizer=str(toy_store / "tokenizer"), context=16, max_tokens=200)
    trainer_for(tmp_path / "run", None, steps=1, callbacks=[TransformersCallback([named])]).train()
    assert result_steps(tmp_path / "run" / "results", "validation") == [0, 1]


def test_findings_go_to_the_trainers_wandb_run_on_an_axis_of_their_own(tmp_path, tokenizer, loss, monkeypatch):
    class Run:
        def __init__(self):
            self.defined, self.logged = {}, []

        def define_metric(self, name, **settings):
            self.defined[name] = settings

        def log(self, values):
            self.logged.append(values)

    run = Run()
    monkeypatch.setattr(wandb, "run", run)
    trainer = trainer_for(tmp_path / "run", tokenizer, callbacks=[TransformersCallback([loss(every=3, start=0)])])
    trainer.args.report_to = ["wandb"]  # set late: the trainer's own callback would start a run
    trainer.train()
    assert [values[STEP_METRIC] for values in run.logged] == [0, 3, 6]
    (name,) = (name for name in run.logged[0] if name.startswith("validation/loss/alvo"))
    # An exact name: the trainer gives "*" its own axis first, and the first pattern that fits wins.
    assert run.defined[name] == {"step_metric": STEP_METRIC}


def test_other_reporters_get_the_values_where_the_trainer_is_given(tmp_path, tokenizer, loss):
    class Recording(TensorBoardCallback):
        def __init__(self):
            self.logged = []

        def on_train_begin(self, args, state, control, **kwargs): ...

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.logged.append((state.global_step, logs))

        def on_train_end(self, args, state, control, **kwargs): ...

    reporter = Recording()
    trainer = trainer_for(tmp_path / "run", tokenizer, callbacks=[reporter])
    trainer.add_callback(TransformersCallback([loss(every=3, start=0)], trainer=trainer))
    trainer.train()
    ours = [(step, logs) for step, logs in reporter.logged if any(name.startswith("validation/") for name in logs)]
    assert [step for step, _ in ours] == [0, 3, 6]
    assert all(isinstance(value, float) for _, logs in ours for value in logs.values())
