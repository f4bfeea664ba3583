"""Findings on disk: whole or absent, idempotent, and the same when read back."""

import numpy as np
import pyarrow as pa
import pytest
from babelscope.analysis import findings as module
from babelscope.analysis.findings import (
    ROW_SCHEMA,
    Findings,
    findings_path,
    read_findings,
    read_rows,
    read_warnings,
    result_steps,
    write_findings,
)


def made(step=512, value=0.25):
    rows = [
        {"metric": "overlap", "value": value, "language": "sw", "other_language": "te", "concept": "joy"},
        {"metric": "accuracy", "value": float("nan"), "layer": 3, "seed": 2},
    ]
    arrays = {"indices": np.arange(6, dtype=np.int32).reshape(2, 3)[:, ::-1]}
    return Findings.from_rows("experts", step, rows, arrays=arrays, settings={"k": 3}, warnings=["te: 4 sentences"])


def test_what_is_written_is_read(tmp_path):
    written = made().with_tokens(99)
    path = write_findings(written, tmp_path)
    assert path == tmp_path / "experts" / "step_00000512.parquet"
    read = read_findings(tmp_path, "experts", 512)
    assert read.table.schema == ROW_SCHEMA
    assert read.table.to_pylist()[0] == written.table.to_pylist()[0]
    assert read.table["tokens"].to_pylist() == [99, 99]
    assert np.isnan(read.table["value"][1].as_py())
    assert (read.arrays["indices"] == written.arrays["indices"]).all()
    assert (read.settings, read.warnings) == ({"k": 3}, ("te: 4 sentences",))
    assert read_warnings(tmp_path) == {("experts", 512): ("te: 4 sentences",)}


def test_a_second_run_of_a_step_replaces_the_first(tmp_path):
    write_findings(made(value=0.5), tmp_path)
    write_findings(Findings.from_rows("experts", 512, [{"metric": "overlap", "value": 0.75}]), tmp_path)
    assert read_rows(tmp_path)["value"].to_pylist() == [0.75]
    assert read_findings(tmp_path, "experts", 512).arrays == {}, "the old arrays belong to the old rows"


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    write_findings(made(value=0.5), tmp_path)

    def fail(table, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(module.pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_findings(made(value=0.1), tmp_path)
    assert read_findings(tmp_path, "experts", 512).table["value"][0].as_py() == 0.5
    assert {path.suffix for path in (tmp_path / "experts").iterdir()} == {".parquet", ".safetensors"}


def test_rows_of_all_steps_in_order(tmp_path):
    for step in (8, 2, 1024):
        write_findings(made(step), tmp_path)
    assert result_steps(tmp_path, "experts") == [2, 8, 1024]
    assert read_rows(tmp_path)["step"].to_pylist() == [2, 2, 8, 8, 1024, 1024]
    assert read_rows(tmp_path / "nothing").num_rows == 0
    assert result_steps(tmp_path, "probe") == []


def test_columns_can_be_replaced(tmp_path):
    changed = made().with_columns(step=[1, 2])
    assert changed.table["step"].to_pylist() == [1, 2]
    assert changed.table.schema == ROW_SCHEMA


def test_an_unknown_column_is_refused():
    with pytest.raises(ValueError, match=r"row columns \['lang'\] are unknown: choose from"):
        Findings.from_rows("probe", 1, [{"metric": "a", "value": 1.0, "lang": "sw"}])


def test_paths_sort_as_steps_do():
    assert findings_path("r", "probe", 131072).name == "step_00131072.parquet"
    assert isinstance(made().table, pa.Table)
