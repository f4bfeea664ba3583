"""A report over a series that begins late says what it cannot show: up front, and in the captions of its curves."""

import re

from babelscope.analysis.findings import read_rows
from babelscope.analysis.health.verdicts import review
from babelscope.analysis.report.resolution import resolution_of_rows
from babelscope.analysis.report.sections.order import make_sections
from babelscope.analysis.report.write import write_report

from tests.analysis.report.test_report import text_of
from tests.synthetic_analyses import write_health
from tests.synthetic_run import synthetic_run

SENTENCE = "The first checkpoint has seen 16.4k tokens (step 8): what begins before 16.4k tokens cannot be seen here."
CAPTION = "What begins before 16.4k tokens cannot be seen here."
SERIES = ("validation", "probe", "experts")


def captions(page):
    found = re.findall(r"<figcaption><h3>(.*?)</h3><p class=\"how\">(.*?)</p>", page, re.S)
    return {title: CAPTION in how for title, how in found}


def test_a_late_beginning_is_said_up_front_and_beside_every_curve(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(8, 64, 512), last=512, analyses=SERIES)
    write_health(run, ("aru", "bek"), 2048, copies={})
    review(run / "results")
    page = text_of(write_report([run]).read_text(encoding="utf-8"))
    assert SENTENCE in page[: page.index("<main>")]
    assert page.count(SENTENCE) == 2, "at the head, and among what to keep in mind: health's own is not a third"
    said = captions(page)
    assert said["Experts that two languages have in common"]
    assert said["Accuracy of each layer over training"]
    assert said["Norm of the weights"]
    assert not said["Language by language"], "one checkpoint at a time"


def test_nothing_is_said_where_the_untrained_model_is_there(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(0, 8, 64), last=64)
    assert "cannot be seen here" not in text_of(write_report([run]).read_text(encoding="utf-8"))


def test_an_untrained_model_that_is_not_sound_is_none(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(0, 8, 64), last=64, analyses=SERIES)
    write_health(run, ("aru", "bek"), 2048, copies={}, broken=[0])
    assert str(resolution_of_rows(read_rows(run / "results"))).startswith("The first sound checkpoint has seen 16.4k")


def test_the_log_of_training_is_no_series(tmp_path):
    """It begins at step 1; the analyses that are drawn beside it do not."""
    run = synthetic_run(tmp_path / "run", steps=(8, 64, 512), last=512)
    rows = read_rows(run / "results")
    assert resolution_of_rows(rows).step == 8
    panels = {panel.title: panel.how_to_read for part in make_sections({"run": rows}) for panel in part.panels}
    assert CAPTION not in panels["Training and validation loss"]
    assert CAPTION in panels["Validation loss of each language"]


def test_several_runs_each_with_its_own(tmp_path):
    late, later, whole = (
        synthetic_run(tmp_path / name, steps=steps, last=512, analyses=("probe",))
        for name, steps in (("late", (8, 512)), ("later", (64, 512)), ("whole", (0, 512)))
    )
    page = text_of(write_report([late, later, whole], tmp_path / "out.html").read_text(encoding="utf-8"))
    assert f"<b>late.</b> {SENTENCE}" in page
    assert "<b>later.</b> The first checkpoint has seen 131k tokens (step 64)" in page
    assert "<b>whole.</b>" not in page
    both = make_sections({run.name: read_rows(run / "results") for run in (late, later)})
    panel = both[0].panels[0]
    assert panel.how_to_read.endswith(
        "What begins before 16.4k tokens in late or 131k tokens in later cannot be seen here."
    )
    many = {f"run{step}": read_rows(late / "results") for step in range(4)} | {"later": read_rows(later / "results")}
    assert make_sections(many)[0].panels[0].how_to_read.endswith("of a run cannot be seen here: 16.4k tokens to 131k tokens in 5 of them.")  # fmt: skip
