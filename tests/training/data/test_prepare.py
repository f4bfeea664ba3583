"""Prepare end to end: what is in the blocks, who validates, and that no interruption or split changes any of it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest
from babelscope.training.data import encoding, sources, stages
from babelscope.training.data.prepare import prepare
from babelscope.training.data.sources import Source
from babelscope.training.data.store import TokenStore
from babelscope.training.data.tokenizer import TokenizerConfig
from babelscope.training.errors import ConfigError
from babelscope.training.toy.world import ToyWorld
from jsonargparse import ArgumentParser
from transformers import AutoTokenizer

from tests.places import CONFIGS, CORPUS, needs_corpus

BPE = TokenizerConfig(algorithm="bpe", vocab_size=400)
LANGUAGES = ("aa", "bb", "cc")


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    """Several units a file, so that order, shards and processes matter."""
    monkeypatch.setattr(sources, "UNIT_BYTES", 3000)


@pytest.fixture
def text(tmp_path):
    """Three languages, the last of them small; cc repeats documents."""
    return write_text(tmp_path / "text")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a store of that text holds when nothing happens in between."""
    folder = tmp_path_factory.mktemp("whole")
    return content(run(folder / "store", write_text(folder / "text")))


def write_text(folder):
    folder.mkdir()
    for language, count, letters in zip(LANGUAGES, (400, 300, 40), ("abcdefg", "ghijkl", "mnopq"), strict=True):
        random = Random(language)
        lines = [" ".join("".join(random.choices(letters, k=4)) for _ in range(12)) for _ in range(count)]
        (folder / f"{language}.txt").write_text("\n".join(lines * (2 if language == "cc" else 1)))
    return Source(path=str(folder / "{language}.txt"), languages=list(LANGUAGES))


def run(output, source, **more):
    settings = {"tokenizer": BPE, "block_length": 32, "validation_fraction": 0.2, **more}
    return TokenStore(prepare(str(output), [source], **settings))


def content(store):
    """All blocks of a store."""
    return {
        (language, split): store.blocks(language, split).gather(np.arange(len(store.blocks(language, split))))
        for language in store.languages
        for split in store.manifest["languages"][language]["splits"]
    }


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def documents_of(store, language, split):
    """The documents in a split's blocks but the last, which is cut off."""
    tokenizer = AutoTokenizer.from_pretrained(store.tokenizer_path)
    ids = content(store)[language, split].ravel()
    assert ids[0] == tokenizer.eos_token_id
    return [tokenizer.decode(part[1:]) for part in np.split(ids, np.flatnonzero(ids == 2))[1:-1]]


def test_blocks_hold_each_document_after_a_separator(tmp_path, text):
    store = run(tmp_path / "store", text)
    assert store.languages == LANGUAGES
    for language in LANGUAGES:
        lines = Path(text.path.replace("{language}", language)).read_text().split("\n")
        train, validation = (documents_of(store, language, split) for split in ("train", "validation"))
        held = set(store.heldout(language))
        assert not set(train) & held
        assert set(validation) <= held
        expected = [line for line in lines if line not in held]
        assert train == expected[: len(train)]
        assert len(expected) - len(train) <= 2


def test_a_document_starts_as_a_prompt_does(tmp_path, text):
    store = run(tmp_path / "store", text)
    tokenizer = AutoTokenizer.from_pretrained(store.tokenizer_path)
    first = documents_of(store, "aa", "train")[0]
    ids = tokenizer(first).input_ids
    assert store.blocks("aa")[0][: len(ids)].tolist() == ids[:32]


def test_manifest_counts_what_was_read(tmp_path, text):
    store = run(tmp_path / "store", text)
    for language, entry in store.manifest["languages"].items():
        data = Path(entry["source"]).read_bytes()
        assert entry["source"].endswith(f"{language}.txt")
        assert entry["documents"] == data.count(b"\n") + 1
        assert entry["bytes"] == len(data) - data.count(b"\n")
        for split, counts in entry["splits"].items():
            assert counts["tokens"] == 32 * counts["blocks"] + counts["dropped_tokens"]
            assert 0 <= counts["dropped_tokens"] < 32
            assert len(store.blocks(language, split)) == counts["blocks"] >= 1
            assert store.bytes_per_token(language, split) == counts["bytes"] / counts["tokens"]
        assert entry["problems"] == {"invalid_utf8": 0, "empty": 0, "too_long": 0, "malformed": 0}
    manifest = store.manifest
    assert (manifest["block_length"], manifest["seed"], manifest["validation_fraction"]) == (32, 0, 0.2)
    assert manifest["tokenizer"]["sha256"] == stages.tokenizers_.digest(store.tokenizer_path)
    assert store.vocab_size == 400
    assert set(manifest["versions"]) == {"tokenizers", "transformers", "datasets", "pyarrow"}
    assert sorted(f.name for f in (tmp_path / "store").iterdir()) == ["blocks", "heldout", "manifest.json", "tokenizer"]


def test_split_depends_on_the_text_of_a_document_alone(tmp_path, text):
    whole = run(tmp_path / "whole", text)
    held = {language: set(whole.heldout(language)) for language in LANGUAGES}
    assert len(held["aa"]) == pytest.approx(80, abs=25)
    for language in LANGUAGES:
        file = Path(text.path.replace("{language}", language))
        lines = file.read_text().split("\n")
        Random(0).shuffle(lines)
        file.write_text("\n".join([*lines, "another line of text"]))
    moved = run(tmp_path / "moved", text, seed=5)
    for language in ("aa", "bb"):
        assert set(moved.heldout(language)) - {"another line of text"} == held[language]


def test_repeated_documents_are_in_one_split(tmp_path, text):
    store = run(tmp_path / "store", text)
    assert store.manifest["languages"]["cc"]["documents"] == 80
    train, validation = (Counter(documents_of(store, "cc", split)) for split in ("train", "validation"))
    assert not train.keys() & validation.keys()
    assert max(train.values()) == 2


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5])
def test_a_small_language_has_a_block_in_each_split(tmp_path, text, caplog, fraction):
    store = run(tmp_path / "store", text, validation_fraction=fraction, block_length=256)
    splits = store.manifest["languages"]["cc"]["splits"]
    if fraction == 0:
        assert list(splits) == ["train"]
        with pytest.raises(ValueError, match=r"no split 'validation' of cc; .* \(validation_fraction was 0\)"):
            store.blocks("cc", "validation")
        return
    assert splits["train"]["blocks"] >= 1
    assert splits["validation"]["blocks"] >= 1
    if fraction == 0.001:
        assert splits["validation"]["blocks"] == 1
        assert "cc: 0." in caplog.text
        assert "of its text validates rather than 0.001" in caplog.text


def test_too_little_text_names_every_language_and_a_remedy(tmp_path, text):
    with pytest.raises(ConfigError) as error:
        run(tmp_path / "store", text, block_length=8192)
    assert len(error.value.problems) == 3
    assert error.value.problems[2].startswith("cc: ")
    assert "tokens do not make a block for training and one for validation of 8192 tokens" in str(error.value)
    with pytest.raises(ValueError, match="its preparation has not finished"):
        TokenStore(tmp_path / "store")
    assert run(tmp_path / "store", text).block_length == 32


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_processes_change_nothing(tmp_path, text, algorithm):
    config = TokenizerConfig(algorithm=algorithm, vocab_size=400)
    single = run(tmp_path / "single", text, tokenizer=config)
    double = run(tmp_path / "double", text, tokenizer=config, num_proc=2)
    assert same(content(single), content(double))
    for file in sorted((tmp_path / "single").rglob("*.arrow")):
        other = tmp_path / "double" / file.relative_to(tmp_path / "single")
        assert file.read_bytes() == other.read_bytes()
    assert single.manifest == double.manifest


def test_shards_change_nothing(tmp_path, text):
    whole = run(tmp_path / "whole", text)
    arguments = {"sources": [text], "tokenizer": BPE, "block_length": 32, "validation_fraction": 0.2}
    store = str(tmp_path / "sharded")
    with pytest.raises(ConfigError, match="has no tokenizer trained on these sources, which all shards must share"):
        prepare(store, **arguments, shard="1/3")
    prepare(store, **arguments, tokenizer_only=True)
    for shard in ("3/3", "1/3"):
        prepare(store, **arguments, shard=shard)
    with pytest.raises(ConfigError) as error:
        prepare(store, **arguments, merge=True)
    assert error.value.problems == tuple(
        f"merge: shard 2/3 of {language} is missing; run it with shard 2/3" for language in LANGUAGES
    )
    prepare(store, **arguments, shard="2/3")
    with pytest.raises(ValueError, match="after --shard runs, with --merge true"):
        TokenStore(store)
    prepare(store, **arguments, merge=True)
    assert same(content(TokenStore(store)), content(whole))
    assert TokenStore(store).manifest == whole.manifest
    assert all(TokenStore(store).heldout(language) == whole.heldout(language) for language in LANGUAGES)


def test_merge_notices_shards_of_other_settings(tmp_path, text):
    store = str(tmp_path / "store")
    prepare(store, [text], tokenizer=BPE, tokenizer_only=True)
    with pytest.raises(ConfigError, match="has no shards; prepare them with shard 1/n to n/n first"):
        prepare(store, [text], tokenizer=BPE, merge=True)
    prepare(store, [text], tokenizer=BPE, shard="1/2")
    prepare(store, [text], tokenizer=BPE, shard="2/2", heldout_documents=7)
    with pytest.raises(ConfigError, match="shard 2/2 of aa was made with another heldout_documents; run it again"):
        prepare(store, [text], tokenizer=BPE, merge=True)
    prepare(store, [text], tokenizer=BPE, shard="1/4")
    with pytest.raises(ConfigError, match="holds splits into 2, 4; remove those of the ones not meant"):
        prepare(store, [text], tokenizer=BPE, merge=True)


@pytest.mark.parametrize("budget", [{"max_documents": 37}, {"max_documents": 1000}])
def test_budgets_in_documents_hold_across_shards(tmp_path, text, budget):
    budgeted = replace(text, **budget)
    whole = run(tmp_path / "whole", budgeted, block_length=16)
    wanted = {"aa": 400, "bb": 300, "cc": 80}
    found = {language: entry["documents"] for language, entry in whole.manifest["languages"].items()}
    assert found == {language: min(count, budget["max_documents"]) for language, count in wanted.items()}
    arguments = {"sources": [budgeted], "tokenizer": BPE, "block_length": 16, "validation_fraction": 0.2}
    prepare(str(tmp_path / "sharded"), **arguments, tokenizer_only=True)
    for shard in ("1/2", "2/2"):
        prepare(str(tmp_path / "sharded"), **arguments, shard=shard)
    assert same(content(TokenStore(prepare(str(tmp_path / "sharded"), **arguments, merge=True))), content(whole))


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_budget_in_tokens_ends_with_the_document_that_meets_it(tmp_path, text, num_proc):
    whole = run(tmp_path / "whole", text)
    store = run(tmp_path / "store", replace(text, max_tokens=2000), num_proc=num_proc)
    for language, entry in store.manifest["languages"].items():
        longest = 12 * 6
        assert (
            2000 <= entry["tokens"] < 2000 + longest
            or entry["tokens"] == whole.manifest["languages"][language]["tokens"]
        )
        held = set(store.heldout(language))
        lines = Path(entry["source"]).read_text().split("\n")[: entry["documents"]]
        assert held <= set(lines)


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("after", range(0, 60, 7))
def test_an_interrupted_run_does_not_load_and_is_finished_by_the_next(tmp_path, text, whole, monkeypatch, after):
    calls = 0

    def interrupt(real):
        def call(*arguments, **more):
            nonlocal calls
            calls += 1
            if calls > after:
                raise Interrupted
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        for place, name in (
            (encoding.Heldout, "add"), (encoding.Part, "write"), (encoding, "write_json"), (stages, "write_json"),
            (stages, "_put"), (stages, "pack"), (stages.tokenizers_, "train"), (stages.shutil, "rmtree"),
        ):  # fmt: skip
            patch.setattr(place, name, interrupt(getattr(place, name)))
        try:
            run(tmp_path / "store", text)
            finished = True
        except Interrupted:
            finished = (tmp_path / "store" / "manifest.json").exists()
    if not finished:
        with pytest.raises(ValueError, match=r"no token store|has not finished"):
            TokenStore(tmp_path / "store")
    assert same(content(run(tmp_path / "store", text)), whole)


def test_finished_parts_are_used_again_and_changed_ones_redone(tmp_path, text, monkeypatch):
    encoded = []
    real = encoding.Part.write
    monkeypatch.setattr(encoding.Part, "write", lambda self, *a: (encoded.append(self.tokens.stem), real(self, *a)))
    with pytest.raises(ConfigError, match="cc: "):
        run(tmp_path / "store", text, block_length=2048)
    assert encoded == list(LANGUAGES)
    run(tmp_path / "store", text)
    assert encoded == list(LANGUAGES)
    run(tmp_path / "store", text)
    assert encoded == list(LANGUAGES)


def test_changed_text_is_encoded_again(tmp_path, text, monkeypatch):
    name = str(run(tmp_path / "other", text).tokenizer_path)
    config = TokenizerConfig(path=name)
    encoded = []
    real = encoding.Part.write
    monkeypatch.setattr(encoding.Part, "write", lambda self, *a: (encoded.append(self.tokens.stem), real(self, *a)))
    with pytest.raises(ConfigError, match="cc: "):
        run(tmp_path / "store", text, block_length=2048, tokenizer=config)
    file = Path(text.path.replace("{language}", "bb"))
    file.write_text(file.read_text() + "\none more line")
    store = run(tmp_path / "store", text, tokenizer=config)
    assert encoded == [*LANGUAGES, "bb"]
    assert store.manifest["languages"]["bb"]["documents"] == 301


def test_a_finished_store_is_replaced_only_when_asked(tmp_path, text):
    before = content(run(tmp_path / "store", text))
    with pytest.raises(
        ConfigError, match=r"holds a finished store with another block_length; give another output, or set"
    ):
        run(tmp_path / "store", text, block_length=64)
    assert same(content(TokenStore(tmp_path / "store")), before)
    fewer = replace(text, languages=["aa", "bb"])
    replaced = run(tmp_path / "store", fewer, block_length=64, overwrite=True)
    assert replaced.block_length == 64
    assert sorted(f.name for f in (tmp_path / "store" / "blocks").iterdir()) == ["aa", "bb"]


def test_faulty_text_is_counted_and_reported(tmp_path, text):
    file = Path(text.path.replace("{language}", "bb"))
    file.write_bytes(file.read_bytes() + b"\n\xff\xfe\n\n  \n" + b"x" * 5000 + b"\ne\xcc\x81\n")
    store = run(tmp_path / "store", text, max_line_bytes=4000)
    entry = store.manifest["languages"]["bb"]
    assert entry["problems"] == {"invalid_utf8": 1, "empty": 2, "too_long": 1, "malformed": 0}
    assert entry["documents"] == 301


@pytest.mark.parametrize("own_tokenizer", [True, False])
def test_languages_without_usable_text_are_all_named_with_their_files(tmp_path, text, own_tokenizer):
    config = BPE if own_tokenizer else TokenizerConfig(path=str(run(tmp_path / "first", text).tokenizer_path))
    bad = [Path(text.path.replace("{language}", language)) for language in ("aa", "bb")]
    bad[0].write_bytes(b"\xff\n\xfe\n\n")
    bad[1].write_bytes(b"")
    with pytest.raises(ConfigError) as error:
        run(tmp_path / "store", text, tokenizer=config)
    assert error.value.problems == (
        f"aa: no usable text in {bad[0]} (2 invalid_utf8, 1 empty); convert the file to UTF-8; check that the file is "
        "the one you mean",
        f"bb: no usable text in {bad[1]}, which is empty; check that it is the one you mean",
    )


def test_a_wrong_column_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}\n' * 5)
    with pytest.raises(ConfigError, match=r"no usable text in .*a.jsonl \(5 malformed\); set column to the field"):
        run(tmp_path / "store", Source(path=str(tmp_path / "a.jsonl"), language="aa"))


def test_all_mistakes_are_raised_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError) as error:
        prepare(
            str(tmp_path / "file"), [Source(path="nowhere.txt", language="fr", max_tokens=5)], toy=ToyWorld(words=10),
            tokenizer=TokenizerConfig(algorithm="words", vocab_size=10, alpha=2), block_length=4,
            validation_fraction=0.7, heldout_documents=-1, max_line_bytes=0, num_proc=0, shard="4/2", merge=True,
        )  # fmt: skip
    text = str(error.value)
    for expected in (
        "there is no file nowhere.txt",
        "tokenizer.algorithm is 'words'; choose unigram or bpe",
        "tokenizer.vocab_size is 10",
        "tokenizer.alpha is 2",
        "sources: give either sources or toy",
        "which is a file; name a folder",
        "block_length is 4; give at least 8",
        "validation_fraction is 0.7; give a share from 0 to 0.5",
        "heldout_documents is -1; give 0 or more",
        "max_line_bytes is 0; give at least 1",
        "num_proc is 0; give at least 1",
        "shard, merge and tokenizer_only are runs of their own; give one of them",
        "shard is '4/2'; give i/n from 1/n to n/n, for example 1/4",
    ):
        assert expected in text
    assert len(error.value.problems) == 13
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4 "])
def test_shards_are_numbered_from_one(tmp_path, text, shard):
    with pytest.raises(ConfigError, match=f"shard is '{shard}'; give i/n from 1/n to n/n, for example 1/4"):
        prepare(str(tmp_path / "store"), [text], shard=shard)


def test_a_budget_in_tokens_has_no_shards(tmp_path, text):
    with pytest.raises(ConfigError, match=r"shard is 1/2, but aa has max_tokens, .* give max_documents in its place"):
        prepare(str(tmp_path / "store"), [replace(text, max_tokens=100)], shard="1/2")


def test_text_like_special_tokens_does_not_end_a_document(tmp_path):
    lines = [f"a line {number} with </s> and <pad> in it" for number in range(200)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    store = run(tmp_path / "store", Source(path=str(tmp_path / "a.txt"), language="aa"))
    assert set(documents_of(store, "aa", "train")) <= set(lines)


def test_heldout_documents_are_limited_and_distinct(tmp_path, text):
    store = run(tmp_path / "store", text, heldout_documents=10)
    everything = run(tmp_path / "all", text)
    assert store.heldout("aa") == everything.heldout("aa")[:10]
    assert len(set(everything.heldout("cc"))) == len(everything.heldout("cc"))
    assert run(tmp_path / "none", text, heldout_documents=0).heldout("aa") == []
    with pytest.raises(ValueError, match="has no language 'xx'; choose one of aa, bb, cc"):
        store.heldout("xx")


def test_the_toy_world_brings_its_tables(tmp_path):
    world = ToyWorld(languages=3, words=20_000, concept_sentences=20, parallel_sentences=5)
    store = TokenStore(prepare(str(tmp_path / "store"), toy=world, tokenizer=BPE, block_length=32))
    assert store.languages == world.language_names
    assert pq.read_table(store.path / "concepts.parquet").equals(world.concept_table())
    assert pq.read_table(store.path / "parallel.parquet").equals(world.parallel_table())
    expected = Counter(language for language, _ in world.documents())
    assert {language: entry["documents"] for language, entry in store.manifest["languages"].items()} == expected


def parser():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_function_arguments(prepare)
    return parser


def call(*arguments):
    """Run prepare as the command line does."""
    found = vars(parser().instantiate(parser().parse_args(list(arguments))))
    found.pop("config", None)
    return prepare(**found)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path, text):
    (tmp_path / "store" / "tokenizer").mkdir(parents=True)
    (tmp_path / "store" / "tokenizer" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="tokenizer is there already and was not made here"):
        run(tmp_path / "store", text)
    assert (tmp_path / "store" / "tokenizer" / "thesis.txt").read_text() == "years of work"


def test_runs_from_a_config_file_with_overrides(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({
        "output": "elsewhere", "sources": [{"path": text.path, "languages": ["aa", "bb"], "max_documents": 90}],
        "tokenizer": {"algorithm": "bpe", "vocab_size": 300}, "block_length": 16,
    }))  # fmt: skip
    arguments = ("--config", str(file), "--output", str(tmp_path / "store"), "--tokenizer.vocab_size", "320")
    store = TokenStore(call(*arguments, "--validation_fraction", "0.1"))
    assert store.languages == ("aa", "bb")
    assert (store.block_length, store.vocab_size) == (16, 320)


@pytest.mark.parametrize("path", sorted((CONFIGS / "prepare").glob("*.yaml")), ids=lambda path: path.stem)
def test_committed_configurations_parse(path):
    found = parser().instantiate(parser().parse_args(["--config", str(path)]))
    assert found.tokenizer.problems() == []
    assert found.toy or found.sources[0].languages


@needs_corpus
def test_the_skewed_corpus_gives_every_language_both_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "UNIT_BYTES", 1 << 17)
    languages = ["bn", "te", "vi", "id", "fr"]
    source = Source(path=str(CORPUS / "{language}.txt"), languages=languages, max_documents=3000)
    config = TokenizerConfig(vocab_size=4000, max_training_bytes=500_000)
    store = run(tmp_path / "store", source, tokenizer=config, block_length=512, validation_fraction=0.01)
    for language in languages:
        assert len(store.blocks(language)) >= 1
        assert len(store.blocks(language, "validation")) >= 1
        assert not any(store.manifest["languages"][language]["problems"].values())
        assert 2 < store.bytes_per_token(language) < 12
    tokenizer = AutoTokenizer.from_pretrained(store.tokenizer_path)
    line = (CORPUS / "te.txt").read_text().split("\n")[0]
    assert tokenizer.decode(tokenizer(line).input_ids, skip_special_tokens=True) == line


def test_a_toy_store_holds_out_documents_in_one_language(toy_store):
    store = TokenStore(toy_store)
    for language in store.languages:
        texts = store.heldout(language)
        assert len(texts) == store.manifest["languages"][language]["heldout_documents"] == 500
