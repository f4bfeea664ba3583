"""Damage to results: every flipped bit that changes what they say is found, named and set aside, and the rest is read."""

import logging
import os
import random
import threading
from dataclasses import replace

import numpy as np
import pytest
from babelscope.analysis.findings import (
    Findings,
    findings_path,
    has_findings,
    read_findings,
    read_rows,
    read_series,
    read_warnings,
    write_findings,
)
from babelscope.analysis.integrity import DamagedResultsError, content_digest


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("babelscope.analysis.integrity.BETWEEN", 0.0)


def findings(step=4):
    rows = [
        {"metric": "accuracy", "value": 0.25 * layer, "layer": layer, "language": language, "seed": None}
        for layer in range(6)
        for language in ("sw", "te", None)
    ]
    arrays = {"indices": np.arange(40, dtype=np.int32).reshape(4, 10)}
    texts = [{"seed": 0, "text": "maji mengi"}]
    return Findings.from_rows("probe", step, rows, arrays=arrays, settings={"k": 3}, warnings=["w"], texts=texts)


def same(one, two):
    return (
        one.table.equals(two.table)
        and all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)
        and (one.settings, one.warnings, one.texts) == (two.settings, two.warnings, two.texts)
    )


def damage_of(results, whole):
    """What is said of results that are damaged; None where they read as the whole ones do."""
    try:
        assert same(read_findings(results, "probe", 4), whole)
    except DamagedResultsError as error:
        return str(error)
    return None


@pytest.mark.parametrize("suffix", [".parquet", ".safetensors", ".texts.jsonl"])
def test_a_flipped_bit_changes_nothing_or_is_found(tmp_path, suffix):
    """Some bits of a file say nothing (padding, statistics); whatever else is flipped is never taken for a result."""
    whole = findings()
    path = write_findings(whole, tmp_path).with_suffix(suffix)
    content = path.read_bytes()
    rng = random.Random(0)
    found = 0
    for _ in range(120):
        write_findings(whole, tmp_path)
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        said = damage_of(tmp_path, whole)
        if said is not None:
            found += 1
            assert "step_00000004" in said
            assert "set aside" in said
            assert not has_findings(tmp_path, "probe", 4)
    assert found >= (40 if suffix == ".parquet" else 119)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 30, b"\0" * 500])
def test_one_damaged_file_costs_that_file(tmp_path, caplog, content):
    for step in (1, 2, 4):
        write_findings(findings(step), tmp_path)
    path = findings_path(tmp_path, "probe", 2)
    path.write_bytes(content)
    assert set(read_rows(tmp_path)["step"].to_pylist()) == {1, 4}
    assert "step_00000002.parquet is damaged" in caplog.text
    assert path.with_name("step_00000002.parquet.damaged").read_bytes() == content
    assert path.with_name("step_00000002.safetensors.damaged").exists()
    assert not has_findings(tmp_path, "probe", 2)
    assert list(read_series(tmp_path, "probe")) == [1, 4]
    assert set(read_warnings(tmp_path)) == {("probe", 1), ("probe", 4)}
    # What is done again has the place.
    write_findings(findings(2), tmp_path)
    assert same(read_findings(tmp_path, "probe", 2), findings(2))


def test_results_that_lack_a_part_are_damaged(tmp_path):
    write_findings(findings(), tmp_path).with_suffix(".safetensors").unlink()
    with pytest.raises(DamagedResultsError, match=r"step_00000004\.safetensors is not what was written with it"):
        read_findings(tmp_path, "probe", 4)


def test_where_nothing_can_be_renamed_the_rest_is_read_all_the_same(tmp_path, caplog, monkeypatch):
    for step in (1, 2):
        write_findings(findings(step), tmp_path)
    findings_path(tmp_path, "probe", 2).write_bytes(b"")

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("os.replace", refuse)
    caplog.set_level(logging.WARNING)
    assert set(read_rows(tmp_path)["step"].to_pylist()) == {1}
    assert "can't be set aside" in caplog.text


def test_a_digest_is_of_what_a_table_says():
    table = findings().table
    pieces = [table.slice(0, 7), table.slice(7)]
    batches = [batch for piece in pieces for batch in piece.to_batches()]
    assert content_digest(table, "a") == content_digest(type(table).from_batches(batches), "a")
    other = table.set_column(4, table.schema.field(4), [[value + 1e-12 for value in table["value"].to_pylist()]])
    assert len({content_digest(table, "a"), content_digest(table, "b"), content_digest(other, "a")}) == 3


def test_results_that_are_just_written_anew_are_not_damaged(tmp_path, monkeypatch):
    """A reader between the new arrays and the new rows waits for the rows, instead of setting the old ones aside."""
    monkeypatch.setattr("babelscope.analysis.integrity.BETWEEN", 20.0)
    write_findings(findings(), tmp_path)
    path = findings_path(tmp_path, "probe", 4)
    other = replace(findings(), arrays={"indices": np.ones((4, 10), dtype=np.int32)})
    write_findings(other, tmp_path / "new")
    new = findings_path(tmp_path / "new", "probe", 4)
    os.replace(new.with_suffix(".safetensors"), path.with_suffix(".safetensors"))
    late = threading.Timer(0.5, os.replace, (new, path))
    late.start()
    assert same(read_findings(tmp_path, "probe", 4), other)
    late.join()
    # Rows alone written anew leave the arrays' file as it was, to the byte.
    before = path.with_suffix(".safetensors").read_bytes()
    write_findings(replace(other, warnings=("another",)), tmp_path)
    assert path.with_suffix(".safetensors").read_bytes() == before
