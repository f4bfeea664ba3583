"""The callbacks in a plain loop: what is due, what it says beforehand, and that it leaves no trace."""

import copy

import pytest
import torch
import torch.distributed as dist
from babelscope.analysis.findings import Findings, read_findings, result_steps
from babelscope.model import build_model, preset
from babelscope.training.callbacks import (
    AnalysisCallback,
    ExpertNeurons,
    PerLanguageLoss,
    Steering,
    StepSchedule,
    observe,
)
from torch import nn
from transformers import AutoTokenizer

TINY = preset("toy", vocab_size=320, d_model=16, ffn_dim=16, num_layers=1, attention_heads=2, dropout=0.1)


class Norm(AnalysisCallback):
    """An analysis of a user, which draws random numbers too."""

    name = "norm"

    def build(self, model, tokenizer):
        def look(model, tokenizer, step):
            assert not model.training
            torch.rand(7)
            return Findings.from_rows("norm", step, [{"metric": "norm", "value": float(model.lm_head.weight.norm())}])

        return look


@pytest.fixture
def tokenizer(toy_store):
    return AutoTokenizer.from_pretrained(toy_store / "tokenizer")


@pytest.fixture
def loss(toy_store):
    return PerLanguageLoss(StepSchedule(powers_of=2, start=0), text=str(toy_store), context=16, max_tokens=200)


def train(model, watch, steps=6):
    """A loop of somebody; returns the losses."""
    torch.manual_seed(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    watch(model, 0)
    for step in range(1, steps + 1):
        ids = torch.randint(4, 320, (2, 8))
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        watch(model, step)
    return losses


def test_a_plain_loop_is_watched_at_due_steps_and_left_as_it_was(tmp_path, tokenizer, loss):
    plain = build_model(TINY, seed=0).train()
    watched = copy.deepcopy(plain)
    callbacks = [loss, Norm(StepSchedule(every=3))]
    found = {}

    def watch(model, step):
        found[step] = observe(model, tokenizer, step, callbacks, results=tmp_path / "results", tokens=step * 16, last=6)

    assert train(plain, lambda model, step: None) == train(watched, watch)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    assert result_steps(tmp_path / "results", "validation") == [0, 1, 2, 4, 6]
    assert result_steps(tmp_path / "results", "norm") == [3, 6]
    assert {step: [f.analysis for f in there] for step, there in found.items() if there} == {
        0: ["validation"],
        1: ["validation"],
        2: ["validation"],
        3: ["norm"],
        4: ["validation"],
        6: ["validation", "norm"],
    }
    written = read_findings(tmp_path / "results", "validation", 4)
    assert set(written.table["tokens"].to_pylist()) == {64}
    assert written.table.equals(found[4][0].table)
    # The very same numbers as the callback gives by itself.
    again = loss.run(watched, tokenizer, 6, 96, tmp_path / "again")
    assert again.table.equals(found[6][0].table)


def test_a_wrapped_model_is_looked_into(tmp_path, tokenizer):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = build_model(TINY, seed=0)

    (found,) = observe(Wrapped(), tokenizer, 0, [Norm()], results=tmp_path)
    assert found.table["value"].to_pylist() == [float(build_model(TINY, seed=0).lm_head.weight.norm())]


def test_steering_takes_the_experts_of_the_same_step(tmp_path, toy_store, tokenizer):
    experts = ExpertNeurons(k=10, min_sentences=4)
    steering = Steering(["river"], ["beki"], seeds=4, length=4)
    experts.store = steering.store = str(toy_store)
    found = observe(build_model(TINY, seed=0), tokenizer, 0, [experts, steering], results=tmp_path)
    assert [f.analysis for f in found] == ["experts", "steering"]


def test_all_mistakes_are_told_at_the_first_call_and_nothing_is_written(tmp_path, tokenizer, loss):
    model = build_model(TINY, seed=0)
    late = StepSchedule(at=(5,), final=False)
    wrong = [
        PerLanguageLoss(late, text=str(tmp_path / "nowhere")),
        PerLanguageLoss(late, text=str(tmp_path / "nowhere")),
        ExpertNeurons(str(tmp_path / "absent.parquet"), late),
        Steering(schedule=late),
    ]
    with pytest.raises(ValueError, match="has validation 2 times") as error:
        observe(model, tokenizer, 0, wrong, results=tmp_path / "results")
    assert "nowhere does not exist" in str(error.value)
    assert "absent.parquet does not exist" in str(error.value)
    assert str(error.value).count("absent.parquet") == 1
    for callbacks, message in (
        ([], "callbacks is empty"),
        ([Norm], "is no analysis callback"),
        ([Steering()], "list ExpertNeurons before it"),
    ):
        with pytest.raises(ValueError, match=message):
            observe(model, tokenizer, 0, callbacks, results=tmp_path / "results")
    with pytest.raises(ValueError, match="Norm has no tokenizer"):
        observe(model, None, 0, [Norm(late)], results=tmp_path / "results")
    with pytest.raises(ValueError, match="holds no Hugging Face causal language model"):
        observe(nn.Linear(1, 1), tokenizer, 0, [Norm(late)], results=tmp_path / "results")
    model.lm_head.weight.placements = ()
    with pytest.raises(ValueError, match="split over processes"):
        observe(model, tokenizer, 0, [Norm(late)], results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_of_several_processes_the_first_one_looks_and_the_others_wait(tmp_path, tokenizer, monkeypatch):
    waited = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "barrier", lambda: waited.append(True))
    for rank, count in ((1, 0), (0, 1)):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        assert len(observe(build_model(TINY, seed=0), tokenizer, 0, [Norm()], results=tmp_path)) == count
    assert len(waited) == 2
