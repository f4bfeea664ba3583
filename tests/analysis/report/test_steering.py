"""The report's section on steering: figures from rows, controls and intervals beside them, and texts that are escaped."""

import numpy as np
import pyarrow as pa
import pytest
from babelscope.analysis.figures.intervals import Cell, mean_over_concepts
from babelscope.analysis.figures.steering import LOG_FROM, Steered, condition_curves, stacked_languages, sweep_curve
from babelscope.analysis.figures.style import position
from babelscope.analysis.findings import Findings, write_findings
from babelscope.analysis.report.panels import panel_data
from babelscope.analysis.report.sections.steering import sample_texts, steering_section
from babelscope.analysis.stats import wilson_interval

from tests.synthetic_analyses import MAIN, SEEDS, SWEEP, steering
from tests.synthetic_run import SIXTEEN

LANGUAGES = ("aa", "bb", "cc")
CONCEPTS = ("sun", "rain", "wood")


def findings(step: int, sweep: tuple[int, ...] = SWEEP) -> Findings:
    rows, _ = steering(np.random.default_rng(step), 0.9, LANGUAGES, CONCEPTS, sweep)
    texts = [
        {"condition": condition, "concept": concept, "source_language": concept and "aa", "k": k, "seed": seed,
         "language": "aa", "text": written}
        for condition, concept, k in (("unsteered", None, 0), ("steered", "<b>", 5), ("steered", "<b>", 2), ("random", "<b>", 5))
        for seed, written in enumerate([f"{condition} {k} <script>alert(1)</script>", "مرحبا\u202e بكم", "", "x", "fifth", "sixth"])
    ]  # fmt: skip
    return Findings.from_rows("steering", step, rows, texts=texts)


@pytest.fixture(scope="module")
def rows():
    return pa.concat_tables([findings(step).table for step in (0, 8)])


@pytest.fixture(scope="module")
def panels(rows):
    return {panel.title: panel for panel in steering_section({"run": rows}).panels}


def value(rows, metric, step, **where):
    found = [
        row["value"] for row in rows.to_pylist()
        if row["metric"] == metric and row["step"] == step and all(row[key] == wanted for key, wanted in where.items())
    ]  # fmt: skip
    (one,) = found
    return one


def line(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_languages_stand_stacked_beside_the_controls(panels, rows):
    for name in ("steered", "another concept's experts", "random units", "unsteered"):
        panel = panels[f"Languages spoken: {name}"]
        assert panel.names == (() if name == "unsteered" else ("Source language",))
        for figure in panel.figures.values():
            assert [trace.name for trace in figure.data] == [*LANGUAGES, "unclear"]
            np.testing.assert_allclose(np.sum([trace.y for trace in figure.data], axis=0), 1)
            assert {trace.stackgroup for trace in figure.data} == {"languages"}


CONDITIONS = {"steered": "steered", "another concept's experts": "other_concept", "random units": "random"}


@pytest.mark.parametrize("title", ["Is the concept there?", "Does the model speak the experts' language?"])
def test_means_over_concepts_have_their_interval(panels, rows, title):
    panel = panels[title]
    choices = ["all", "aa (language)", "bb (language)", "rain (concept)", "sun (concept)", "wood (concept)"]
    assert panel_data(panel)["controls"] == [{"name": "Experts of", "options": choices, "steps": False}]
    presence = title.startswith("Is")
    metric = "presence" if presence else "share"
    for name, condition in CONDITIONS.items():
        trace = line(panel.figures["all",], name)
        cells = [
            Cell(concept, value(rows, f"{metric}_{condition}", 8, concept=concept, language=source,
                                other_language=None if presence else source), SEEDS)
            for concept in CONCEPTS for source in ("aa", "bb")
        ]  # fmt: skip
        expected = mean_over_concepts(cells)
        assert trace.y[1] == pytest.approx(expected.value)
        assert trace.meta["extra"][f"{metric}_low"][1] == pytest.approx(expected.low)
        assert trace.meta["extra"][f"{metric}_high"][1] == pytest.approx(expected.high)
        assert any(part.meta.get("band") and part.legendgroup == name for part in panel.figures["all",].data)
    assert "n = 3 concepts × 2 source languages × 25 texts" in panel.how_to_read
    assert "95 %, Student's t over concepts" in panel.how_to_read


def test_one_concept_has_wilsons_interval(rows):
    trace = line(condition_curves(Steered.of(rows), "presence", concept="sun"), "steered")
    count = sum(SEEDS * value(rows, "presence_steered", 8, concept="sun", language=source, other_language=None) for source in ("aa", "bb"))  # fmt: skip
    low, high = wilson_interval(round(count), 2 * SEEDS)
    assert trace.meta["extra"]["presence_low"][1] == pytest.approx(low)
    assert trace.meta["extra"]["presence_high"][1] == pytest.approx(high)


def test_the_unsteered_share_is_that_of_the_source_language(rows):
    steered = Steered.of(rows)
    shares = [value(rows, "share_unsteered", 8, other_language=source) for source in ("aa", "bb")]
    assert line(condition_curves(steered, "share"), "unsteered").y[1] == pytest.approx(np.mean(shares))
    low, high = wilson_interval(round(sum(shares) * SEEDS), SEEDS)
    found = line(condition_curves(steered, "share"), "unsteered").meta["extra"]
    assert (found["share_low"][1], found["share_high"][1]) == pytest.approx((low / 2, high / 2))
    assert line(condition_curves(steered, "share", "bb"), "unsteered").y[1] == pytest.approx(shares[1])


def test_perplexity_stands_on_a_log_scale_where_it_must(rows):
    assert condition_curves(Steered.of(rows), "perplexity").layout.yaxis.type is None
    column = pa.compute.if_else(pa.compute.equal(rows["metric"], "perplexity_steered"), pa.scalar(1e9), rows["value"])
    far = rows.set_column(rows.schema.get_field_index("value"), "value", column)
    assert LOG_FROM < 1e8
    assert condition_curves(Steered.of(far), "perplexity").layout.yaxis.type == "log"


def cells(rows, metric, step=8):
    return [
        Cell(concept, value(rows, metric, step, concept=concept, language=source, other_language=None), SEEDS)
        for concept in CONCEPTS for source in ("aa", "bb")
    ]  # fmt: skip


def test_a_sweep_is_drawn_against_k_with_the_controls_at_theirs(rows, panels):
    panel = panels["The concept against the number of experts"]
    assert panel.names == ("Experts of", "Step")
    figure = panel.figures["all", 8]
    steered = line(figure, "steered")
    numbers = sorted([*SWEEP, MAIN])
    assert steered.meta["at"] == numbers
    assert list(steered.x) == [position(k) for k in numbers]
    for place, k in enumerate(numbers):
        expected = mean_over_concepts(cells(rows, "presence_steered" if k == MAIN else f"presence_steered_k{k}"))
        assert steered.y[place] == pytest.approx(expected.value)
        assert steered.error_y.array[place] == pytest.approx(expected.high - expected.value)
        assert steered.error_y.arrayminus[place] == pytest.approx(expected.value - expected.low)
    for name, condition in CONDITIONS.items():
        if name != "steered":
            point = line(figure, name)
            expected = mean_over_concepts(cells(rows, f"presence_{condition}"))
            assert point.meta["at"] == [MAIN]
            assert point.x[0] == pytest.approx(position(MAIN), abs=0.1)
            assert list(point.y) == pytest.approx([expected.value])
            assert point.error_y.array[0] == pytest.approx(expected.high - expected.value)
    assert line(figure, "unsteered").meta["at"] == numbers
    assert len({*line(figure, "unsteered").y}) == 1
    assert list(figure.layout.xaxis.ticktext) == ["0", "10", "50", "100", "200"]
    assert "at k = 100, as in the figures over training" in panel.how_to_read
    by_language = sweep_curve(Steered.of(rows), 8, "share", source="aa")
    assert line(by_language, "steered").y[-1] > line(by_language, "unsteered").y[-1]


def test_controls_of_an_unknown_number_of_units_lie_across(rows):
    older = rows.filter(pa.compute.not_equal(rows["metric"], "k"))
    (panel,) = [
        panel for panel in steering_section({"run": older}).panels if panel.title.startswith("The concept against")
    ]
    assert "Controls lie across" in panel.how_to_read
    figure = panel.figures["all", 8]
    main = line(condition_curves(Steered.of(rows), "presence"), "random units")
    assert line(figure, "random units").meta["at"] == list(SWEEP)
    assert set(line(figure, "random units").y) == {main.y[1]}
    assert line(figure, "steered").meta["at"] == list(SWEEP)


@pytest.mark.parametrize("sweep", [(), (MAIN,)])
def test_without_several_k_there_is_no_such_figure(sweep):
    titles = [panel.title for panel in steering_section({"run": findings(8, sweep).table}).panels]
    assert "Is the concept there?" in titles
    assert not any("number" in title for title in titles)


def test_no_rows_no_section():
    assert steering_section({"run": Findings.from_rows("experts", 0, []).table}) is None


def test_texts_are_escaped_and_take_their_own_direction(tmp_path):
    assert sample_texts(tmp_path) == ""
    write_findings(findings(8), tmp_path)
    html = sample_texts(tmp_path)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "steered 5 &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count('<td dir="auto">مرحبا بكم</td>') == 3
    assert "\u202e" not in html
    assert html.count("∅") == 3
    # Four of each condition; those of a sweep's other k are not among them.
    assert html.count("<tr><td>") == 12
    assert "steered 2" not in html
    assert "Texts to read, step 8" in html
    assert sample_texts(tmp_path, [8]) == ""


def test_sixteen_languages_are_told_apart_in_areas():
    rows = [{"metric": "share_steered_mean", "value": 1 / 16, "other_language": name} for name in SIXTEEN]
    figure = stacked_languages(Findings.from_rows("steering", 1, rows).table, SIXTEEN)
    looks = {(trace.fillcolor, trace.fillpattern.shape) for trace in figure.data}
    assert len(looks) == 16
