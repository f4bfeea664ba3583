"""The report's section on steering: figures from rows, controls beside them, and texts that are escaped."""

import pytest
from babelscope.analysis.findings import Findings, write_findings
from babelscope.analysis.report_panels import panel_data
from babelscope.analysis.report_steering import sample_texts, steering_section

SHARES = {"aa": 0.5, "bb": 0.3, "unclear": 0.2}


def findings(step: int) -> Findings:
    rows = []
    for other, share in SHARES.items():
        rows.append({"metric": "share_unsteered", "value": share, "other_language": other})
        for condition in ("steered", "random", "other_concept"):
            for source in ("aa", "bb"):
                rows.append(
                    {"metric": f"share_{condition}_mean", "value": share, "language": source, "other_language": other}
                )
    for metric in ("presence", "perplexity"):
        end = "_mean" if metric == "presence" else ""
        rows.append({"metric": f"{metric}_unsteered{end}", "value": 0.1})
        for number, condition in enumerate(("steered", "random", "other_concept")):
            for place, source in enumerate(("aa", "bb")):
                value = 0.8 - 0.2 * number - 0.1 * place
                rows.append({"metric": f"{metric}_{condition}_mean", "value": value, "language": source})
    texts = [
        {"condition": condition, "concept": concept, "source_language": concept and "aa", "k": k, "seed": seed,
         "language": "aa", "text": written}
        for condition, concept, k in (("unsteered", None, 0), ("steered", "<b>", 5), ("steered", "<b>", 2), ("random", "<b>", 5))
        for seed, written in enumerate([f"{condition} {k} <script>alert(1)</script>", "مرحبا\u202e بكم", "", "x", "fifth", "sixth"])
    ]  # fmt: skip
    return Findings.from_rows("steering", step, rows, texts=texts)


@pytest.fixture
def section():
    import pyarrow as pa

    return steering_section({"run": pa.concat_tables([findings(step).table for step in (0, 8)])})


def test_languages_stand_stacked_beside_the_controls(section):
    titles = [panel.title for panel in section.panels]
    assert titles[:4] == [
        f"Languages spoken: {name}" for name in ("steered", "another concept's experts", "random units", "unsteered")
    ]
    assert section.panels[0].names == ("Source language",)
    assert list(section.panels[0].figures) == [("aa",), ("bb",)]
    assert list(section.panels[3].figures) == [()]
    for panel in section.panels[:4]:
        for figure in panel.figures.values():
            assert [trace.name for trace in figure.data] == ["aa", "bb", "unclear"]
            assert [list(trace.y) for trace in figure.data] == [[share] * 2 for share in SHARES.values()]
            assert {trace.stackgroup for trace in figure.data} == {"languages"}


def test_presence_and_fluency_have_all_controls(section):
    for panel in section.panels[4:]:
        assert list(panel.figures) == [("all",), ("aa",), ("bb",)]
        first = {trace.name: trace.y[0] for trace in panel.figures["aa",].data}
        expected = {"steered": 0.8, "another concept's experts": 0.4, "random units": 0.6, "unsteered": 0.1}
        assert first == pytest.approx(expected)
        assert panel.figures["all",].data[0].y[0] == pytest.approx(0.75)
        assert panel_data(panel)["controls"][0]["options"] == ["all", "aa", "bb"]


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
