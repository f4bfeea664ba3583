"""Figures show the numbers of the rows, recomputed here by plain loops; colours are told apart; axes can show 0."""

import itertools
import json
import math

import numpy as np
import plotly.io as pio
import pyarrow as pa
import pytest
from babelscope.analysis import figures
from babelscope.analysis.figures.data import Series, languages_of, overall, thinned
from babelscope.analysis.figures.style import position
from babelscope.analysis.findings import Findings, read_rows

from tests.synthetic_run import EVERYTHING, synthetic_run

STEPS = (0, 1, 8, 512)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return read_rows(synthetic_run(folder, steps=STEPS, last=512, analyses=EVERYTHING) / "results")


def matching(rows, **where):
    return [row for row in rows.to_pylist() if all(row[key] == value for key, value in where.items())]


def trace(figure, name):
    return next(part for part in figure.data if part.name == name)


def table_of(analysis, step, *found):
    return Findings.from_rows(analysis, step, found).with_tokens(step * 10).table


def test_overlap_curves_show_the_rows_with_their_interval(rows):
    figure = figures.overlap_curves(rows)
    line = trace(figure, "same concept")
    expected = [matching(rows, metric="overlap_mean", step=step, language=None)[0]["value"] for step in STEPS]
    assert list(line.y) == pytest.approx(expected)
    assert list(line.x) == [math.log2(step + 1) for step in STEPS]
    assert line.meta["steps"] == list(STEPS)
    assert line.meta["tokens"] == [step * 2048 for step in STEPS]
    for end in ("low", "high"):
        bounds = [matching(rows, metric=f"overlap_{end}", step=step)[0]["value"] for step in STEPS]
        assert line.meta["extra"][f"overlap_{end}"] == pytest.approx(bounds)
    band = next(part for part in figure.data if part.meta.get("band"))
    assert len(band.x) == 2 * len(STEPS)
    assert {part.name for part in figure.data if part.name} >= {"different concepts (control)", "chance k/N"}
    assert trace(figure, "chance k/N").line.dash == "dash"


def test_without_an_overall_row_the_pairs_are_averaged():
    table = table_of(
        "experts", 4,
        {"metric": "overlap_mean", "value": 0.2, "language": "a", "other_language": "b"},
        {"metric": "overlap_mean", "value": 0.6, "language": "a", "other_language": "c"},
    )  # fmt: skip
    assert overall(table, "experts", "overlap_mean").values == pytest.approx([0.4])
    assert list(trace(figures.overlap_curves(table), "same concept").y) == pytest.approx([0.4])


def test_a_language_overlap_counts_a_pair_for_both_ends(rows):
    figure = figures.language_overlap_curves(rows)
    for language in languages_of(rows):
        expected = [
            np.mean([
                row["value"] for row in matching(rows, metric="overlap_mean", step=step)
                if language in (row["language"], row["other_language"])
            ])
            for step in STEPS
        ]  # fmt: skip
        assert list(trace(figure, language).y) == pytest.approx(expected)


def test_several_runs_share_a_figure(rows):
    figure = figures.overlap_curves({"with": rows, "without": rows})
    assert trace(figure, "same concept · with").line.dash != trace(figure, "same concept · without").line.dash
    assert trace(figure, "same concept · with").meta["id"] == {"run": "with", "measure": "same concept"}


def test_loss_curves_average_nothing_but_the_languages(rows):
    figure = figures.loss_curves(rows)
    for language in languages_of(rows):
        expected = [matching(rows, metric="bits_per_byte", language=language, step=step)[0]["value"] for step in STEPS]
        assert list(trace(figure, language).y) == pytest.approx(expected)
    assert trace(figure, "mean of languages").line.width > trace(figure, languages_of(rows)[0]).line.width


def test_training_rows_of_many_steps_in_one_file(rows):
    figure = figures.training_curves(rows)
    logged = {row["step"]: row["value"] for row in matching(rows, analysis="training", metric="loss")}
    line = trace(figure, "training")
    assert sum(1 for _ in line.x) == len(line.meta["steps"]) <= len(logged)
    assert line.meta["steps"][-1] == max(logged)
    assert list(trace(figure, "validation").x) == [position(step) for step in STEPS]


@pytest.mark.parametrize("count", [10, 200, 201, 5000])
def test_thinning_keeps_every_logged_value(count):
    rng = np.random.default_rng(count)
    series = Series(list(range(1, count + 1)), [None] * count, rng.normal(size=count).tolist())
    mean, low, high = thinned(series, position)
    assert len(mean.steps) <= 200
    assert min(low.values) == min(series.values)
    assert max(high.values) == max(series.values)
    starts = [0, *mean.steps[:-1]]
    for start, stop, value in zip(starts, mean.steps, mean.values, strict=True):
        assert value == pytest.approx(np.mean(series.values[start:stop]))


def test_probe_heatmap_is_layer_by_step(rows):
    figure = figures.probe_heatmap(rows)
    (heat,) = figure.data
    assert heat.meta["rows"] == list(range(7))
    assert heat.meta["columns"] == list(STEPS)
    for layer, column in itertools.product(range(7), range(len(STEPS))):
        (row,) = matching(rows, metric="accuracy_mean", layer=layer, step=STEPS[column])
        assert heat.z[layer][column] == pytest.approx(row["value"])


def test_a_hole_in_the_results_stays_a_hole():
    first = table_of("probe", 1, *({"metric": "accuracy_mean", "value": 0.5, "layer": at} for at in (0, 1)))
    second = table_of("probe", 2, {"metric": "accuracy_mean", "value": 0.7, "layer": 1})
    nan = table_of("probe", 4, {"metric": "accuracy_mean", "value": float("nan"), "layer": 1})
    (heat,) = figures.probe_heatmap(pa.concat_tables([first, second, nan])).data
    assert [list(line) for line in heat.z] == [[0.5, None], [0.5, 0.7]]


def test_probe_curves_group_layers_by_thirds(rows):
    figure = figures.probe_curves(rows)
    values = [matching(rows, metric="accuracy_mean", layer=layer, step=512)[0]["value"] for layer in range(7)]
    assert trace(figure, "first layers (0–1)").y[-1] == pytest.approx(np.mean(values[:2]))
    assert trace(figure, "middle layers (2–4)").y[-1] == pytest.approx(np.mean(values[2:5]))
    assert trace(figure, "last layers (5–6)").y[-1] == pytest.approx(np.mean(values[5:]))
    assert trace(figure, "chance").y[-1] == 0.25


def test_probe_profile_has_seed_deviation_and_the_first_step(rows):
    figure = figures.probe_profile(rows, 512)
    line = trace(figure, "this step")
    deviations = [matching(rows, metric="accuracy_std", layer=layer, step=512)[0]["value"] for layer in range(7)]
    assert list(line.error_y.array) == pytest.approx(deviations)
    assert trace(figure, "step 0").y[3] == pytest.approx(
        matching(rows, metric="accuracy_mean", layer=3, step=0)[0]["value"]
    )


def test_matrix_fills_both_cells_of_a_symmetric_pair_and_keeps_directions_apart(rows):
    (overlap,) = figures.language_matrix(rows, 512).data
    z = np.array(overlap.z, dtype=float)
    np.testing.assert_array_equal(z, z.T)
    assert np.isnan(np.diag(z)).all()
    (transfer,) = figures.language_matrix(rows, 512, "transfer_ap_mean").data
    names = languages_of(rows)
    for row, column in itertools.permutations(range(len(names)), 2):
        (found,) = matching(
            rows, metric="transfer_ap_mean", step=512, language=names[row], other_language=names[column]
        )
        assert transfer.z[row][column] == pytest.approx(found["value"], abs=1e-5)
    assert transfer.z[0][1] != transfer.z[1][0]


def test_confusion_rows_sum_to_one_whatever_their_unit():
    counts = {("a", "a"): 30, ("a", "b"): 10, ("b", "a"): 5, ("b", "b"): 15}
    table = table_of("probe", 8, *(
        {"metric": "confusion", "value": value, "layer": layer, "language": key[0], "other_language": key[1]}
        for key, value in counts.items() for layer in (0, 1)
    ))  # fmt: skip
    for layer in (None, 1):
        (heat,) = figures.confusion(table, 8, layer).data
        assert [list(line) for line in heat.z] == [[0.75, 0.25], [0.25, 0.75]]


def test_recall_averages_seeds(rows):
    (heat,) = figures.recall(rows, 512).data
    found = [row["value"] for row in matching(rows, metric="recall", step=512, language="bek", layer=2)]
    assert len(found) == 3
    assert heat.z[1][2] == pytest.approx(np.mean(found))


def test_shared_layers_are_shares_and_empty_where_nothing_is_shared():
    table = pa.concat_tables([
        table_of("experts", 0, *({"metric": "shared_layer", "value": 0, "layer": at, "site": "q"} for at in (0, 1))),
        table_of("experts", 8, *(
            {"metric": "shared_layer", "value": value, "layer": at, "site": site}
            for at, site, value in ((0, "q", 1), (0, "k", 2), (1, "q", 3), (1, "k", 6))
        )),
    ])  # fmt: skip
    (heat,) = figures.shared_layers(table).data
    assert [list(line) for line in heat.z] == [[None, 0.25], [None, 0.75]]


def test_expert_profile_stacks_sites_to_one_beside_all_experts(rows):
    figure = figures.expert_profile(rows, 512)
    bars = [part for part in figure.data if part.type == "bar"]
    assert sum(sum(bar.y) for bar in bars) == pytest.approx(1)
    assert sum(trace(figure, "all experts").y) == pytest.approx(1)


def test_languages_per_expert_stack_to_one(rows):
    figure = figures.languages_per_expert(rows)
    assert [part.name for part in figure.data] == ["1 language", "2", "3", "4"]
    np.testing.assert_allclose(np.sum([part.y for part in figure.data], axis=0), 1)


def test_concepts_are_ordered_and_limited(rows):
    figure = figures.concept_overlap(rows, 512)
    same = trace(figure, "same concept")
    assert list(same.x) == sorted(same.x)
    many = table_of("experts", 1, *(
        {"metric": "overlap", "value": index / 100, "concept": f"c{index:03d}"} for index in range(90)
    ))  # fmt: skip
    names = trace(figures.concept_overlap(many, 1), "same concept").meta["names"]
    assert names == [f"c{index:03d}" for index in (*range(30), *range(60, 90))]


@pytest.mark.parametrize("name", [name for name in figures.__all__ if not name.startswith(("metric_", "logged_"))])
def test_a_missing_metric_says_what_there_is(name):
    table = table_of("health", 1, {"metric": "norm", "value": 1.0})
    arguments = (1,) if name in STEPWISE else ()
    with pytest.raises(ValueError, match=r"no values of metric '\w+' of analysis '\w+' to draw: there are no rows"):
        getattr(figures, name)(table, *arguments)


STEPWISE = {
    "alignment_directions",
    "alignment_profile",
    "concept_overlap",
    "confusion",
    "expert_profile",
    "language_matrix",
    "probe_profile",
    "recall",
}


def test_a_missing_metric_names_the_others_of_its_analysis(rows):
    with pytest.raises(ValueError, match=r"'nope' of analysis 'probe' to draw: it has accuracy, accuracy_20_mean"):
        figures.metric_curves(rows, "probe", "nope")


@pytest.mark.parametrize("name", [name for name in figures.__all__ if name != "logged_figures"])
def test_every_figure_survives_json_and_knows_its_data(rows, name):
    arguments = {"metric_curves": ("experts", "own_ap_mean"), "metric_heatmap": ("probe", "accuracy")}.get(name, ())
    figure = getattr(figures, name)(rows, *((512,) if name in STEPWISE else arguments))
    again = pio.from_json(figure.to_json())
    assert len(again.data) == len(figure.data) > 0
    for part in json.loads(figure.to_json())["data"]:
        assert part["meta"].get("band") or "id" in part["meta"]
        if "steps" in part["meta"]:
            assert len(part["meta"]["steps"]) == len(part["meta"]["tokens"]) == len(part["x"])


def test_tokens_of_each_language_end_at_the_last_count(rows):
    found = {row["language"]: row["value"] for row in matching(rows, metric="tokens_seen", step=512)}
    assert len(found) == 4
    for line in figures.tokens_curves(rows).data:
        assert len(line.x) <= 200
        assert line.y[-1] == found[line.name]


def test_names_are_shown_letter_for_letter():
    name = "<b>&amp;</b>"
    table = table_of("validation", 1, {"metric": "bits_per_byte", "value": 1.0, "language": name})
    line = figures.loss_curves(table).data[0]
    assert line.name == "&lt;b&gt;&amp;amp;&lt;/b&gt;"
    assert line.meta["id"] == {"language": name}


def test_both_log_axes_have_the_same_shape(rows):
    axes = figures.probe_heatmap(rows).layout.meta["axes"]
    assert axes["unit"] == 2048
    assert axes["steps"]["log"]["at"][0] == axes["tokens"]["log"]["at"][0] == 0
    without = figures.probe_heatmap(rows.set_column(1, "tokens", pa.nulls(rows.num_rows, pa.int64())))
    assert "tokens" not in without.layout.meta["axes"]


def test_a_language_keeps_its_colour(rows):
    by_figure = [figures.loss_curves(rows), figures.language_overlap_curves(rows)]
    for language in languages_of(rows):
        assert len({trace(figure, language).line.color for figure in by_figure}) == 1


def test_a_logger_gets_what_there_is(rows):
    found = figures.logged_figures(rows, 512)
    assert {"probe/layers", "experts/overlap_curves", "experts/language_pairs"} <= set(found)
    one_language = table_of("experts", 1, {"metric": "own_ap_mean", "value": 0.5})
    assert figures.logged_figures(one_language, 1) == {}
    only_pairs_elsewhere = table_of("experts", 1, {"metric": "overlap_mean", "value": 0.5})
    assert set(figures.logged_figures(only_pairs_elsewhere, 2)) == {"experts/overlap_curves", "experts/language_pairs"}
