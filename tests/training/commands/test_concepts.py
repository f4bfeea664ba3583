"""`babelscope concepts`: mining, checking and converting, going on after a kill, and mistakes told at once."""

import gzip
import json
import multiprocessing
import os
import random
import signal

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard
from babelscope.analysis.concepts.concept_set import ConceptSet
from babelscope.analysis.mining.state import MiningState
from babelscope.analysis.mining.tally import Miner
from babelscope.training.commands.concepts import run as concepts
from babelscope.training.errors import ConfigError

SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def sentences(start, count, seed):
    """Sentences of invented words, so that none nearly repeats another."""
    rng = random.Random(seed)
    return [
        " ".join([start, *("".join(rng.choices(SYLLABLES, k=rng.randint(2, 5))) for _ in range(8))])
        for _ in range(count)
    ]


WORDS = """
domain: test
concepts:
  dog: {gloss: the animal, abstractness: concrete, forms: {en: [dog], fr: [chien]}}
  house: {gloss: the building, abstractness: concrete, forms: {en: [house]}}
  house%1:06:00::: {gloss: the building, abstractness: concrete, forms: {en: [table]}}
"""


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "words.yaml").write_text(WORDS)
    lines = [*sentences("The table", 300, 1), *sentences("The dog", 90, 2)]
    (tmp_path / "en.txt").write_text("\n".join(lines), encoding="utf-8")
    with gzip.open(tmp_path / "fr.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in sentences("Le chien", 12, 3))
    return tmp_path


def source(path, *languages, **more):
    return "--sources=" + json.dumps([{"path": str(path), "languages": list(languages), **more}])


def mine(corpus, *extra, output="set.parquet"):
    words = ["mine", source(corpus / "{language}.txt", "en"), f"--output={corpus / output}"]
    words += ["--concepts=[dog,house]", f"--lexicon={corpus}/words.yaml", "--per_concept=30", "--negatives=60"]
    return concepts([*words, *extra])


def test_nothing_is_replaced_unless_that_was_said(corpus, capsys):
    theirs = corpus / "set.csv"
    theirs.write_text("not ours")
    with pytest.raises(ConfigError, match=r"set\.csv is there already; choose another name, or say overwrite: true"):
        mine(corpus, output="set.csv")
    assert theirs.read_text() == "not ours"
    assert mine(corpus, "--overwrite=true", output="set.csv") == 0
    with pytest.raises(ConfigError, match="is there already"):
        concepts(["convert", str(theirs), str(theirs)])
    assert len(ConceptSet.load(theirs).positives("dog", "en")) == 30


def test_mining_writes_the_set_and_the_report(corpus, capsys):
    assert mine(corpus) == 0
    found = ConceptSet.load(corpus / "set.parquet")
    assert found.concepts == ("dog",)
    assert len(found.positives("dog", "en")) == 30
    report = json.loads((corpus / "set.report.json").read_text())
    assert report["concepts"]["dog"]["en"] == {"found": 90, "kept": 30}
    out = capsys.readouterr().out
    assert "Wrote ConceptSet(1 concepts, 1 languages" in out
    assert "1 of 2 below the wanted 30, 1 of them without any" in out
    assert sorted(path.name for path in corpus.iterdir() if path.name.startswith("set")) == [
        "set.parquet",
        "set.report.json",
    ]


def test_a_yaml_file_gives_the_settings(corpus):
    (corpus / "mine.yaml").write_text(
        f"sources: [{{path: '{corpus}/{{language}}.txt', languages: [en]}}]\noutput: {corpus}/a.csv\nconcepts: [dog]\n"
    )
    assert concepts(["mine", f"--config={corpus}/mine.yaml", "--seed=3"]) == 0
    assert ConceptSet.load(corpus / "a.csv").concepts == ("dog",)


@pytest.mark.parametrize("form", ["txt", "txt.gz", "jsonl.zst", "parquet"])
def test_whatever_prepare_reads_is_mined_alike(corpus, form):
    lines = (corpus / "en.txt").read_text(encoding="utf-8").split("\n")
    place = corpus / "other"
    place.mkdir()
    records = "".join(json.dumps({"text": line}) + "\n" for line in lines)
    if form == "txt":
        (place / "en.txt").write_bytes((corpus / "en.txt").read_bytes())
    elif form == "txt.gz":
        (place / "en.txt.gz").write_bytes(gzip.compress((corpus / "en.txt").read_bytes()))
    elif form == "jsonl.zst":
        (place / "en.jsonl.zst").write_bytes(zstandard.compress(records.encode()))
    elif form == "parquet":
        pa.parquet.write_table(pa.table({"text": lines}), place / "en.parquet")
    path = place / f"{{language}}.{form}"
    assert mine(corpus, source(path, "en"), output="set.csv") == 0
    mine(corpus, output="plain.csv")
    assert (corpus / "set.csv").read_bytes() == (corpus / "plain.csv").read_bytes()


@pytest.mark.parametrize("streaming", [True, False])
def test_a_dataset_of_the_hub_is_mined_alike(corpus, monkeypatch, streaming):
    lines = (corpus / "en.txt").read_text(encoding="utf-8").split("\n")

    def load_dataset(path, name, split, revision, streaming):
        assert (path, name) == ("someone/texts", "en")
        table = datasets.Dataset.from_dict({"text": lines, "id": list(range(len(lines)))})
        return table.to_iterable_dataset() if streaming else table

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert mine(corpus, source("someone/texts", "en", name="{language}", streaming=streaming), output="set.csv") == 0
    mine(corpus, output="plain.csv")
    assert (corpus / "set.csv").read_bytes() == (corpus / "plain.csv").read_bytes()


def settings(corpus, output, *extra):
    return [
        "mine", source(corpus / "{language}.txt", "en", "fr"), f"--output={corpus / output}", "--concepts=[dog]",
        f"--lexicon={corpus}/words.yaml",
        "--min_positives=2", "--per_concept=30", "--negatives=60", *extra,
    ]  # fmt: skip


@pytest.fixture
def two_languages(corpus, monkeypatch):
    (corpus / "fr.txt").write_text("\n".join(sentences("Le chien", 90, 3)), encoding="utf-8")
    monkeypatch.setattr("babelscope.training.data.sources.UNIT_BYTES", 1000)
    monkeypatch.setattr("babelscope.analysis.mining.parts.PART_UNITS", 2)
    return corpus


def killed(words, saves, half_written=False):
    """Mine in a process that is killed at its so-manieth note of how far it is."""
    count, save = [0], MiningState.save

    def save_and_die(self, *about):
        count[0] += 1
        if count[0] == saves:
            if half_written:
                (self._folder / ".en.json.1.tmp").write_text("{")
            else:
                save(self, *about)
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, *about)

    def run():
        MiningState.save = save_and_die
        concepts(words)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(("saves", "half_written"), [(1, True), (4, False), (9, False), (14, True)])
def test_after_a_kill_the_same_call_goes_on_to_the_same_bytes(two_languages, capsys, saves, half_written):
    concepts(settings(two_languages, "whole.csv"))
    assert killed(settings(two_languages, "cut.csv"), saves, half_written) == -signal.SIGKILL
    assert not (two_languages / "cut.csv").exists()
    assert (two_languages / "cut.csv.unfinished" / "settings.json").exists()
    read = []
    with pytest.MonkeyPatch.context() as patch:
        add = Miner.add
        patch.setattr(Miner, "add", lambda self, tally, texts: (read.append(len(texts)), add(self, tally, texts))[1])
        assert concepts(settings(two_languages, "cut.csv")) == 0
    for end in ("csv", "report.json"):
        assert (two_languages / f"cut.{end}").read_bytes() == (two_languages / f"whole.{end}").read_bytes()
    assert not (two_languages / "cut.csv.unfinished").exists()
    total = 390 + 90
    assert sum(read) <= total - 8 * (saves - half_written)
    assert sum(read) > 0


def test_too_few_positives_can_be_asked_for_again_without_reading_again(two_languages, monkeypatch):
    with pytest.raises(ValueError, match=r"no concept has 500 sentences .* lower min_positives"):
        concepts(settings(two_languages, "set.csv", "--min_positives=500"))
    monkeypatch.setattr(Miner, "add", None)
    assert concepts(settings(two_languages, "set.csv", "--min_positives=3")) == 0


def test_an_unfinished_run_with_other_settings_is_named_and_refused(two_languages):
    killed(settings(two_languages, "cut.csv"), 3)
    with pytest.raises(
        ValueError, match=r"cut\.csv\.unfinished holds an unfinished run with another max_chars, seed; .* restart"
    ):
        concepts(settings(two_languages, "cut.csv", "--seed=1", "--max_chars=190"))
    with (two_languages / "en.txt").open("a", encoding="utf-8") as file:
        file.write("\nThe dog came.")
    with pytest.raises(ValueError, match="unfinished run with another sources;"):
        concepts(settings(two_languages, "cut.csv"))
    assert concepts(settings(two_languages, "cut.csv", "--seed=1", "--restart=true")) == 0
    concepts(settings(two_languages, "whole.csv", "--seed=1"))
    assert (two_languages / "cut.csv").read_bytes() == (two_languages / "whole.csv").read_bytes()


def test_sense_keys_name_concepts(corpus, capsys):
    words = ['--concepts=["house%1:06:00::"]', f"--lexicon={corpus}/words.yaml"]
    for output in ("keys.parquet", "keys.csv", "keys.jsonl", "keys"):
        assert mine(corpus, *words, output=output) == 0
        found = ConceptSet.load(corpus / output)
        assert found.concepts == ("house%1:06:00::",)
        assert len(found.positives("house%1:06:00::", "en")) == 30
        assert concepts(["check", str(corpus / output), f"--lexicon={corpus}/words.yaml"]) in (0, 1)
        assert "hold no form" not in capsys.readouterr().out
    report = json.loads((corpus / "keys.report.json").read_text())
    assert report["concepts"]["house%1:06:00::"]["en"]["kept"] == 30


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.parquet", None), ("a.csv", None), ("a.jsonl", None), ("a", None), ("b", "datasets"), ("c.d", "selfcond")],
)
def test_a_set_is_converted_to_every_form_and_back(corpus, name, form, capsys):
    rows = ["concept,language,text,label", "house%1:06:00::,en,The house stood.,1", "dog,en,A dog barked.,1"]
    (corpus / "set.csv").write_text("\n".join([*rows, "dog,en,It rained.,0", "house%1:06:00::,en,It rained.,0"]))
    words = ["convert", str(corpus / "set.csv"), str(corpus / name)]
    assert concepts([*words, *([f"--form={form}"] if form else [])]) == 0
    assert f"Wrote ConceptSet(2 concepts, 1 languages, 4 sentences) to {corpus / name}" in capsys.readouterr().out
    assert ConceptSet.load(corpus / name) == ConceptSet.load(corpus / "set.csv")
    with pytest.raises(ConfigError, match=r"is there already|exists already"):
        concepts([*words, *([f"--form={form}"] if form else [])])


def test_mining_writes_a_datasets_folder(corpus):
    assert mine(corpus, "--form=datasets", output="table") == 0
    assert ConceptSet.load(corpus / "table").concepts == ("dog",)
    assert (corpus / "table.report.json").exists()


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
            [
                "mine",
                source(corpus / "{language}.txt", "en", "xx", max_tokens=9),
                "--output=set.doc",
                "--concepts=[dog,unicorn]",
                "--per_concept=0",
                "--num_proc=0",
            ]
        )
    text = str(error.value)
    for part in (
        "xx.txt",
        "'xx' has no word forms",
        "'unicorn' is not in the lexicon",
        "per_concept=0: give at least 1",
        "num_proc is 0",
        "en has max_tokens, but mining counts none; give max_documents",
        "set.doc must end",
    ):
        assert part in text
    assert not (corpus / "set.doc").exists()


@pytest.mark.parametrize("arguments", [[], ["mend"]])
def test_wrong_use_exits_with_2(arguments, capsys):
    assert concepts(arguments) == 2
    captured = capsys.readouterr()
    assert "mine    sentences that show a concept" in captured.out + captured.err
