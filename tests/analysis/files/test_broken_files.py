"""A sample of `benchmarks/files.py`: whatever is broken in a file, reading it gives rows or one clear error."""

import pytest

from benchmarks.files import FORMS, READERS, fuzz


@pytest.mark.parametrize("form", FORMS)
def test_broken_files_give_rows_or_one_clear_error(tmp_path, form):
    seen, failures = fuzz(form, 60, 1, tmp_path)
    assert failures == []
    assert seen["read"] + seen["error"] == 60 * len(READERS)
    assert seen["read"] > 5, "all of the files are broken beyond reading: nothing is tried"
    assert seen["error"] > 60


def test_a_reader_that_lets_anything_through_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setitem(READERS, "table", lambda path: path.read_bytes().decode("ascii"))
    monkeypatch.setitem(READERS, "text", lambda path: {}["x"])
    _, failures = fuzz("csv", 5, 1, tmp_path)
    assert any("KeyError" in failure for failure in failures)
    assert any("UnicodeDecodeError" in failure for failure in failures)
