"""The report's section on translations: what its captions and tooltips say of nulls and p-values is what the rows hold."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from babelscope.analysis.findings import Findings
from babelscope.analysis.report.sections.alignment import alignment_section

from tests.synthetic_analyses import alignment

LANGUAGES = ("aa", "bb", "cc")
PERCENTILE = "the 95th percentile of the mean CKA over pairs when translations are shuffled"


@pytest.fixture(scope="module")
def rows():
    parts = ((step, alignment(np.random.default_rng(step), 0.9, LANGUAGES, 5)) for step in (0, 8))
    return pa.concat_tables([Findings.from_rows("alignment", step, list(found)).table for step, found in parts])


def panels(rows):
    return {panel.title: panel for panel in alignment_section({"run": rows}).panels}


def test_captions_say_what_the_null_is(rows):
    found = panels(rows)
    titles = ("Do translations come together?", "From layer to layer")
    assert all(PERCENTILE in found[title].how_to_read for title in titles)
    older = panels(rows.filter(pc.not_equal(rows["metric"], "cka_null_high")))
    assert all("CKA of shuffled translations" in older[title].how_to_read for title in titles)
    assert not any(PERCENTILE in panel.how_to_read for panel in older.values())
    (name,) = {trace.name for trace in found[titles[1]].figures["CKA", 8].data} - {"this step", "step 0", None}
    assert name == "translations shuffled: 95th percentile"


def test_a_pair_is_pointed_at_for_its_p_value(rows):
    figures = panels(rows)["Pair by pair"].figures
    p = {
        (row["layer"], row["language"], row["other_language"]): row["value"]
        for row in rows.to_pylist() if row["metric"] == "cka_p" and row["step"] == 8
    }  # fmt: skip
    (middle,) = figures["CKA", "middle (2)", 8].data
    assert middle.hovertext[0][1] == middle.hovertext[1][0] == f"<br>p = {p[2, 'aa', 'bb']:.3g}"
    assert middle.hovertext[0][0] == ""
    (every,) = figures["CKA", "all", 8].data
    low = sum(p[layer, "bb", "cc"] <= 0.05 for layer in range(5))
    assert low < 5
    assert every.hovertext[1][2] == f"<br>p ≤ 0.05 in {low} of 5 layers"
    (other,) = figures["cosine margin", "all", 8].data
    assert other.hovertext is None
