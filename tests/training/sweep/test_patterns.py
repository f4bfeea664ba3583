"""Names of checkpoints as suites have them: what they say of step and tokens."""

import pytest
from babelscope.training.sweep.patterns import Named, Pattern, step_of


@pytest.mark.parametrize(
    ("template", "name", "step", "tokens", "index"),
    [
        ("global_step{step}", "global_step600000", 600_000, None, None),
        ("step{step:07d}", "step0005000", 5000, None, None),
        ("checkpoint_{step:07d}", "checkpoint_0953675", 953_675, None, None),
        ("step{step}-tokens{tokens}", "step50000-tokens210B", 50_000, 210 * 10**9, None),
        ("step{step}-tokens{tokens}", "step1194000-tokens5014B", 1_194_000, 5014 * 10**9, None),
        ("step{step}-tokens{tokens}", "step2627139-tokens15T", 2_627_139, 15 * 10**12, None),
        ("hf_ckpt/{tokens}", "hf_ckpt/16.78B", None, 16_780_000_000, None),
        ("{tokens}", "593B", None, 593 * 10**9, None),
        ("ckpt_{index}", "ckpt_358", None, None, 358),
        (
            "*-intermediate-step-{step}-{tokens}",
            "TinyLlama-1.1B-intermediate-step-240k-503b",
            240_000,
            503 * 10**9,
            None,
        ),
        ("phase*-step{step:07d}", "phase1-step0001000", 1000, None, None),
        ("stage1-step{step}-tokens{tokens}", "stage1-step50000-tokens210B", 50_000, 210 * 10**9, None),
        ("step-{step}", "step-125000", 125_000, None, None),
    ],
)
def test_names_of_public_suites(template, name, step, tokens, index):
    assert Pattern(template).match(name) == Named(step, tokens, index)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("step{step:07d}", "step5000"),
        ("global_step{step}", "main"),
        ("stage1-step{step}", "stage1-step50000-tokens210B"),
        ("step{step}", "step"),
        ("a.b{step}", "axb3"),
    ],
)
def test_other_names_are_not_taken_for_it(template, name):
    assert Pattern(template).match(name) is None


def test_a_step_is_filled_in_where_it_decides_the_name():
    assert Pattern("step{step:07d}").fill(5000) == "step0005000"
    assert Pattern("step{step}/x").fill(5) == "step5/x"
    assert Pattern("main").fill(5) == "main"
    assert Pattern("step{step}-tokens{tokens}").fill(5) is None
    assert Pattern("phase*-step{step}").fill(5) is None


@pytest.mark.parametrize("template", ["{stage}-{step}", "{step}-{step}", "{step:7}"])
def test_other_fields_are_refused(template):
    if template == "{step:7}":
        assert not Pattern(template)  # no field at all: braces of a name
        return
    with pytest.raises(ValueError, match=r"cannot stand here; use \{step\}"):
        Pattern(template)


def test_a_step_is_its_own_or_follows_from_tokens_or_a_counter():
    assert step_of(Named(7, 10**9), 10) == 7
    assert step_of(Named(tokens=210 * 10**9), 4_200_000) == 50_000
    assert step_of(Named(tokens=16_780_000_000), None) == 16_780
    assert step_of(Named(index=4), None) == 4
    with pytest.raises(ValueError, match="neither step, tokens nor index"):
        step_of(Named(), None)


def test_the_nearest_names_are_shown():
    names = ["main", "step0005000", "step0010000", "extension_step0000010"]
    assert {*Pattern("step{step}-tokens{tokens}").nearest(names)[:2]} == {"step0005000", "step0010000"}
