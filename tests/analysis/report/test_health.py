"""Checkpoints that are not sound, and translations, as the page shows them; sliders that stay short."""

import pytest
from babelscope.analysis.findings import read_rows
from babelscope.analysis.report.drawing import MOST_FRAMES, few_steps, thinned_words
from babelscope.analysis.report.sections.alignment import alignment_section
from babelscope.analysis.report.write import write_report

from tests.analysis.report.test_report import embedded, text_of
from tests.synthetic_analyses import write_health
from tests.synthetic_run import EVERYTHING, synthetic_run


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory):
    """A run with all analyses, a copy and a broken checkpoint."""
    run = synthetic_run(
        tmp_path_factory.mktemp("runs") / "doubtful",
        steps=(0, 1, 8, 16, 64, 512),
        last=512,
        analyses=EVERYTHING,
        layers=4,
    )
    write_health(run, ("aru", "bek"), 2048, copies={64: 1}, broken=[8])
    return run


def test_unsound_checkpoints_are_named_drawn_hollow_and_left_out_of_sliders(doubtful):
    page = write_report([doubtful]).read_text(encoding="utf-8")
    panels = embedded(page)
    for title in ("Language by language", "Pair by pair", "From layer to layer", "The concept against the number of experts",
                  "Recall of each language", "Which languages are taken for which"):  # fmt: skip
        assert panels[title]["controls"][-1]["options"] == ["0", "1", "16", "512"], title
    (frame,) = panels["Experts that two languages have in common"]["frames"].values()
    hollow = [trace for trace in frame["traces"] if trace["meta"].get("reasons") and not trace["meta"].get("legend")]
    assert [trace["meta"]["steps"] for trace in hollow] == [[64]] * 3
    assert all("text" not in trace for trace in hollow)
    seen = text_of(page)
    assert (
        "Not sound, by the health check: step 8 (non-finite weights in 2 tensors); step 64 (a copy of step 1)." in seen
    )
    assert "2 of 6 checkpoints are not sound" in seen
    assert "weights that are not finite in h.1.mlp.weight, h.2.mlp.weight" in seen
    assert "a copy of step 1, whose place in the course of the loss it has" in seen
    assert "Failed" not in panels


def test_all_sound_is_said_too(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(0, 8), last=8, analyses=("validation",))
    write_health(run, ("aru", "bek"), 2048, copies={})
    seen = text_of(write_report([run]).read_text(encoding="utf-8"))
    assert "All 2 checkpoints that were examined are sound." in seen
    assert "Not sound" not in seen


def test_two_checkpoints_of_which_none_is_known_to_be_right(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(0,), last=8, analyses=(*EVERYTHING,), layers=3)
    write_health(run, ("aru", "bek"), 2048, copies={8: 0})
    page = write_report([run]).read_text(encoding="utf-8")
    assert "the same weights as step 8; which of the two is right is not known" in page
    assert "Language by language" not in embedded(page)


def test_alignment_says_its_sizes_and_chance(doubtful):
    section = alignment_section({"run": read_rows(doubtful / "results")})
    titles = {panel.title: panel for panel in section.panels}
    assert list(titles) == [
        "Do translations come together?", "Each layer over training", "From layer to layer",
        "Which languages find their translations", "Both directions, layer by layer", "Pair by pair",
    ]  # fmt: skip
    first = titles["Do translations come together?"]
    assert "n = 100 sentences in each pair, so chance is 1 %" in first.how_to_read
    assert "means over 6 pairs of languages" in first.how_to_read
    assert list(first.figures) == [("retrieval",), ("cosine margin",), ("CKA",)]
    assert titles["Pair by pair"].names == ("Measure", "Layers", "Step")
    (heat,) = titles["Pair by pair"].figures["retrieval", "last (3)", 512].data
    rows = read_rows(doubtful / "results").to_pylist()
    (expected,) = [
        row["value"] for row in rows
        if row["metric"] == "retrieval_accuracy" and row["step"] == 512 and row["layer"] == 3
        and (row["language"], row["other_language"]) == ("cim", "aru")
    ]  # fmt: skip
    assert heat.z[2][0] == pytest.approx(expected, abs=1e-5)
    shuffled, cka = (
        titles["Each layer over training"].figures[name,].layout.coloraxis for name in ("CKA, shuffled", "CKA")
    )
    assert (shuffled.cmin, shuffled.cmax) == (cka.cmin, cka.cmax)


@pytest.mark.parametrize(("count", "choices"), [(45, 16), (45, 1), (3, 1000), (240, 1), (241, 1), (1, 1)])
def test_a_slider_beside_many_choices_keeps_both_ends(count, choices):
    steps = [2**at for at in range(count)]
    kept = few_steps(steps, choices)
    assert {steps[0], steps[-1]} <= set(kept)
    assert kept == sorted(set(kept))
    assert len(kept) == min(count, max(2, MOST_FRAMES // choices))
    assert (f"{len(kept)} of the {count} checkpoints" in thinned_words(count, choices)) == (len(kept) < count)
