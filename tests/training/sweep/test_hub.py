"""Fetching checkpoints from a hub on loopback: whole, resumed, bounded, and with every fault named."""

import json
from pathlib import Path

import huggingface_hub.constants as constants
import pyarrow.parquet as pq
import pytest
import torch
from babelscope.training.commands.cli import main
from babelscope.training.errors import CheckpointDamagedError, ConfigError
from babelscope.training.loading import load_model
from babelscope.training.sweep.hub import CheckpointMissing, Hub, local_copy, repository
from babelscope.training.sweep.series import Checkpoint
from babelscope.training.tokenizers import load_tokenizer
from huggingface_hub import hf_hub_download

from ...model.families import tiny_model
from ...tokenizers_for_tests import word_tokenizer
from .hub_server import LoopbackHub, use_hub

REPO = "zoo/bloom-tiny"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny BLOOM in the forms in which checkpoints are published."""
    base = tmp_path_factory.mktemp("published")
    model = tiny_model("bloom", hidden_size=32)
    model.save_pretrained(base / "plain")
    model.save_pretrained(base / "shards", max_shard_size="20KB")
    word_tokenizer().save_pretrained(base / "plain")
    (base / "pickle").mkdir()
    (base / "pickle" / "config.json").write_bytes((base / "plain" / "config.json").read_bytes())
    torch.save(model.state_dict(), base / "pickle" / "pytorch_model.bin")
    (base / "both").mkdir()
    for path in [*(base / "plain").iterdir(), *(base / "pickle").iterdir()]:
        (base / "both" / path.name).write_bytes(path.read_bytes())
    (base / "both" / "optimizer.pt").write_bytes(b"x" * 100_000)
    (base / "half").mkdir()
    for path in sorted((base / "shards").iterdir()):
        if not path.name.startswith("model-00002"):
            (base / "half" / path.name).write_bytes(path.read_bytes())
    return base


@pytest.fixture
def server(folders, tmp_path, monkeypatch):
    with LoopbackHub() as server:
        for name in ("plain", "shards", "pickle", "both", "half"):
            server.add(REPO, name, folders / name)
        server.repos[REPO]["code"] = {"config.json": json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "c.C", "AutoModelForCausalLM": "c.M"}}).encode(), "model.safetensors": b"x"}  # fmt: skip
        server.repos["zoo/steps"] = {"main": {f"step_{n}/{f}": c for n in (1, 10) for f, c in server.repos[REPO]["plain"].items()}}  # fmt: skip
        use_hub(monkeypatch, server, tmp_path / "cache")
        yield server


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path / "downloads", attempts=3, wait=0.01)


def same_weights(path):
    found, expected = load_model(path).state_dict(), tiny_model("bloom", hidden_size=32).state_dict()
    return all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("revision", ["plain", "shards", "pickle", "both"])
def test_a_checkpoint_arrives_whole_and_goes(server, hub, revision):
    checkpoint = Checkpoint(1, REPO, revision)
    path = hub.fetch(checkpoint)
    assert same_weights(path)
    names = {path.name for path in path.iterdir() if path.is_file()}
    assert "optimizer.pt" not in names, "only what is needed"
    assert revision == "pickle" or not any(name.endswith(".bin") for name in names), "safetensors first"
    if revision in ("plain", "both"):
        assert load_tokenizer(path)("w3")["input_ids"] == [7]
    hub.release(checkpoint)
    assert not list((hub.folder).iterdir())


def test_what_the_user_has_is_read_in_place_and_stays(server, hub, tmp_path):
    for name in server.repos[REPO]["plain"]:
        hf_hub_download(REPO, name, revision="plain")
    before = sum(server.sent.values())
    checkpoint = Checkpoint(1, REPO, "plain")
    path = hub.fetch(checkpoint)
    assert path.is_relative_to(tmp_path / "cache")
    assert sum(server.sent.values()) == before, "nothing was fetched again"
    hub.release(checkpoint)
    assert same_weights(path)
    # Half of it there: the rest is fetched, and only that goes.
    (path / "model.safetensors").unlink()
    mixed = hub.fetch(checkpoint)
    assert same_weights(mixed)
    assert not mixed.is_relative_to(tmp_path / "cache")
    hub.release(checkpoint)
    assert (path / "config.json").exists()
    assert not mixed.exists()


def test_a_connection_that_breaks_half_way_is_resumed(server, hub, monkeypatch):
    """What had arrived is not sent again."""
    size = len(server.repos[REPO]["plain"]["model.safetensors"])
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    commit_path = next_path(server, "model.safetensors")
    server.faults[commit_path] = ["break"]
    assert same_weights(hub.fetch(Checkpoint(1, REPO, "plain")))
    assert server.sent[commit_path] <= size + 4096
    assert any(not header.startswith("bytes=0-") for header in server.ranges)


def next_path(server, name):
    from .hub_server import _commit

    return f"/{REPO}/resolve/{_commit(REPO, 'plain')}/{name}"


def test_a_slow_connection_is_waited_for(server, hub):
    server.faults[next_path(server, "model.safetensors")] = ["slow"]
    assert same_weights(hub.fetch(Checkpoint(1, REPO, "plain")))


def test_a_server_that_fails_is_asked_again(server, hub, caplog):
    server.faults[f"/api/models/{REPO}/revision/plain"] = [503, 500]
    assert same_weights(hub.fetch(Checkpoint(1, REPO, "plain")))
    assert caplog.text.count("again in") == 2


def test_a_server_that_is_gone_is_named_after_the_last_attempt(server, hub):
    server.faults[f"/api/models/{REPO}/revision/plain"] = [503] * 3
    with pytest.raises(CheckpointMissing, match=f"{REPO}@plain: not reached in 3 attempts"):
        hub.fetch(Checkpoint(1, REPO, "plain"))


def test_no_answer_at_all_is_no_end(server, hub, caplog):
    server.faults[f"/api/models/{REPO}/refs"] = ["drop"]
    server.faults[f"/api/models/{REPO}/revision/plain"] = ["drop"]
    assert hub.missing([Checkpoint(1, REPO, "plain")]) == {}
    assert same_weights(hub.fetch(Checkpoint(1, REPO, "plain")))
    assert caplog.text.count("again in") == 2


def test_a_hub_out_of_reach_is_named(server, tmp_path):
    server.server.server_close()
    hub = Hub(tmp_path / "downloads", attempts=2, wait=0.01)
    with pytest.raises(CheckpointMissing, match=f"{REPO}@plain: not reached in 2 attempts"):
        hub.fetch(Checkpoint(1, REPO, "plain"))


def test_a_missing_revision_lists_those_that_exist(server, hub):
    here, gone, nowhere = (Checkpoint(1, repo, revision) for repo, revision in ((REPO, "plain"), (REPO, "global_step7"), ("zoo/none", "x")))  # fmt: skip
    found = hub.missing([here, gone, nowhere])
    assert set(found) == {gone, nowhere}
    assert found[gone] == f"{REPO}@global_step7: no such revision; {REPO} has both, code, half, pickle, plain, shards"
    assert "no repository zoo/none, or no access to it (a gated one needs HF_TOKEN)" in found[nowhere]
    with pytest.raises(CheckpointMissing, match="has both, code, half"):
        hub.fetch(gone)


def test_a_checkpoint_that_is_half_there_is_named(server, hub):
    with pytest.raises(
        CheckpointMissing, match=r"@half is half there: model-00002-of-\d+\.safetensors of \d+ is missing"
    ):
        hub.fetch(Checkpoint(1, REPO, "half"))
    del server.repos[REPO]["plain"]["model.safetensors"]
    with pytest.raises(CheckpointMissing, match="@plain has no weights; it has config"):
        hub.fetch(Checkpoint(1, REPO, "plain"))


def test_subfolders_of_a_repository(server, hub):
    path = hub.fetch(Checkpoint(10, "zoo/steps", "main", "step_10"))
    assert same_weights(path)
    with pytest.raises(CheckpointMissing, match=r"step_5 has no config\.json; the repository has step_1, step_10"):
        hub.fetch(Checkpoint(5, "zoo/steps", "main", "step_5"))


def test_code_of_a_repository_is_never_run(server, hub):
    with pytest.raises(ValueError, match="needs code of its own repository, which is never run here"):
        load_model(hub.fetch(Checkpoint(1, REPO, "code")))


def test_offline_only_the_cache_is_read(server, hub, monkeypatch):
    for name in server.repos[REPO]["plain"]:
        hf_hub_download(REPO, name, revision="plain")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.missing([Checkpoint(1, REPO, "nowhere")]) == {}
    assert same_weights(hub.fetch(Checkpoint(1, REPO, "plain")))
    with pytest.raises(CheckpointMissing, match="is not in the local cache, and HF_HUB_OFFLINE is set"):
        hub.fetch(Checkpoint(1, REPO, "shards"))


def test_weights_that_lack_a_tensor_are_refused(folders, tmp_path):
    """The library fills what is missing with random numbers."""
    from safetensors.torch import load_file, save_file

    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_bytes((folders / "plain" / "config.json").read_bytes())
    tensors = load_file(folders / "plain" / "model.safetensors")
    del tensors["transformer.h.1.mlp.dense_4h_to_h.weight"]
    save_file(tensors, tmp_path / "c" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        CheckpointDamagedError, match=r"half there: transformer\.h\.1\.mlp\.dense_4h_to_h\.weight is not among"
    ):
        load_model(tmp_path / "c")
    (tmp_path / "c" / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(CheckpointDamagedError, match="the weights can't be read"):
        load_model(tmp_path / "c")


def test_a_pickle_that_would_run_code_is_refused(folders, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_bytes((folders / "plain" / "config.json").read_bytes())
    torch.save({"x": Evil()}, tmp_path / "c" / "pytorch_model.bin")
    with pytest.raises(CheckpointDamagedError, match="its pickled weights hold more than weights, and are not loaded"):
        load_model(tmp_path / "c")
    assert not (tmp_path / "ran").exists()


def test_a_damaged_tokenizer_is_told_from_none(folders, tmp_path):
    word_tokenizer().save_pretrained(tmp_path / "c")
    path = tmp_path / "c" / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointDamagedError, match=r".*tokenizer\.json can't be read"):
        load_tokenizer(tmp_path / "c")
    with pytest.raises(
        ValueError, match=r"none can be loaded from .*: name one with tokenizer=NAME_OR_FOLDER"
    ) as caught:
        load_tokenizer(folders / "pickle")
    assert not isinstance(caught.value, CheckpointDamagedError)


def test_a_single_model_by_name_goes_to_the_users_cache_and_stays(server, folders, tmp_path):
    assert repository("nowhere") is None
    assert repository("a/b/c") is None
    assert repository(f"{REPO}@shards") == Checkpoint(0, REPO, "shards")
    model = repository(f"{REPO}@plain")
    path = Path(local_copy(model).path)
    assert path.is_relative_to(tmp_path / "cache")
    assert same_weights(path)
    asked = len(server.requests)
    assert Path(local_copy(model).path) == path
    assert not any("safetensors" in str(request) for request in server.requests[asked:])
    local = Checkpoint(0, str(folders / "plain"))
    assert local_copy(local) == local
    with pytest.raises(ConfigError, match=r"no folder here, and on the hub: .*no such revision.* has "):
        local_copy(Checkpoint(0, REPO, "absent"))


def test_one_model_of_the_hub_is_steered_with_the_sentences_that_ship(server, capsys):
    arguments = ["steer", "--model", f"{REPO}@plain", "--concept", "earthquake", "--source-language", "es"]
    more = ["--seeds", "2", "--length", "3", "--k", "4", "--languages", '["en", "es"]', "--samples", "1"]
    assert main([*arguments, *more]) == 0
    assert "4 experts of earthquake in es, 2 texts a condition" in capsys.readouterr().out
    assert main([*arguments, "--step", "3"]) == 2
    assert f"for a model on the hub write model={REPO}@plain@REVISION" in capsys.readouterr().err


def test_a_suite_is_listed_and_swept_by_its_pattern(server, run_cli, capsys, tmp_path):
    """As published: steps and tokens in the names of revisions, and revisions that are something else."""
    plain = server.repos[REPO]["plain"]
    names = ("main", "step50000-tokens210B", "step100000-tokens420B", "step2627139-tokens15T", "longcontext")
    server.repos["zoo/apertus"] = dict.fromkeys(names, plain)
    words = ("zoo/apertus", "--revision", "step{step}-tokens{tokens}")
    assert run_cli("series", None, *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["step", "tokens", "size", "where"]
    assert lines[1].split() == ["50,000", "210B", "-", "zoo/apertus@step50000-tokens210B"]
    seen = (
        "The first checkpoint has seen 210B tokens (step 50,000): what begins before 210B tokens cannot be seen here."
    )
    assert lines[-2] == f"3 checkpoints. {seen}"
    assert lines[-1] == "Not understood: longcontext, main"
    assert run_cli("series", None, *words, "--steps", "[100000]", "--json", "true") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["step"], row["tokens"], row["revision"]) == (100_000, 420 * 10**9, "step100000-tokens420B")
    assert row["resolution"] is None, "of one checkpoint there is no curve"
    assert run_cli("series", None, *words, "--json", "true") == 0
    assert {json.loads(line)["resolution"] for line in capsys.readouterr().out.splitlines()} == {seen}
    assert run_cli("series", None, "zoo/apertus", "--revision", "stage1-step{step}") == 2
    assert "matches none of 5 names in zoo/apertus; nearest: step" in capsys.readouterr().err
    assert run_cli("series", None, "zoo/none", "--revision", "step{step}") == 2
    assert "no repository zoo/none" in capsys.readouterr().err
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "xx.txt").write_text("w1 w2 w3 w4 w5 w6\n" * 5)
    loss = {"text": str(tmp_path / "text"), "context": 8, "max_tokens": 20}
    config = {
        "source": "zoo/apertus",
        "revision": "step{step}-tokens{tokens}",
        "run": str(tmp_path / "run"),
        "callbacks": [{"class_path": "babelscope.training.callbacks.PerLanguageLoss", "init_args": loss}],
    }
    assert run_cli("analyze", config) == 0
    rows = pq.read_table(tmp_path / "run" / "results" / "validation" / "step_00050000.parquet").to_pylist()
    assert {row["tokens"] for row in rows} == {210 * 10**9}
    assert len(list((tmp_path / "run" / "results" / "validation").glob("*.parquet"))) == 3


def test_folders_of_a_repository_are_listed(server, run_cli, capsys):
    assert run_cli("series", None, "zoo/steps", "--subfolder", "step_{step}", "--tokens_per_step", "1000000") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["10", "10M", "-", "zoo/steps@main/step_10"]


def test_a_local_series_is_listed_with_its_size(folders, run_cli, capsys, tmp_path):
    assert run_cli("series", None, str(folders / "plain")) == 0
    printed = capsys.readouterr().out
    assert "0.00 GB" in printed
    assert "How many tokens they were trained on is not said: set tokens_per_step." in printed
    assert run_cli("series", None, str(tmp_path / "nowhere")) == 2
    assert "is neither a folder that exists nor a repository's name" in capsys.readouterr().err
