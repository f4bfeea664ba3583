"""The Lightning module: what it optimises, and the course of the learning rate."""

import lightning.pytorch as pl
import pytest
import torch
from babelscope.training.data.datamodule import TokenBlocks
from babelscope.training.fit.metrics import flops_per_token
from babelscope.training.fit.module import Pretraining
from babelscope.training.fit.optimizer import learning_rate_factor, parameter_groups

TINY = {"vocab_size": 320, "d_model": 16, "ffn_dim": 32, "num_layers": 2, "attention_heads": 2}


def module(**settings):
    made = Pretraining("toy", overrides=TINY, **settings)
    made.configure_model()
    return made


def test_norms_and_biases_do_not_decay_and_nothing_is_forgotten():
    model = module().model
    decayed, plain = parameter_groups(model, 0.3)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)].rsplit(".", 1)[1] for p in decayed["params"]} == {"weight"}
    assert all("norm" in names[id(p)] or names[id(p)].endswith("bias") for p in plain["params"])
    assert not any("norm" in names[id(p)] for p in decayed["params"])
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("cosine", {0: 0.25, 3: 1.0, 4: 1.0, 52: 0.55, 100: 0.1, 200: 0.1}),
        ("linear", {0: 0.25, 3: 1.0, 4: 1.0, 52: 0.55, 76: 0.325, 100: 0.1}),
        ("wsd", {0: 0.25, 3: 1.0, 50: 1.0, 80: 1.0, 90: 0.55, 100: 0.1}),
        ("constant", {0: 0.25, 3: 1.0, 100: 1.0}),
    ],
)
def test_courses_of_the_learning_rate(decay, expected):
    factor = learning_rate_factor(4, 100, decay, floor=0.1, decay_share=0.2)
    assert {step: factor(step) for step in expected} == pytest.approx(expected)
    rates = [factor(step) for step in range(3, 101)]
    assert rates == sorted(rates, reverse=True), "it never rises again"


def test_an_unknown_course_is_refused():
    with pytest.raises(ValueError, match="decay='step': choose from cosine, linear, wsd, constant"):
        learning_rate_factor(1, 2, "step")


def test_building_twice_keeps_the_weights():
    made = module()
    before = made.model
    made.configure_model()
    assert made.model is before


def test_the_compiled_decoder_adds_no_parameter_names():
    assert module(compile=True).state_dict().keys() == module().state_dict().keys()


def test_arithmetic_of_a_token_counts_every_matrix_product():
    """6 N + 12 L d T: within the norms' and biases' share of what torch counts for a forward and backward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    model = module(attention="eager").model.train()
    ids = torch.randint(4, 300, (2, 32))
    with FlopCounterMode(display=False) as counter:
        model(ids, labels=ids).loss.backward()
    per_token = counter.get_total_flops() / ids.numel()
    assert flops_per_token(model, 32) == pytest.approx(per_token, rel=0.15)


def test_lightnings_own_validation_reports_every_language(toy_store):
    made = Pretraining("toy", overrides=TINY)
    data = TokenBlocks(str(toy_store), validation_blocks=4)
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False, devices=1
    )
    (found,) = trainer.validate(made, data, verbose=False)
    assert set(found) == {f"validation/loss/{language}" for language in data.languages}
    assert all(value == pytest.approx(5.77, abs=0.3) for value in found.values()), "ln 320 before any training"
