"""Checkpoints that are not sound: hollow points that no line joins, with the reason; absent from maps and sliders."""

import math

import pyarrow as pa
import pytest
from babelscope.analysis import figures
from babelscope.analysis.figures.sound import GROUP, MOST_NAMED, sound_only, unsound_of
from babelscope.analysis.figures.steering import Steered, condition_curves
from babelscope.analysis.findings import Findings, read_rows

from tests.synthetic_analyses import write_health
from tests.synthetic_run import EVERYTHING, synthetic_run

STEPS = (0, 1, 8, 16, 64, 512)
SOUND = [0, 1, 16, 512]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    run = synthetic_run(tmp_path_factory.mktemp("runs") / "run", steps=STEPS, last=512, analyses=EVERYTHING, layers=4)
    write_health(run, ("aru", "bek"), 2048, copies={64: 1}, broken=[8])
    return read_rows(run / "results")


def health(step, **facts):
    return (
        Findings.from_rows("health", step, [{"metric": m, "value": v} for m, v in facts.items()])
        .with_tokens(step)
        .table
    )


def loss(step, value):
    return Findings.from_rows("validation", step, [{"metric": "loss", "value": value, "language": "aa"}]).table


DRAWN = {
    "probe": figures.probe_curves,
    "overlap": figures.overlap_curves,
    "overlap of languages": figures.language_overlap_curves,
    "transfer": figures.transfer_curves,
    "alignment": figures.alignment_curves,
    "CKA": lambda rows: figures.alignment_curves(rows, "cka"),
    "alignment of languages": figures.alignment_by_language,
    "loss": figures.loss_curves,
    "nats": lambda rows: figures.loss_curves(rows, "loss"),
    "presence": lambda rows: condition_curves(Steered.of(rows), "presence"),
    "share": lambda rows: condition_curves(Steered.of(rows), "share"),
    "norm": lambda rows: figures.metric_curves(rows, "health", "norm"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_copy_is_a_hollow_point_with_the_values_of_its_original(rows, name):
    drawing = DRAWN[name](rows)
    lines = [t for t in drawing.data if t.mode != "markers" and "steps" in t.meta and t.meta.get("judged", True)]
    assert lines
    for line in lines:
        assert not {8, 64} & set(line.meta["steps"])
    hollow = [t for t in drawing.data if t.meta.get("reasons") and not t.meta.get("legend")]
    assert hollow
    for points in hollow:
        assert points.mode == "markers"
        assert points.marker.symbol.endswith("-open")
        assert set(points.meta["steps"]) <= {8, 64}
        at = points.meta["steps"].index(64)
        assert points.meta["reasons"][at] == points.meta["extra"]["not_sound"][at] == "a copy of step 1"
        assert points.text[at].endswith("not sound: a copy of step 1")
        (line,) = [t for t in lines if t.name == points.name and not t.meta.get("band")]
        if name != "norm":
            assert points.y[at] == pytest.approx(line.y[line.meta["steps"].index(1)])
    (legend,) = [t for t in drawing.data if t.legendgroup == GROUP and t.x[0] is None]
    assert "step 64: a copy of step 1" in legend.name
    assert "step 8: non-finite weights in 2 tensors" in legend.name


def test_where_a_checkpoint_has_no_value_a_cross_stands(rows):
    drawing = figures.probe_curves(rows)
    (cross,) = [t for t in drawing.data if t.marker.symbol == "x-thin"]
    assert cross.meta["steps"] == [8]
    assert "non-finite weights in 2 tensors; no value" in cross.text[0]
    assert cross.y[0] < min(y for t in drawing.data if t.meta.get("judged", True) and t is not cross for y in t.y if y)
    (cross,) = [t for t in figures.overlap_curves(rows).data if t.marker.symbol == "x-thin"]
    assert cross.y[0] == 0
    (legend,) = [t for t in drawing.data if t.legendgroup == GROUP and t.x[0] is None]
    assert "step 8: non-finite weights in 2 tensors, no value (×); step 64" in legend.name


def test_chance_and_training_go_through(rows):
    for drawing, name in ((figures.probe_curves(rows), "chance"), (figures.overlap_curves(rows), "chance k/N")):
        (line,) = [t for t in drawing.data if t.name == name]
        assert 64 in line.meta["steps"]
    training = next(t for t in figures.training_curves(rows).data if t.name == "training")
    assert 64 in training.meta["steps"]


def test_maps_leave_them_out(rows):
    for name in ("probe_heatmap", "shared_layers"):
        (heat,) = getattr(figures, name)(rows).data
        assert heat.meta["columns"] == SOUND
    assert figures.languages_per_expert(rows).data[0].meta["steps"] == SOUND


def test_sound_rows_keep_health_and_training(rows):
    kept = sound_only(rows)
    left = {row["step"] for row in kept.to_pylist() if row["analysis"] not in ("health", "training")}
    assert left == set(SOUND)
    assert {8, 64} <= {row["step"] for row in kept.to_pylist() if row["analysis"] == "health"}
    without = rows.filter(pa.compute.not_equal(rows["analysis"], "health"))
    assert sound_only(without) is without


def test_each_run_has_its_own(rows):
    fine = rows.filter(pa.compute.not_equal(rows["analysis"], "health"))
    drawing = figures.overlap_curves({"a": rows, "fine": fine})
    hollow = {t.name for t in drawing.data if t.meta.get("reasons")}
    assert hollow
    assert not any("fine" in name for name in hollow)
    (legend,) = [t for t in drawing.data if t.legendgroup == GROUP and t.x[0] is None]
    assert "step 64 of a: a copy of step 1" in legend.name


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"non_finite_tensors": 1.0}, "non-finite weights in 1 tensor"),
        ({"zero_tensors": 3.0}, "weights all zero in 3 tensors"),
        ({"duplicate_of": 1.0}, "a copy of step 1"),
        ({"duplicate_of": 4.0}, "the same weights as step 4; which of the two is right is not known"),
        ({"loss": math.nan}, "its loss is not finite"),
        ({"loss": 5.25}, "the loss jumps to 5.25 from 2.00"),
        ({"loss": 1.5}, "a loss of 1.50, lower than later ones: perhaps a later model"),
        ({"failed": 1.0}, "its files cannot be read"),
        ({}, "its place in the series is in doubt"),
    ],
)
def test_the_reason_is_said(facts, said):
    before = [health(1, sound=1.0, loss=3.0), health(2, sound=1.0, loss=2.0), health(4, sound=0.0, loss=9.0)]
    found = unsound_of(pa.concat_tables([*before, health(8, sound=0.0, **facts)]))
    assert found[8] == said
    assert list(found) == [4, 8]


def test_many_are_counted():
    steps = range(1, MOST_NAMED + 2)
    table = pa.concat_tables(
        [health(0, sound=1.0), loss(0, 2.0)]
        + [part for step in steps for part in (health(step, sound=0.0), loss(step, 2.0))]
    )
    assert figures.loss_curves(table, "loss").data[-1].name == "not sound: 4 checkpoints (point at them for the reason)"


def test_a_point_far_off_does_not_flatten_the_curve():
    parts = [part for step, value in ((1, 3.0), (2, 2.0), (4, 900.0)) for part in (health(step, sound=float(step < 4)), loss(step, value))]  # fmt: skip
    drawing = figures.loss_curves(pa.concat_tables(parts), "loss")
    low, high = drawing.layout.yaxis.range
    assert 1.9 < low < 2.0 < 3.0 < high < 3.1
    assert drawing.data[-1].name.endswith("(partly beyond the axis)")
    near = pa.concat_tables([*parts[:-1], loss(4, 3.5)])
    assert figures.loss_curves(near, "loss").layout.yaxis.range is None


def test_nothing_but_unsound_checkpoints_is_still_drawn():
    table = pa.concat_tables([part for step in (1, 2) for part in (health(step, sound=0.0, duplicate_of=3.0 - step), loss(step, 2.0))])  # fmt: skip
    drawing = figures.loss_curves(table, "loss")
    assert not any(len(t.x) for t in drawing.data if "lines" in t.mode)
    assert [list(t.y) for t in drawing.data if t.meta.get("reasons")] == [[2.0, 2.0]] * 2
    assert figures.logged_figures(table, 2) == {}
