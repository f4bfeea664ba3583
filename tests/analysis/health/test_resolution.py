"""What a series leaves out of sight: said of its first sound checkpoint, unless the untrained model is there."""

import pytest
from babelscope.analysis.findings import Findings, read_findings, write_findings
from babelscope.analysis.health.resolution import Resolution, resolution_of
from babelscope.analysis.health.verdicts import review

B = 10**9


@pytest.mark.parametrize(
    ("points", "unsound", "expected"),
    [
        ([(100_000, 420 * B), (50_000, 210 * B)], (), Resolution(50_000, 210 * B)),
        ([(5, None), (9, None)], (), Resolution(5, None)),
        ([(0, 0), (5, 50)], (), None),
        ([(0, None), (5, None)], (), None),
        ([(1, 0), (5, 50)], (), None),
        ([(5, 50)], (), None),
        ([], (), None),
        ([(1, 10), (5, 50), (9, 90)], (1,), Resolution(5, 50, later=True)),
        ([(0, 0), (5, 50), (9, 90)], (0,), Resolution(5, 50, later=True)),
        ([(1, 10), (5, 50), (9, 90)], (5,), Resolution(1, 10)),
        ([(1, 10), (5, 50)], (5,), None),
    ],
)
def test_what_a_series_leaves_out_of_sight(points, unsound, expected):
    assert resolution_of(points, unsound) == expected


def test_the_sentence():
    assert str(Resolution(50_000, 210 * B)) == (
        "The first checkpoint has seen 210B tokens (step 50,000): what begins before 210B tokens cannot be seen here."
    )
    assert str(Resolution(1000, None, later=True)) == (
        "The first sound checkpoint is step 1,000: what begins before step 1,000 cannot be seen here."
    )


def examined(step, tokens, weights, loss):
    rows = [
        {"metric": "non_finite_tensors", "value": 0.0}, {"metric": "zero_tensors", "value": 0.0},
        {"metric": "loss", "value": loss},
    ]  # fmt: skip
    findings = Findings.from_rows("health", step, rows, arrays={"weights": weights})
    return findings.with_tokens(tokens)


def test_the_first_sound_checkpoint_says_it_among_its_warnings(tmp_path):
    import numpy as np

    def said():
        return {step: read_findings(tmp_path, "health", step).warnings for step in (20, 30, 10)[: len(seen)]}

    seen = []
    for step, tokens, loss in ((20, 2 * B, 3.0), (30, 3 * B, 2.0)):
        write_findings(examined(step, tokens, np.array([step], np.uint8), loss), tmp_path)
        seen.append(step)
    review(tmp_path)
    sentence = "The first checkpoint has seen 2B tokens (step 20): what begins before 2B tokens cannot be seen here."
    assert said() == {20: (f"in the series: {sentence}",), 30: ()}
    # An earlier checkpoint takes it over, and the untrained model ends it.
    write_findings(examined(10, B, np.array([10], np.uint8), 4.0), tmp_path)
    seen.append(10)
    review(tmp_path)
    assert said()[20] == ()
    assert said()[10][0].startswith("in the series: The first checkpoint has seen 1B tokens (step 10)")
    write_findings(examined(0, 0, np.array([1], np.uint8), 9.0), tmp_path)
    review(tmp_path)
    assert said() == {10: (), 20: (), 30: ()}
