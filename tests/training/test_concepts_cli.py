"""`babelscope concepts`: mining and checking from the command line, exit statuses, and mistakes told at once."""

import gzip
import json
import random

import pytest
from babelscope.analysis.concepts import ConceptSet
from babelscope.training.concepts_cli import concepts
from babelscope.training.errors import ConfigError

SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def sentences(start, count, seed):
    """Sentences of invented words, so that none nearly repeats another."""
    rng = random.Random(seed)
    return [
        " ".join([start, *("".join(rng.choices(SYLLABLES, k=rng.randint(2, 5))) for _ in range(8))])
        for _ in range(count)
    ]


@pytest.fixture
def corpus(tmp_path):
    lines = [*sentences("The table", 300, 1), *sentences("The dog", 90, 2)]
    (tmp_path / "en.txt").write_text("\n".join(lines), encoding="utf-8")
    with gzip.open(tmp_path / "fr.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in sentences("Le chien", 12, 3))
    return tmp_path


def mine(corpus, *extra, output="set.parquet"):
    words = ["mine", f"--corpus={corpus}/{{language}}.txt", "--languages=[en]", f"--output={corpus / output}"]
    return concepts([*words, "--concepts=[dog,house]", "--per_concept=30", "--negatives=60", *extra])


def test_mining_writes_the_set_and_the_report(corpus, capsys):
    assert mine(corpus) == 0
    found = ConceptSet.load(corpus / "set.parquet")
    assert found.concepts == ("dog",)
    assert len(found.positives("dog", "en")) == 30
    report = json.loads((corpus / "set.report.json").read_text())
    assert report["concepts"]["dog"]["en"] == {"found": 90, "kept": 30}
    assert "Wrote ConceptSet(1 concepts, 1 languages" in capsys.readouterr().out


def test_a_yaml_file_gives_the_settings(corpus):
    (corpus / "mine.yaml").write_text(
        f"corpus: {corpus}/{{language}}.txt\nlanguages: [en]\noutput: {corpus}/a.csv\nconcepts: [dog]\n"
    )
    assert concepts(["mine", f"--config={corpus}/mine.yaml", "--seed=3"]) == 0
    assert ConceptSet.load(corpus / "a.csv").concepts == ("dog",)


def test_whatever_prepare_reads_can_be_mined(corpus):
    source = ["mine", f"--corpus={corpus}/{{language}}.jsonl.gz", "--languages=[fr]", f"--output={corpus}/set"]
    assert concepts([*source, "--min_positives=2"]) == 0
    assert all("chien" in text for text in ConceptSet.load(corpus / "set").positives("dog", "fr"))


def test_check_tells_what_to_mend_and_exits_with_1(corpus, capsys):
    mine(corpus)
    assert concepts(["check", str(corpus / "set.parquet"), "--min_positives=31"]) == 1
    assert "en: fewer than 31 positives for dog (30); add sentences." in capsys.readouterr().out


def test_check_passes_what_is_sound(tmp_path, capsys):
    rows = [f"{word},en,{text},1" for word in ("dog", "tree") for text in sentences(f"The {word}", 25, word)]
    (tmp_path / "set.csv").write_text("\n".join(["concept,language,text,label", *rows]) + "\n")
    assert concepts(["check", str(tmp_path / "set.csv")]) == 0
    assert "no problems" in capsys.readouterr().out


def test_check_reads_lexicons_too(tmp_path, capsys):
    (tmp_path / "lexicon.yaml").write_text(
        "domain: d\nconcepts: {cat: {gloss: g, abstractness: concrete, forms: {en: [Cat]}}}"
    )
    assert concepts(["check", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "'Cat' has capitals" in out
    assert "no form in ar, bn" in out


def test_all_mistakes_are_told_at_once(corpus):
    with pytest.raises(ConfigError) as error:
        concepts(
            (
                f"mine --corpus={corpus}/{{language}}.txt --languages=[en,xx] --output=set.doc "
                "--concepts=[dog,unicorn] --per_concept=0"
            ).split()
        )
    text = str(error.value)
    for part in (
        "xx.txt",
        "'xx' has no word forms",
        "'unicorn' is not in the lexicon",
        "per_concept is 0",
        "set.doc must end",
    ):
        assert part in text
    assert not (corpus / "set.doc").exists()


@pytest.mark.parametrize("arguments", [[], ["mend"]])
def test_wrong_use_exits_with_2(arguments, capsys):
    assert concepts(arguments) == 2
    captured = capsys.readouterr()
    assert "mine    sentences that show a concept" in captured.out + captured.err
