"""What `steer` prints: it fits a terminal with many languages, and says the right numbers."""

from babelscope.analysis.findings import Findings
from babelscope.analysis.stats import wilson_interval
from babelscope.analysis.steering.summary import on_one_line, summary

LANGUAGES = [f"l{number:02}" for number in range(16)]
COUNTS = {"l03": 30, "l07": 20, "l01": 15, "l09": 10, "l11": 8, "l12": 4, "l13": 3, "unclear": 10}


def findings(sweep=()):
    """100 texts a condition, in the languages of COUNTS; the experts are of river in l12."""
    rows = []
    for name in ("unsteered", "steered", "random", "other_concept", *(f"steered_k{k}" for k in sweep)):
        where = {"concept": "river", "language": None if name == "unsteered" else "l12"}
        for other in (*LANGUAGES, "unclear"):
            count = COUNTS.get(other, 0)
            for end, value in zip(("", "_low", "_high"), (count / 100, *wilson_interval(count, 100)), strict=True):
                rows.append({"metric": f"share_{name}{end}", "value": value, "other_language": other, **where})
        for metric in ("presence", "empty", "repetitive"):
            for end, value in zip(("", "_low", "_high"), (0.5, *wilson_interval(50, 100)), strict=True):
                rows.append({"metric": f"{metric}_{name}{end}", "value": value, **where})
        rows += [{"metric": f"perplexity_{name}", "value": 12345.6, **where}]
        rows += [{"metric": f"texts_{name}", "value": 100.0, **where}]
    settings = {"k": 50, "seeds": 100, "k_sweep": list(sweep), "languages": LANGUAGES}
    texts = [
        {"condition": "steered", "concept": "river", "k": 50, "seed": 0, "language": "l03", "text": "a\n\x1b[2Jb"},
        {"condition": "steered", "concept": "sea", "k": 50, "seed": 0, "language": "l03", "text": "of another"},
    ]
    return Findings.from_rows("steering", 4, rows, settings=settings, texts=texts, warnings=["a warning"])


def test_sixteen_languages_fit_a_terminal():
    lines = summary(findings(), "river", "l12", 5).splitlines()
    assert max(map(len, lines)) <= 100
    table = {line[:17].strip(): line[17:] for line in lines[2:]}
    # The five largest, the experts' own, the rest together.
    assert list(table)[:9] == ["", "l03", "l07", "l01", "l09", "l11", "l12", "10 others", "unclear"]
    assert "3% [1%, 8%]" in table["10 others"]
    assert "30% [22%, 40%]" in table["l03"]
    assert table["perplexity"].split() == ["12345.6"] * 4
    assert "a warning" in lines
    assert "    0 l03      a  [2Jb" in lines
    assert "of another" not in "\n".join(lines)


def test_a_sweep_takes_more_blocks():
    lines = summary(findings(sweep=(1, 5, 10, 20)), "river", "l12", 0).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("perplexity") for line in lines) == 2
    assert sum("steered, k=" in line for line in lines) >= 1


def test_joiners_within_words_stay_and_control_characters_go():
    assert on_one_line("می\u200cخواهم क्\u200dष\x1b[31m\u202e\n") == "می\u200cخواهم क्\u200dष [31m  "
