"""Blocks are views of the memory map, survive pickling and spawning, and an unfinished store does not load."""

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import datasets
import numpy as np
import pyarrow as pa
import pytest
from babelscope.training.data.packing import BlockWriter
from babelscope.training.data.store import Blocks, TokenStore

LENGTH, BLOCKS = 16, 2500


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """2,500 blocks and a rest of five tokens, in several chunks."""
    monkeypatch.setattr("babelscope.training.data.packing.WRITE_TOKENS", 300 * LENGTH)
    writer = BlockWriter(tmp_path / "blocks" / "xx" / "train", LENGTH)
    tokens = np.arange(BLOCKS * LENGTH + 5, dtype=np.int32)
    for part in np.array_split(tokens, 23):
        writer.add(np.array([3 * len(part)], dtype=np.uint32), np.array([len(part)]), part)
    counts = writer.close()
    assert counts == {
        "documents": 23, "bytes": 3 * len(tokens), "tokens": len(tokens), "blocks": BLOCKS, "dropped_tokens": 5
    }  # fmt: skip
    return tmp_path / "blocks" / "xx" / "train"


def expected(indices):
    return np.arange(BLOCKS * LENGTH, dtype=np.int32).reshape(BLOCKS, LENGTH)[indices]


def test_blocks_are_the_stream_cut_in_order(folder):
    blocks = Blocks(folder)
    assert len(blocks) == BLOCKS
    np.testing.assert_array_equal(np.stack(list(map(blocks.__getitem__, range(BLOCKS)))), expected(slice(None)))
    assert blocks[0].dtype == np.int32


def test_gather_copies_in_the_order_asked_for(folder):
    indices = np.array([2499, 0, 33, 33, 1000, 999, 2000])
    taken = Blocks(folder).gather(indices)
    np.testing.assert_array_equal(taken, expected(indices))
    taken[0] = 0
    assert Blocks(folder).gather(np.array([], dtype=int)).shape == (0, LENGTH)
    np.testing.assert_array_equal(Blocks(folder).gather(indices), expected(indices))


def test_blocks_are_views_of_mapped_memory(folder):
    before = pa.total_allocated_bytes()
    blocks = Blocks(folder)
    assert pa.total_allocated_bytes() - before < BLOCKS * LENGTH * 4 / 10
    assert not blocks[3].flags.writeable
    assert not blocks[3].flags.owndata
    assert np.shares_memory(blocks[3], blocks[3])
    assert len(datasets.load_from_disk(str(folder)).data.column("input_ids").chunks) > 1


@pytest.mark.parametrize("index", [-1, BLOCKS])
def test_blocks_beyond_the_end_are_an_error(folder, index):
    with pytest.raises(IndexError, match=f"block {index} of {BLOCKS}"):
        Blocks(folder)[index]
    with pytest.raises(IndexError, match=f"of {BLOCKS} in"):
        Blocks(folder).gather(np.array([0, index]))


def test_blocks_pickle_as_their_path(folder):
    data = pickle.dumps(Blocks(folder))
    assert len(data) < 500
    np.testing.assert_array_equal(pickle.loads(data)[5], expected(5))  # noqa: S301


def test_blocks_reach_spawned_processes(folder):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        taken = pool.submit(Blocks(folder).gather, np.array([4, 2])).result()
    np.testing.assert_array_equal(taken, expected([4, 2]))


def test_blocks_load_as_a_dataset(folder):
    data = datasets.load_from_disk(str(folder))
    assert data.features["input_ids"] == datasets.List(datasets.Value("int32"), length=LENGTH)
    assert data[2]["input_ids"] == expected(2).tolist()


def test_what_is_no_store_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"there is no token store .*nowhere; write it with babelscope prepare"):
        TokenStore(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"its preparation has not finished; run babelscope prepare .* again"):
        TokenStore(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ValueError, match=r"has format 99, this version reads format 1; prepare the store again"):
        TokenStore(tmp_path)
