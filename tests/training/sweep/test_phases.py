"""Series in phases whose steps restart, and series whose checkpoints are named one by one."""

import pytest
from babelscope.training.sweep.series import CheckpointSource, Phase, Point, find_series

from .test_series import Listing, make

LUCIOLE = [
    *(f"phase1-step{step:07d}" for step in (1000, 5000, 30_000, 715_787)),
    *(f"phase2-step{step:07d}" for step in (10_000, 358_931)),
    *(f"phase3-annealing-step{step:07d}" for step in (10_000, 118_238)),
    "main",
]  # fmt: skip
THREE = [
    Phase("phase1-step{step:07d}"),
    Phase("phase2-step{step:07d}", after="previous"),
    Phase("phase3-annealing-step{step:07d}", after="previous"),
]


def found(source, names):
    series, problems, missing = find_series([source], listing=Listing(*names))
    assert (problems, missing) == ([], [])
    return series


def wrong(source, names=()):
    _, problems, _ = find_series([source], listing=Listing(*names))
    (problem,) = problems
    return problem


def axis(series):
    return [(checkpoint.step, checkpoint.tokens) for checkpoint in series]


def test_phases_whose_steps_restart_stand_one_behind_the_other():
    """One phase after another, by hand: each begins at the last step of the one before."""
    series = found(CheckpointSource("o/luciole", tokens_per_step=4, phases=THREE), LUCIOLE)
    steps = [1000, 5000, 30_000, 715_787, 725_787, 715_787 + 358_931, 1_084_718, 715_787 + 358_931 + 118_238]
    assert axis(series) == [(step, 4 * step) for step in steps]
    assert [checkpoint.revision for checkpoint in series] == LUCIOLE[:-1]


def test_a_choice_of_steps_leaves_where_a_phase_begins():
    """`after: previous` adds the last step of the whole phase, not of those that were chosen."""
    source = CheckpointSource("o/luciole", steps=[1000, 725_787], phases=THREE)
    assert [(c.step, c.revision) for c in found(source, LUCIOLE)] == [(1000, LUCIOLE[0]), (725_787, LUCIOLE[4])]
    _, problems, missing = find_series(
        [CheckpointSource("o/luciole", steps=[720_000], phases=THREE)], skip_missing=True, listing=Listing(*LUCIOLE)
    )
    assert problems == []
    assert missing[0].startswith("steps=[720000] are not in o/luciole: it has [1000, ")


def test_an_offset_and_tokens_of_another_size_of_step():
    """A branch that begins at step 715,787: 4 tokens a step before, 2 after."""
    branch = Phase("phase2-step{step:07d}", offset=715_787, tokens_per_step=2)
    series = found(CheckpointSource("o/m", tokens_per_step=4, phases=[THREE[0], branch]), LUCIOLE)
    assert axis(series)[-2:] == [(725_787, 4 * 715_787 + 2 * 10_000), (715_787 + 358_931, 4 * 715_787 + 2 * 358_931)]
    # An offset at which no checkpoint lies: the steps before it still count as the first phase says.
    early = [Phase("a{step}", tokens_per_step=4), Phase("b{step}", offset=15, tokens_per_step=2)]
    assert axis(found(CheckpointSource("o/m", phases=early), ["a10", "b1"])) == [(10, 40), (16, 62)]
    alone = CheckpointSource("o/m", tokens_per_step=3, phases=[Phase("b{step}", offset=15)])
    assert axis(found(alone, ["b1"])) == [(16, 48)]


def test_steps_that_go_on_with_another_size_of_step():
    phases = [Phase("stage1-{step}", tokens_per_step=4), Phase("stage2-{step}", tokens_per_step=2)]
    series = found(CheckpointSource("o/m", phases=phases), ["stage1-10", "stage1-20", "stage2-30"])
    assert axis(series) == [(10, 40), (20, 80), (30, 100)]


def test_tokens_in_names_restart_with_the_steps_unless_it_is_said_that_they_do_not():
    names = ["stage1-step10-tokens4B", "stage1-step20-tokens8B", "stage2-step0-tokens0B", "stage2-step5-tokens1B"]
    first = Phase("stage1-step{step}-tokens{tokens}")
    again = Phase("stage2-step{step}-tokens{tokens}", after="previous")
    assert axis(found(CheckpointSource("o/m", phases=[first, again]), names)) == [
        (10, 4 * 10**9), (20, 8 * 10**9), (25, 9 * 10**9),
    ], "step 0 of a phase is the end of the one before"  # fmt: skip
    total = Phase("stage2-step{step}-tokens{tokens}", after="previous", tokens_offset=0)
    names = [*names[:2], "stage2-step5-tokens9B"]
    assert axis(found(CheckpointSource("o/m", phases=[first, total]), names))[-1] == (25, 9 * 10**9)


def test_phases_in_folders(tmp_path):
    make(tmp_path, "one/step_10", "one/step_20", "two/step_5")
    phases = [Phase(subfolder="one/step_{step}"), Phase(subfolder="two/step_{step}", after="previous")]
    series = found(CheckpointSource(str(tmp_path), phases=phases), ())
    assert [(c.step, c.path.removeprefix(f"{tmp_path}/")) for c in series] == [(10, "one/step_10"), (20, "one/step_20"), (25, "two/step_5")]  # fmt: skip
    revisions = CheckpointSource(str(tmp_path), phases=[Phase("one/step_{step}")])
    assert "name revisions, and it is a folder here: give them as subfolder" in wrong(revisions)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "phases is empty for o/m: give each phase a pattern"),
        ([Phase("a{step}", after="previous")], "phases[0].after=previous: no phase is before the first"),
        ([Phase("a{step}", after="the first")], "phases[0].after=the first: write previous, or give an offset instead"),
        ([Phase("a{step}"), Phase("b{step}", offset=3, after="previous")], "phases[1] has after and offset=3: leave one"),
        ([Phase("a{step}", offset=-1)], "phases[0].offset=-1: give the steps before its step 0, 0 or more"),
        ([Phase()], "phases[0]: give it a revision or a subfolder"),
        ([Phase("a{step}", subfolder="b{step}")], "phases[0]: give it a revision or a subfolder, one of the two"),
        ([Phase("main")], "phases[0]=main: it must contain {step}"),
        ([Phase("{stage}-{step}")], "{stage} cannot stand here; use {step}"),
        ([Phase("a{step}"), Phase("c{step}", after="previous")], "phases[1]: revision=c{step} matches none of 3 names in o/m; nearest: a10, b15, a20"),
        ([Phase("a{step}"), Phase("b{step}")], "phases[1]: its first checkpoint (o/m@b15) is step 15, and the phase before it goes to step 20"),
        ([Phase("a{step}"), Phase("b{step}", offset=5)], "(o/m@b15) is step 20, and the phase before it goes to step 20"),
        ([Phase("a{step}"), Phase("b{step}", after="previous", tokens_per_step=3)], "phases[1]: how many tokens were seen before its step 0 is not known: give it tokens_offset"),
    ],
)  # fmt: skip
def test_phases_that_do_not_fit_are_named(phases, message):
    assert message in wrong(CheckpointSource("o/m", phases=phases), ["a10", "a20", "b15"])


def test_only_one_thing_names_the_checkpoints():
    both = CheckpointSource("o/m", revision="a{step}", phases=[Phase("a{step}")])
    assert wrong(both, ["a10"]).startswith("source=o/m has phases and revision: keep one of them")
    both = CheckpointSource("o/m", phases=[Phase("a{step}")], checkpoints={"a10": Point(10)})
    assert wrong(both, ["a10"]).startswith("source=o/m has phases and checkpoints: keep one of them")
    both = CheckpointSource("o/m", revision="a{step}", checkpoints={"a10": Point(10)})
    assert wrong(both, ["a10"]).startswith("source=o/m has checkpoints and revision: keep one of them")


class Repository:
    """Revisions, and the folders of one of them."""

    def revisions(self, _repo):
        return ["main", "early", "late-one"]

    def folders(self, _repo, revision):
        return {"main": ["half/way"], "early": ["x"]}[revision]


def test_checkpoints_named_one_by_one_in_a_repository():
    points = {"late-one": Point(900), "early": Point(30, 7), "half/way": Point(60, 10**9)}
    source = CheckpointSource("o/m", tokens_per_step=2, checkpoints=points)
    series, problems, _ = find_series([source], listing=Repository())
    assert problems == []
    assert [(str(c), c.step, c.tokens) for c in series] == [
        ("o/m@early", 30, 7), ("o/m@main/half/way", 60, 10**9), ("o/m@late-one", 900, 1800),
    ]  # fmt: skip
    inside = CheckpointSource("o/m", [4], revision="early", checkpoints={"x": Point(4), "late-one": Point(5)})
    series, problems, _ = find_series([inside], listing=Repository())
    assert ([str(c) for c in series], problems) == (["o/m@early/x"], [])


def test_checkpoints_named_one_by_one_in_a_folder(tmp_path):
    make(tmp_path, "first", "deep/second")
    (tmp_path / "config.json").write_text("{}")
    points = {"first": Point(1), "deep/second": Point(2, 5), ".": Point(3)}
    series, problems, _ = find_series([CheckpointSource(str(tmp_path), checkpoints=points)])
    assert problems == []
    assert [(c.step, c.tokens, c.path) for c in series] == [
        (1, None, f"{tmp_path}/first"), (2, 5, f"{tmp_path}/deep/second"), (3, None, str(tmp_path)),
    ]  # fmt: skip
    assert "checkpoints has secnd, which is not in" in wrong(CheckpointSource(str(tmp_path), checkpoints={"secnd": Point(1), "first": Point(2)}))  # fmt: skip


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({}, "checkpoints is empty for o/m: give each its step"),
        (
            {"erly": Point(1), "main": Point(2)},
            "checkpoints has erly, which is not in o/m; nearest of 4 names: early, ",
        ),
        ({"early": Point(1), "main": Point(1)}, "checkpoints: o/m@early and o/m@main are both step 1: correct one"),
    ],
)
def test_named_checkpoints_that_do_not_fit_are_told(points, message):
    _, problems, _ = find_series([CheckpointSource("o/m", checkpoints=points)], listing=Repository())
    assert len(problems) == 1
    assert problems[0].startswith(message)


def test_a_step_beyond_a_long_series_shows_those_close_by():
    names = [f"step{step}-tokens{step}B" for step in range(100, 4000, 100)]
    source = CheckpointSource("o/m", [1030, 9000], "step{step}-tokens{tokens}")
    message = (
        "steps=[1030, 9000] are not in o/m: nearest of its 39, from 100 to 3900: 1000 (o/m@step1000-tokens1000B), "
        "1100 (o/m@step1100-tokens1100B), 3800 (o/m@step3800-tokens3800B), 3900 (o/m@step3900-tokens3900B)"
    )
    assert wrong(source, names) == message
    phases = CheckpointSource("o/m", [1030, 9000], phases=[Phase("step{step}-tokens{tokens}")])
    assert wrong(phases, names) == message
    points = {name: Point(step) for step, name in zip(range(100, 4000, 100), names, strict=True)}
    assert wrong(CheckpointSource("o/m", [1030, 9000], checkpoints=points), names) == message
