"""Which checkpoints a source has: runs, folders, patterns, repositories, and several of them."""

import json

import pytest
from babelscope.training.sweep.series import Checkpoint, CheckpointSource, find_series


def make(folder, *names, info=None):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
        if info:
            (folder / name / "babelscope.json").write_text(json.dumps(info))
    return folder


def steps(series):
    return [(checkpoint.step, checkpoint.tokens) for checkpoint in series]


def found(*sources, **arguments):
    series, problems, _ = find_series([CheckpointSource(**source) for source in sources], **arguments)
    assert problems == []
    return series


def test_a_run_knows_its_steps_and_tokens(tmp_path):
    make(tmp_path / "run" / "checkpoints", "step_00000004", info={"step": 4, "tokens": 512})
    make(tmp_path / "run" / "checkpoints", "step_00000000", info={"step": 0, "tokens": 0})
    assert steps(found({"path": str(tmp_path / "run")})) == [(0, 0), (4, 512)]
    (only,) = found({"path": str(tmp_path / "run" / "checkpoints" / "step_00000004")})
    assert (only.step, only.tokens, only.remote) == (4, 512, False)


@pytest.mark.parametrize(
    "names", [("checkpoint-500", "checkpoint-20"), ("global_step500", "global_step20"), ("500", "20")]
)
def test_folders_whose_names_end_in_steps(tmp_path, names):
    make(tmp_path, *names)
    (tmp_path / "checkpoint-7").mkdir()  # no config.json: no checkpoint
    assert steps(found({"path": str(tmp_path), "tokens_per_step": 3})) == [(20, 60), (500, 1500)]
    assert steps(found({"path": str(tmp_path), "steps": [500]})) == [(500, None)]


def test_patterns_of_folders(tmp_path):
    make(tmp_path / "a", "run-3-x/hf", "run-20-x/hf", "run-x/hf")
    assert steps(found({"path": f"{tmp_path}/a/run-{{step}}-x/hf"})) == [(3, None), (20, None)]
    assert steps(found({"path": f"{tmp_path}/a", "subfolder": "run-{step}-x/hf", "steps": [20]})) == [(20, None)]


def test_tokens_of_a_batch_that_grew(tmp_path):
    make(tmp_path, "step_1", "step_2", "step_9")
    source = {"path": str(tmp_path), "tokens_per_step": 10, "tokens_at": {1: 3, 2: 8}}
    assert steps(found(source)) == [(1, 3), (2, 8), (9, 90)]
    assert steps(found({"path": "o/n", "steps": [2, 4], "tokens_at": {2: 8}})) == [(2, 8), (4, None)]


def test_one_folder_is_told_its_step(tmp_path):
    make(tmp_path, "mine", "other")
    series = found({"path": f"{tmp_path}/mine", "steps": [10]}, {"path": f"{tmp_path}/other", "steps": [5], "tokens_per_step": 2})  # fmt: skip
    assert [(c.step, c.path.rsplit("/", 1)[1], c.tokens) for c in series] == [(5, "other", 10), (10, "mine", None)]


def test_repositories():
    assert found({"path": "o/n", "steps": [10, 1], "tokens_per_step": 4}) == [
        Checkpoint(1, "o/n", "global_step1", None, 4),
        Checkpoint(10, "o/n", "global_step10", None, 40),
    ]
    assert found({"path": "o/n", "steps": [1], "revision": "step{step}"}) == [Checkpoint(1, "o/n", "step1")]
    assert found({"path": "o/n-{step}", "steps": [1]}) == [Checkpoint(1, "o/n-1", "main")]
    (inside,) = found({"path": "o/n", "steps": [1], "subfolder": "s_{step}"})
    assert (inside.revision, inside.subfolder, str(inside)) == ("main", "s_1", "o/n@main/s_1")
    last = {"path": "o/final", "steps": [30], "revision": "main"}
    assert [str(c) for c in found({"path": "o/n", "steps": [1]}, last)] == ["o/n@global_step1", "o/final@main"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "nowhere"}, "source=nowhere is neither a folder that exists nor a repository's name (owner/name)"),
        ({"path": "o/n"}, "steps is not set: list the steps of o/n to analyse"),
        ({"path": "o/n", "steps": [1, 2], "revision": "main"}, "revision='main': it must contain {step}, as in global_step{step}"),
    ],
)  # fmt: skip
def test_wrong_requests_are_named(source, message):
    assert message in find_series([CheckpointSource(**source)])[1]


def test_folders_that_do_not_fit_are_named(tmp_path):
    make(tmp_path / "two", "a-3", "b-3")
    _, problems, _ = find_series([CheckpointSource(str(tmp_path / "two"))])
    assert "both end in step 3: rename one" in problems[0]
    _, problems, _ = find_series([CheckpointSource(str(tmp_path / "two"), subfolder="none-{step}")])
    assert "matches no folder with config.json" in problems[0]
    _, problems, _ = find_series([CheckpointSource("o/a", [3]), CheckpointSource("o/b", [3])])
    assert problems == [
        "source has step 3 more than once (o/a@global_step3, o/b@global_step3): restrict the steps of one of them"
    ]
    assert find_series([])[1] == ["source is empty: name a run, a folder, or a repository"]


def test_missing_steps_stop_or_are_told(tmp_path):
    make(tmp_path, "step_1", "step_2")
    source = CheckpointSource(str(tmp_path), [2, 3])
    expected = f"steps=[3] are not in {tmp_path}: it has [1, 2]"
    series, problems, missing = find_series([source])
    assert (steps(series), problems, missing) == ([(2, None)], [expected], [expected])
    series, problems, missing = find_series([source], skip_missing=True)
    assert (steps(series), problems, missing) == ([(2, None)], [], [expected])


def test_the_folder_of_a_transformers_trainer_is_its_series(tmp_path, caplog):
    make(tmp_path, "out/checkpoint-500", "out/checkpoint-1000")
    (tmp_path / "out" / "config.json").write_text("{}")
    source = {"path": str(tmp_path / "out")}
    assert [checkpoint.step for checkpoint in found(source)] == [500, 1000]
    assert "its own weights are left out, as no trainer_state.json says of which step they are" in caplog.text
    state = tmp_path / "out" / "trainer_state.json"
    for last, steps_there in ((1000, [500, 1000]), (1200, [500, 1000, 1200])):
        state.write_text(json.dumps({"global_step": last}))
        assert [checkpoint.step for checkpoint in found(source)] == steps_there
    assert found({**source, "steps": [1200]})[0].path == str(tmp_path / "out")


def test_a_pattern_is_of_folders_where_they_exist_and_of_repositories_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, "out/checkpoint-500", "out/checkpoint-1000")
    assert [checkpoint.step for checkpoint in found({"path": "out/checkpoint-{step}"})] == [500, 1000]
    (only,) = found({"path": "owner/model-{step}", "steps": [7]})
    assert (only.remote, only.path) == (True, "owner/model-7")
    (other,) = found({"path": "out/model-{step}", "steps": [7]})
    assert other.remote  # nothing of the kind lies in ./out


def test_no_steps_are_not_all_steps(tmp_path):
    make(tmp_path, "step_1", "step_2")
    _, problems, _ = find_series([CheckpointSource(str(tmp_path), steps=[])])
    assert problems == [f"steps is empty for {tmp_path}: name steps, or leave it out to take all"]


def test_folders_are_found_by_any_pattern(tmp_path):
    make(tmp_path, "a/step0005000-tokens21B/hf", "a/step0010000-tokens42B/hf", "a/notes/hf")
    series = found({"path": str(tmp_path / "a" / "step{step:07d}-tokens{tokens}" / "hf")})
    assert steps(series) == [(5000, 21 * 10**9), (10_000, 42 * 10**9)]
    series = found({"path": str(tmp_path / "*" / "step{step}-tokens{tokens}" / "hf"), "steps": [10_000]})
    assert steps(series) == [(10_000, 42 * 10**9)]
    make(tmp_path, "hf_ckpt/16.78B", "hf_ckpt/33.56B")
    series = found({"path": str(tmp_path), "subfolder": "hf_ckpt/{tokens}"})
    assert steps(series) == [(16_780, 16_780_000_000), (33_560, 33_560_000_000)]


@pytest.mark.parametrize(
    ("name", "step"), [("gpt2", 0), ("gemma-3", 0), ("checkpoint-500", 500), ("step_7", 7), ("12", 12)]
)
def test_a_number_in_a_models_name_is_a_step_where_the_name_says_so(tmp_path, name, step):
    make(tmp_path, name)
    assert found({"path": str(tmp_path / name)})[0].step == step


class Listing:
    """A repository's names."""

    def __init__(self, *names):
        self.names = list(names)

    def revisions(self, _repo):
        return self.names

    def folders(self, _repo, _revision):
        return self.names


SUITES = {
    "apertus": (
        "step{step}-tokens{tokens}",
        ["main", "step50000-tokens210B", "step2627139-tokens15T"],
        [50_000, 2_627_139],
    ),
    "lucie": ("step{step:07d}", ["main", "step0005000", "step0753851", "extension_step0000010"], [5000, 753_851]),
    "amber": ("ckpt_{index}", ["main", "ckpt_000", "ckpt_358"], [0, 358]),
    "fuxitranyu": ("{tokens}", ["main", "10B", "593B"], [10_000, 593_000]),
    "luciole": ("phase1-step{step:07d}", ["phase1-step0001000", "phase2-step0010000"], [1000]),
}


@pytest.mark.parametrize("suite", SUITES)
def test_the_revisions_of_public_suites_are_found_without_listing_steps(suite):
    pattern, names, expected = SUITES[suite]
    source = CheckpointSource(f"owner/{suite}", revision=pattern)
    series, problems, _ = find_series([source], listing=Listing(*names))
    assert (problems, [checkpoint.step for checkpoint in series]) == ([], expected)
    assert {checkpoint.revision for checkpoint in series} <= set(names)
    chosen, problems, _ = find_series(
        [CheckpointSource(f"owner/{suite}", expected[:1], pattern)], listing=Listing(*names)
    )
    assert (problems, len(chosen)) == ([], 1)
    assert chosen[0].revision == series[0].revision


def test_folders_of_a_repository_are_found():
    source = CheckpointSource("m-a-p/neo", subfolder="hf_ckpt/{tokens}")
    series, problems, _ = find_series([source], listing=Listing("hf_ckpt/16.78B", "hf_ckpt/33.56B", "other"))
    assert problems == []
    assert [(c.subfolder, c.revision, c.tokens) for c in series] == [
        ("hf_ckpt/16.78B", "main", 16_780_000_000), ("hf_ckpt/33.56B", "main", 33_560_000_000),
    ]  # fmt: skip


def test_a_pattern_that_matches_nothing_shows_the_nearest_names():
    listing = Listing("main", "step0005000", "step0010000")
    _, problems, _ = find_series([CheckpointSource("o/m", revision="stage1-step{step}")], listing=listing)
    assert (
        "revision=stage1-step{step} matches none of 3 names in o/m; nearest: step0005000, step0010000, main"
        in problems[0]
    )
    _, problems, _ = find_series([CheckpointSource("o/m", [7], "step{step:07d}-*")], listing=listing)
    assert "matches none of 3 names" in problems[0]
    _, problems, _ = find_series([CheckpointSource("o/m", revision="{stage}-step{step}")], listing=listing)
    assert "{stage} cannot stand here; use {step}" in problems[0]
    _, problems, _ = find_series([CheckpointSource("o/m", [5], "*{step:07d}")], listing=listing)
    assert problems == ["steps=[5] are not in o/m: it has [5000, 10000]"]


def test_a_folder_has_no_revisions(tmp_path):
    _, problems, _ = find_series([CheckpointSource(str(tmp_path), revision="step{step}")])
    assert len(problems) == 1
    assert "is a folder here, which has no revisions: leave revision=step{step} out" in problems[0]
