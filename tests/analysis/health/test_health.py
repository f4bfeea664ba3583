"""Health of single checkpoints, and verdicts over series that are known to be broken in the ways public ones are."""

import math

import pytest
import torch
from babelscope.analysis.findings import read_findings
from babelscope.analysis.health.analysis import HealthAnalysis, inspect_weights
from babelscope.analysis.health.verdicts import Checkup, checkup_of, judge
from babelscope.training.callbacks import CheckpointHealth
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BloomForCausalLM

from ...model.families import tiny_model
from ...tokenizers_for_tests import sentences, word_tokenizer

TEXTS = {"xx": sentences(6), "yy": sentences(6, seed=1)}


def value(findings, metric, **where):
    rows = [
        row
        for row in findings.table.to_pylist()
        if row["metric"] == metric and all(row[k] == where.get(k) for k in ("layer", "language"))
    ]
    assert len(rows) == 1, rows
    return rows[0]["value"]


def weights_of(path, **arguments):
    return inspect_weights(AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **arguments))[0]


def test_the_hash_is_of_values_alone(tmp_path):
    model = tiny_model("bloom").to(torch.bfloat16).float()
    expected = inspect_weights(model)[0]
    model.save_pretrained(tmp_path / "plain")
    model.save_pretrained(tmp_path / "shards", max_shard_size="5KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    model.to(torch.bfloat16).save_pretrained(tmp_path / "bf16")
    assert load_file(tmp_path / "bf16" / "model.safetensors")["transformer.ln_f.weight"].dtype == torch.bfloat16
    for name in ("plain", "shards", "bf16"):
        assert weights_of(tmp_path / name) == expected, name
    tensors = load_file(tmp_path / "plain" / "model.safetensors")
    pickled = tmp_path / "pickle"
    pickled.mkdir()
    (pickled / "config.json").write_text((tmp_path / "plain" / "config.json").read_text())
    # As published: pickled, in another order, without the prefix of the backbone.
    torch.save(
        {name.removeprefix("transformer."): tensors[name] for name in reversed(tensors)}, pickled / "pytorch_model.bin"
    )
    assert weights_of(pickled) == expected


def test_the_hash_is_of_all_values(tmp_path):
    model = tiny_model("bloom")
    expected = inspect_weights(model)[0]
    with torch.no_grad():
        model.transformer.h[1].mlp.dense_4h_to_h.bias[3] += 1e-4
    assert inspect_weights(model)[0] != expected
    one, two = tiny_model("llama"), tiny_model("llama")
    a, b = one.model.layers
    two.model.layers[0], two.model.layers[1] = two.model.layers[1], two.model.layers[0]
    assert inspect_weights(one)[0] != inspect_weights(two)[0], "the same tensors under other names"
    assert a is not b


def test_rows_of_a_sound_checkpoint():
    model = tiny_model("bloom")
    found = HealthAnalysis(TEXTS, context=16)(model, word_tokenizer(), 7)
    assert value(found, "non_finite_tensors") == value(found, "zero_tensors") == 0
    expected = math.sqrt(sum(p.double().square().sum().item() for p in model.transformer.h[1].parameters()))
    assert value(found, "norm", layer=1) == pytest.approx(expected, rel=1e-6)
    total = math.sqrt(sum(p.double().square().sum().item() for p in model.parameters()))
    assert value(found, "norm") == pytest.approx(total, rel=1e-6)
    mean = (value(found, "loss", language="xx") + value(found, "loss", language="yy")) / 2
    assert value(found, "loss") == pytest.approx(mean)
    assert found.warnings == ()
    assert checkup_of(found) == Checkup(7, inspect_weights(model)[0], value(found, "loss"), False)


def test_fresh_biases_are_zero_and_sound():
    torch.manual_seed(0)
    found = HealthAnalysis()(BloomForCausalLM(tiny_model("bloom").config), word_tokenizer(), 0)
    assert value(found, "zero_tensors") == 0
    assert found.warnings == ("no held-out text: the loss was not looked at",)


def test_broken_weights_are_named():
    model = tiny_model("gpt_neox")
    with torch.no_grad():
        model.gpt_neox.layers[1].mlp.dense_h_to_4h.weight[3, 4] = float("nan")
        model.gpt_neox.final_layer_norm.weight.zero_()
    found = HealthAnalysis(TEXTS, context=16)(model, word_tokenizer(), 0)
    assert value(found, "non_finite_tensors") == value(found, "zero_tensors") == 1
    assert found.warnings == (
        "weights that are not finite in gpt_neox.layers.1.mlp.dense_h_to_4h.weight",
        "weights that are all zero: gpt_neox.final_layer_norm.weight",
    )
    verdict = judge([checkup_of(found)])[0]
    assert not verdict.sound
    assert verdict.reasons == ("its weights are broken",)


def series(losses, same=()):
    """Checkups of steps with losses; steps in a tuple of `same` have the same weights."""
    name = {step: str(step) for step in losses}
    for first, *others in same:
        name.update(dict.fromkeys(others, name[first]))
    return [Checkup(step, name[step].encode(), loss) for step, loss in losses.items()]


BLOOM_560M = {
    step * 1000: math.log(perplexity)
    for step, perplexity in zip(
        (1, 10, 100, 200, 300, 400, 500, 600), (392, 71, 53, 51, 50, 50, 71, 320322), strict=True
    )
}


@pytest.mark.parametrize("order", [1, -1])
def test_bloom_560m(order):
    found = judge(series(BLOOM_560M, same=[(10_000, 500_000)])[::order])
    assert [step for step, verdict in found.items() if not verdict.sound] == [500_000, 600_000]
    assert found[500_000].duplicate_of == 10_000
    assert found[10_000].duplicate_of == 500_000
    assert found[500_000].reasons == ("a copy of step 10000, whose place in the course of the loss it has",)
    assert found[600_000].reasons == ("the loss jumps to 12.68 from 3.91 at step 300000",)


def test_a_final_model_under_an_early_step():
    losses = {1: 3.0, 10: 5.0, 100: 4.0, 1000: 3.5, 10_000: 3.0}
    found = judge(series(losses, same=[(1, 10_000)]))
    assert [step for step, verdict in found.items() if not verdict.sound] == [1]
    assert found[1].duplicate_of == 10_000
    alone = judge(series({**losses, 10_000: 3.1}))
    assert [step for step, verdict in alone.items() if not verdict.sound] == [1]
    assert alone[1].reasons == ("its loss of 3.00 is lower than later ones: perhaps a later model under this step",)


def test_a_copy_whose_place_nobody_knows():
    losses = {50: 3.3, 100: 3.1, 150: 3.15, 200: 3.1, 250: 3.05}
    found = judge(series(losses, same=[(100, 200)]))
    assert [step for step, verdict in found.items() if not verdict.sound] == [100, 200]
    assert found[100].reasons == ("the same weights as step 200, and nothing tells which of the two steps they are of",)
    without = judge([Checkup(c.step, c.weights) for c in series(losses, same=[(100, 200)])])
    assert [step for step, verdict in without.items() if not verdict.sound] == [100, 200]


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_course_is_sound(seed):
    generator = torch.Generator().manual_seed(seed)
    losses = {2**i: 8 * 0.85**i + 0.1 * torch.rand(1, generator=generator).item() for i in range(18)}
    assert all(verdict == type(verdict)() for verdict in judge(series(losses)).values())


def test_a_loss_that_is_not_finite():
    found = judge(series({1: 5.0, 2: math.nan, 3: 4.0}))
    assert found[2].reasons == ("its loss is not finite",)
    assert found[1].sound
    assert found[3].sound


def test_a_new_checkpoint_changes_earlier_verdicts(tmp_path, caplog):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "xx.txt").write_text("\n".join(TEXTS["xx"]))
    callback = CheckpointHealth(text=str(tmp_path / "t"), context=16)
    model = tiny_model("bloom")
    first = callback.run(model, word_tokenizer(), 1, 10, tmp_path)
    assert value(first, "sound") == 1
    callback.run(model, word_tokenizer(), 2, 20, tmp_path)
    for step, other in ((1, 2), (2, 1)):
        found = read_findings(tmp_path, "health", step)
        assert value(found, "sound") == 0
        assert value(found, "duplicate_of") == other
        assert {row["tokens"] for row in found.table.to_pylist()} == {10 * step}
        assert f"in the series: the same weights as step {other}" in found.warnings[0]
        assert f"Step {step} is not sound: the same weights as step {other}" in caplog.text
    # A result that comes anew takes its place, and the verdict is right again.
    with torch.no_grad():
        model.transformer.ln_f.bias += 0.01
    callback.run(model, word_tokenizer(), 2, 20, tmp_path)
    assert value(read_findings(tmp_path, "health", 1), "sound") == 1
    (said,) = read_findings(tmp_path, "health", 1).warnings
    assert said.endswith("what begins before 10 tokens cannot be seen here."), "and no verdict besides"


def test_a_margin_that_is_none_is_refused():
    with pytest.raises(ValueError, match="jump=0: give a positive number of nats"):
        CheckpointHealth(jump=0)
