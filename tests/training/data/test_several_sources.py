"""Several sources of one language, blank lines between documents, lengths in text, and text that cannot be seen."""

import json
from collections import Counter

import numpy as np
import pytest
from babelscope.training.data.documents import Reading, clean
from babelscope.training.data.prepare import prepare
from babelscope.training.data.sources import Source, resolve
from babelscope.training.data.store import TokenStore
from babelscope.training.data.tokenizer import TokenizerConfig

BPE = TokenizerConfig(algorithm="bpe", vocab_size=320)


def run(folder, sources, **more):
    settings = {"tokenizer": BPE, "block_length": 16, "validation_fraction": 0.0, "progress": False, **more}
    return TokenStore(prepare(str(folder), sources, **settings))


def words(store):
    """Documents of a language's blocks, by how often each begins with a or b."""
    blocks = store.blocks("xx").gather(np.arange(len(store.blocks("xx"))))
    from transformers import AutoTokenizer

    text = AutoTokenizer.from_pretrained(store.tokenizer_path).decode(blocks.ravel())
    return Counter(word for word in text.replace("</s>", " ").split())


@pytest.fixture
def two(tmp_path):
    (tmp_path / "a.txt").write_text("aaa aaa aaa aaa\n" * 300)
    (tmp_path / "b.txt").write_text("bbb bbb bbb bbb\n" * 100)
    return tmp_path


def sources(folder, one=None, other=None):
    return [
        Source(str(folder / "a.txt"), language="xx", share=one),
        Source(str(folder / "b.txt"), language="xx", share=other),
    ]


def test_sources_of_a_language_come_one_behind_the_other(two):
    store = run(two / "store", sources(two))
    assert store.manifest["languages"]["xx"]["documents"] == 400
    assert store.manifest["languages"]["xx"]["source"] == f"{two}/a.txt, {two}/b.txt"
    (two / "both.txt").write_text((two / "a.txt").read_text() + (two / "b.txt").read_text())
    whole = run(two / "whole", [Source(str(two / "both.txt"), language="xx")])
    assert (store.blocks("xx").gather(np.arange(50)) == whole.blocks("xx").gather(np.arange(50))).all()
    assert words(store) == words(whole)


@pytest.mark.parametrize(("one", "other", "expected"), [(1, 1, (100, 100)), (4, 1, (300, 75)), (1, 2, (50, 100))])
def test_shares_are_proportions_of_tokens_as_many_as_the_scarcest_allows(two, one, other, expected):
    entry = run(two / "store", sources(two, one, other)).manifest["languages"]["xx"]
    store = TokenStore(two / "store")
    found = words(store)
    assert entry["documents"] == sum(expected)
    assert found["aaa"] == pytest.approx(4 * expected[0], abs=16)  # the rest that fills no block is dropped
    assert found["bbb"] == pytest.approx(4 * expected[1], abs=16)  # the rest that fills no block is dropped


def test_shares_hold_across_shards(two):
    whole = run(two / "whole", sources(two, 1, 2))
    arguments = {"sources": sources(two, 1, 2), "tokenizer": BPE, "block_length": 16, "validation_fraction": 0.0}
    prepare(str(two / "parts"), **arguments, tokenizer_only=True)
    for shard in ("1/2", "2/2"):
        prepare(str(two / "parts"), **arguments, shard=shard)
    prepare(str(two / "parts"), **arguments, merge=True)
    assert TokenStore(two / "parts").manifest == whole.manifest


def test_wrong_shares_and_the_same_file_twice_are_told(two):
    _, problems = resolve([*sources(two, 1, None), *sources(two, -1, 1)[:1]])
    text = "\n".join(problems)
    assert "sources[2].share is -1; give a positive number" in text
    assert f"'xx' would read {two}/a.txt 2 times; name it once" in text
    assert "2 of the 3 sources of 'xx' have a share; give each one, or none" in text


@pytest.mark.parametrize("end", ["", ".gz"])
def test_blank_lines_part_documents(tmp_path, end):
    import gzip

    text = b"\xef\xbb\xbf\n\none\ntwo\r\n\n \t\n\nthree\n\nfour\nfive"
    (tmp_path / f"a.txt{end}").write_bytes(gzip.compress(text) if end else text)
    (source,), problems = resolve([Source(str(tmp_path / f"a.txt{end}"), language="xx", separator="blank_line")])
    assert not problems
    found = [unit.documents() for unit in source.units(9)]
    assert [text for texts, _ in found for text in texts] == ["one\ntwo", "three", "four\nfive"]
    assert sum((left for _, left in source_documents(source, 8)), Counter()) == Counter(too_long=1)
    _, (problem,) = resolve([Source(str(tmp_path / f"a.txt{end}"), language="xx", separator="page")])
    assert problem.endswith("separator is 'page'; choose line or blank_line")


def source_documents(source, limit):
    return [unit.documents() for unit in source.units(limit)]


def test_the_limit_counts_bytes_of_text_not_of_json(tmp_path):
    hindi = "नमस्ते" * 10
    size = len(hindi.encode())
    line = json.dumps({"id": "x" * 5000, "text": hindi}).encode()
    assert len(line) > size + 5000
    reading = Reading(column="text", max_line_bytes=size)
    assert clean([line], reading) == ([hindi], Counter())
    assert clean([line], Reading(column="text", max_line_bytes=size - 1)) == ([], Counter(too_long=1))
    (tmp_path / "a.jsonl").write_bytes(line + b"\n" + line)
    (source,), _ = resolve([Source(str(tmp_path / "a.jsonl"), language="hi")])
    assert [texts for texts, _ in source_documents(source, size)] == [[hindi, hindi]]


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad\u00ad", " \u200d\u2060", "\x01\x1f", "\u3000\u2028"])
def test_text_that_cannot_be_seen_is_empty(unseen):
    line = unseen.encode()
    assert clean([line, b"seen", line + b"x"], Reading())[1] == Counter(empty=1)
    assert clean([json.dumps({"text": unseen}).encode()], Reading(column="text")) == ([], Counter(empty=1))
    assert clean([line, b"\xff", "\u0301".encode()], Reading()) == (["\u0301"], Counter(empty=1, invalid_utf8=1))


def test_a_finished_store_is_known_by_content_not_by_time(two, caplog):
    import os

    run(two / "store", sources(two))
    before = (two / "store" / "manifest.json").stat().st_mtime_ns
    os.utime(two / "a.txt", (1, 1))
    run(two / "store", sources(two))
    assert (two / "store" / "manifest.json").stat().st_mtime_ns == before
    (two / "a.txt").write_text((two / "a.txt").read_text().replace("a", "c", 1))
    with pytest.raises(ValueError, match="holds a finished store with another sources"):
        run(two / "store", sources(two))
