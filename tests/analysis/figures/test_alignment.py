"""Figures of alignment show the numbers of the rows: means and ends of the pairs, both directions, and the null."""

import numpy as np
import pyarrow.compute as pc
import pytest
from babelscope.analysis import figures
from babelscope.analysis.figures.data import languages_of
from babelscope.analysis.findings import read_rows

from tests.synthetic_run import synthetic_run

STEPS = (0, 1, 8, 512)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return read_rows(synthetic_run(folder, steps=STEPS, last=512, analyses=["alignment"]) / "results")


def matching(rows, **where):
    return [row for row in rows.to_pylist() if all(row[key] == value for key, value in where.items())]


def trace(figure, name):
    return next(part for part in figure.data if part.name == name)


def test_alignment_curves_show_the_mean_the_range_of_the_pairs_and_the_null(rows):
    figure = figures.alignment_curves(rows, "cka")
    line = trace(figure, "all layers")
    for place, step in enumerate(STEPS):
        expected = [row["value"] for row in matching(rows, metric="cka", step=step, language=None)]
        assert line.y[place] == pytest.approx(np.mean(expected))
        pairs = {}
        for row in matching(rows, metric="cka", step=step):
            if row["language"] is not None:
                pairs.setdefault((row["language"], row["other_language"]), []).append(row["value"])
        means = [np.mean(values) for values in pairs.values()]
        assert line.meta["extra"]["cka_low"][place] == pytest.approx(min(means))
        assert line.meta["extra"]["cka_high"][place] == pytest.approx(max(means))
    null = [row["value"] for row in matching(rows, metric="cka_null_high", step=512, language=None)]
    assert trace(figure, "translations shuffled: 95th percentile").y[-1] == pytest.approx(np.mean(null))
    older = rows.filter(pc.not_equal(rows["metric"], "cka_null_high"))
    null = [row["value"] for row in matching(rows, metric="cka_null", step=512, language=None)]
    assert trace(figures.alignment_curves(older, "cka"), "translations shuffled").y[-1] == pytest.approx(np.mean(null))
    assert set(trace(figures.alignment_curves(rows, "cosine_margin"), "no margin").y) == {0.0}
    assert set(trace(figures.alignment_curves(rows), "chance").y) == {0.01}


@pytest.mark.parametrize("end", ["language", "other_language", ""])
def test_retrieval_of_a_language_goes_from_it_or_to_it(rows, end):
    figure = figures.alignment_by_language(rows, end=end)
    found = matching(rows, metric="retrieval_accuracy", step=512)
    for language in languages_of(rows):
        sides = [end] if end else ["language", "other_language"]
        expected = [row["value"] for row in found for side in sides if row[side] == language]
        assert trace(figure, language).y[-1] == pytest.approx(np.mean(expected))


def test_alignment_profiles_have_both_directions_and_the_ends_of_the_pairs(rows):
    figure = figures.alignment_directions(rows, 512, "bek")
    for name, side in (("from bek", "language"), ("to bek", "other_language")):
        expected = [
            row["value"] for row in matching(rows, metric="retrieval_accuracy", step=512, layer=3) if row[side] == "bek"
        ]
        assert trace(figure, name).y[3] == pytest.approx(np.mean(expected))
    line = trace(figures.alignment_profile(rows, 512, "cosine_margin"), "this step")
    margins = [row["value"] for row in matching(rows, metric="cosine_margin", step=512, layer=3) if row["language"]]
    assert line.meta["extra"]["highest_pair"][3] == pytest.approx(max(margins))
    assert line.meta["extra"]["lowest_pair"][3] == pytest.approx(min(margins))


def test_an_alignment_profile_has_one_null(rows):
    figure = figures.alignment_profile(rows, 512, "cka")
    (null,) = matching(rows, metric="cka_null_high", step=512, layer=3, language=None)
    assert trace(figure, "translations shuffled: 95th percentile").y[3] == pytest.approx(null["value"])
    assert sum(bool(part.meta.get("band")) for part in figure.data) == 1
    assert set(trace(figures.alignment_profile(rows, 512, "cosine_margin"), "no margin").y) == {0.0}


def test_a_matrix_says_its_words_of_both_orders(rows):
    said = {("aru", "bek"): "<br>p = 0.01"}
    (heat,) = figures.language_matrix(rows, 512, "cka", analysis="alignment", words=said).data
    assert [list(line) for line in heat.hovertext][:2] == [["", "<br>p = 0.01", "", ""], ["<br>p = 0.01", "", "", ""]]
    assert heat.hovertemplate.endswith("%{z:.3f}%{hovertext}<extra></extra>")
    (plain,) = figures.language_matrix(rows, 512, "cka", analysis="alignment").data
    assert plain.hovertext is None
