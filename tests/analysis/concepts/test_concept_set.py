"""Concept sets: what counts as a negative, what the files hold, and what a mistake in one of them is told."""

import json
import random

import pyarrow as pa
import pyarrow.parquet
import pytest
from babelscope.analysis.concepts.concept_set import ConceptSet, Row

ROWS = [
    Row("water", "en", "The river is cold.", 1, "hand"),
    Row("water", "en", "Rain fell all night.", 1, None),
    Row("water", "en", "Dust everywhere.", 0, None),
    Row("joy", "en", 'They laughed, "at last".', 1, None),
    Row("joy", "ar", "ضحكوا كثيرا", 1, None),
    Row(None, "en", "The train left.", 0, "news"),
    Row(None, "en", 'They laughed, "at last".', 0, None),
    Row("house%1:06:00::", "zh", "他们的房子很大。", 1, None),
    Row("joy", "zh", "大家很高兴。", 1, None),
]


@pytest.fixture
def concepts() -> ConceptSet:
    return ConceptSet(ROWS)


def test_names_are_sorted(concepts):
    assert concepts.concepts == ("house%1:06:00::", "joy", "water")
    assert concepts.languages == ("ar", "en", "zh")


def test_own_and_shared_negatives_are_joined(concepts):
    assert set(concepts.negatives("water", "en")) == {
        "Dust everywhere.",
        "The train left.",
        'They laughed, "at last".',
    }


def test_own_negatives_stay_with_their_concept_and_positives_never_are_negatives(concepts):
    assert concepts.negatives("joy", "en") == ["The train left."]


def test_without_negatives_the_other_concepts_positives_serve(concepts):
    assert concepts.negatives("joy", "zh") == ["他们的房子很大。"]
    assert concepts.negatives("house%1:06:00::", "zh") == ["大家很高兴。"]


def test_a_language_without_positives_gives_an_empty_list(concepts):
    assert concepts.positives("water", "ar") == []


def test_duplicates_and_compositions_collapse():
    both = ConceptSet([Row("c", "es", "corazo\u0301n ", 1), Row("c", "es", "corazón", 1), Row("c", "es", "corazón", 1)])
    assert both.positives("c", "es") == ["corazón"]


def test_contradicting_labels_count_as_positive_and_are_reported(caplog):
    both = ConceptSet([Row("c", "es", "sí", 1), Row("c", "es", "sí", 0), Row(None, "es", "no", 0)])
    assert (both.positives("c", "es"), both.negatives("c", "es")) == (["sí"], ["no"])
    assert "1 sentences are labelled 1 and 0" in caplog.text


@pytest.mark.parametrize("seed", range(5))
def test_row_order_changes_nothing(concepts, seed):
    rows = [*ROWS, Row("water", "en", "The river is cold.", 1, "another source")]
    random.Random(seed).shuffle(rows)
    shuffled = ConceptSet(rows)
    assert shuffled.to_table().equals(ConceptSet([*rows[::-1]]).to_table())
    assert shuffled.fingerprint() == concepts.fingerprint()
    assert shuffled == concepts
    assert hash(shuffled) == hash(concepts)


@pytest.mark.parametrize(
    "changed",
    [
        Row("water", "en", "The train came.", 0),
        Row("joy", "en", "The train left.", 0),
        Row(None, "ar", "The train left.", 0),
        Row("joy", "en", "The train left.", 1),
    ],
)
def test_any_change_of_content_changes_the_fingerprint(concepts, changed):
    assert ConceptSet([*ROWS, changed]).fingerprint() != concepts.fingerprint()


def test_sentences_do_not_come_in_alphabetical_order():
    texts = [f"{number:03d}" for number in range(64)]
    drawn = ConceptSet([Row("c", "en", text, 1) for text in texts]).positives("c", "en")
    assert sorted(drawn) == texts
    assert 20 < sum(text < "032" for text in drawn[:32]) / 32 * 64 < 44


@pytest.mark.parametrize("name", ["set.parquet", "set.csv", "set.jsonl"])
def test_tables_come_back_as_written(concepts, tmp_path, name):
    concepts.save(tmp_path / "new" / name)
    again = ConceptSet.load(tmp_path / "new" / name)
    assert again.to_table().equals(concepts.to_table())
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_datasets_folder_is_read(concepts, tmp_path):
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset(concepts.to_table())
    table.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"a": table.select(range(4)), "b": table.select(range(4, len(table)))}).save_to_disk(
        str(tmp_path / "split")
    )
    assert ConceptSet.load(tmp_path / "one") == concepts == ConceptSet.load(tmp_path / "split")


def test_selfcond_folders_keep_positives_and_negatives(concepts, tmp_path):
    concepts.save(tmp_path / "set")
    again = ConceptSet.load(tmp_path / "set")
    for concept in concepts.concepts:
        for language in concepts.languages:
            assert again.positives(concept, language) == concepts.positives(concept, language)
            if concepts.positives(concept, language):
                assert again.negatives(concept, language) == concepts.negatives(concept, language)
    assert (tmp_path / "set" / "en" / "concept_list.csv").read_text().splitlines()[0] == "group,concept"


def test_sense_keys_have_the_file_names_of_selfcond(tmp_path):
    keys = ["airplane%1:06:00::", "km/h%1:23:00::", "sharp%5:00:00:perceptive:00", ".hidden"]
    written = ConceptSet([Row(key, "en", f"Sentence {number}.", 1) for number, key in enumerate(keys)])
    written.save(tmp_path / "set")
    assert {path.name for path in (tmp_path / "set" / "en" / "sense").iterdir()} == {
        "airplane-1_06_00__.json", "km_h-1_23_00__.json", "sharp-5_00_00_perceptive_00.json", "_hidden.json",
    }  # fmt: skip
    assert "sense,airplane-1_06_00__" in (tmp_path / "set" / "en" / "concept_list.csv").read_text()
    assert ConceptSet.load(tmp_path / "set").concepts == tuple(sorted(keys))


def selfcond(folder, content, listing="group,concept\nsense,airplane-1_06_00__\n"):
    (folder / "sense").mkdir(parents=True)
    (folder / "concept_list.csv").write_text(listing)
    (folder / "sense" / "airplane-1_06_00__.json").write_text(json.dumps(content))


def test_public_selfcond_files_are_read_as_english(tmp_path, caplog):
    sentences = {"positive": ["It flew."], "negative": ["It sank.", "It flew."]}
    selfcond(
        tmp_path / "a",
        {"concept": "airplane-1_06_00__", "group": "sense", "source": "onesec", "sentences": sentences},
    )
    loaded = ConceptSet.load(tmp_path / "a")
    assert loaded.positives("airplane-1_06_00__", "en") == ["It flew."]
    assert loaded.negatives("airplane-1_06_00__", "en") == ["It sank."]
    assert "read as English" in caplog.text
    assert ConceptSet.load(tmp_path / "a", language="ca").languages == ("ca",)


def test_that_concepts_are_read_as_english_is_said_once(tmp_path, caplog):
    content = {"sentences": {"positive": ["It flew."], "negative": ["It sank."]}}
    selfcond(tmp_path, content, "group,concept\nsense,airplane-1_06_00__\nsense,bird-1_05_00__\n")
    (tmp_path / "sense" / "bird-1_05_00__.json").write_text(json.dumps(content))
    ConceptSet.load(tmp_path)
    assert caplog.text.count("read as English") == 1
    assert "no language is given for 2 of its concepts" in caplog.text


def test_subset_keeps_the_negatives_of_what_stays(concepts):
    small = concepts.subset(concepts=["joy"], languages=["zh", "en"])
    assert (small.concepts, small.languages) == (("joy",), ("en", "zh"))
    for language in small.languages:
        assert small.negatives("joy", language) == concepts.negatives("joy", language)
    assert concepts.subset() == concepts


def test_a_concept_named_like_a_missing_value_survives_csv(tmp_path):
    odd = ConceptSet([Row("null", "en", "NA", 1), Row("nan", "en", 'two\nlines, and "quotes"', 1)])
    odd.save(tmp_path / "odd.csv")
    assert ConceptSet.load(tmp_path / "odd.csv") == odd


def test_a_folder_of_tables_is_one_set(concepts, tmp_path):
    for language, suffix in (("ar", "csv"), ("en", "jsonl"), ("zh", "parquet")):
        concepts.subset(languages=[language]).save(tmp_path / "sets" / f"{language}.{suffix}")
    (tmp_path / "sets" / "README.md").write_text("What this is.")
    assert ConceptSet.load(tmp_path / "sets").to_table().equals(concepts.to_table())


def test_in_a_folder_of_tables_an_error_names_the_file(tmp_path):
    write_csv(tmp_path / "en.csv", "water,en,The sea.,1", ",en,A chair.,0")
    write_csv(tmp_path / "fr.csv", "water,fr,La mer.,1", "water,,Une chaise.,1")
    with pytest.raises(ValueError, match=r"fr\.csv, row 2, column 'language': it is empty"):
        ConceptSet.load(tmp_path)


def write_csv(path, *lines):
    path.write_text("\n".join(["concept,language,text,label", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "water,en,Rain.,2",
            r"bad\.csv, row 2, column 'label': '2' is neither 1 \(shows the concept\) nor 0",
        ),
        ("water,,Rain.,1", r"row 2, column 'language': it is empty; fill it in or leave the row out"),
        (",en,Rain.,1", r"row 2, column 'concept': it is empty with label 1; name the concept"),
    ],
)
def test_errors_name_file_row_column_value_and_remedy(tmp_path, line, message):
    path = write_csv(tmp_path / "bad.csv", "water,en,The sea.,1", line)
    with pytest.raises(ValueError, match=message):
        ConceptSet.load(path)


def test_a_missing_column_is_named(tmp_path):
    table = pa.table({"concept": ["c"], "lang": ["en"], "text": ["t"], "label": [1]})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(
        ValueError, match=r"t\.parquet, row 1: column 'language' is missing; it has concept, lang, text, label"
    ):
        ConceptSet.load(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere.csv",
            r"does not exist; give a .jsonl, .csv, .tsv \(also .gz, .zst, .bz2, .xz\) or .parquet file or a folder",
        ),
        ("notes.txt", "has the suffix '.txt'"),
        ("empty", "holds neither concept_list.csv"),
        ("broken.parquet", r"broken.parquet cannot be read \(Parquet file size is 1 bytes"),
        ("broken.jsonl", "broken.jsonl, line 1: not JSON"),
        ("none.jsonl", "there are no sentences in it"),
    ],
)
def test_unreadable_paths_say_what_can_be_read(tmp_path, name, message):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_text("x")
    (tmp_path / "broken.jsonl").write_text("{")
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(ValueError, match=message):
        ConceptSet.load(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "listing", "message"),
    [
        ({"sentences": {}}, "group,concept\nsense,airplane-1_06_00__\n", "not an ml-selfcond concept"),
        (
            {"sentences": {"positive": [7], "negative": []}},
            "group,concept\nsense,airplane-1_06_00__\n",
            "column 'text': 7 is not text; write it as a string",
        ),
        ({}, "group,concept\nsense,boat\n", "boat.json does not exist, but concept_list.csv names it"),
        ({}, "concept\nboat\n", "line 2: it needs the columns 'group' and 'concept'"),
    ],
)
def test_broken_selfcond_folders_are_explained(tmp_path, content, listing, message):
    selfcond(tmp_path / "a", content, listing)
    with pytest.raises(ValueError, match=message):
        ConceptSet.load(tmp_path / "a")


def test_unknown_names_are_answered_with_the_known_ones(concepts):
    with pytest.raises(ValueError, match=r"language 'de' is not in this concept set; it has ar, en, zh\."):
        concepts.positives("joy", "de")
    with pytest.raises(ValueError, match="concept 'fear' is not in this concept set"):
        concepts.subset(concepts=["fear"])


def test_what_cannot_be_written_is_refused(concepts, tmp_path):
    with pytest.raises(ValueError, match=r"suffix '\.xlsx'\); use \.parquet, \.csv, \.jsonl or a folder name"):
        concepts.save(tmp_path / "set.xlsx")
    with pytest.raises(ValueError, match="exists already"):
        concepts.save(tmp_path)
    with pytest.raises(ValueError, match=r"'9/11' and '9_11' would both be the file '9_11'; rename one"):
        ConceptSet([Row(name, "en", "That day.", 1) for name in ("9/11", "9_11")]).save(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_rows_without_a_sentence_or_label_are_left_out_and_counted(tmp_path, caplog):
    rows = [
        '{"concept": "water", "language": "en", "text": "The sea.", "label": 1}',
        '{"concept": "water", "language": "en", "text": NaN, "label": 1}',
        '{"concept": "water", "language": "en", "text": "", "label": 0}',
        '{"concept": "water", "language": "en", "text": "Rain.", "label": NaN}',
        '{"concept": NaN, "language": "en", "text": "A chair.", "label": 0}',
    ]
    (tmp_path / "set.jsonl").write_text("\n".join(rows))
    loaded = ConceptSet.load(tmp_path / "set.jsonl")
    assert loaded.positives("water", "en") == ["The sea."]
    assert loaded.shared_negatives("en") == ["A chair."]
    assert "set.jsonl: 3 rows have no sentence or no label (NaN or empty) and are left out" in caplog.text


def test_a_line_that_is_no_object_is_named(tmp_path):
    (tmp_path / "set.jsonl").write_text('{"concept": "c", "language": "en", "text": "t", "label": 1}\n\n[1, 2]\n')
    with pytest.raises(ValueError, match=r"set\.jsonl, line 3: '\[1, 2\]' is no JSON object; write one object a line"):
        ConceptSet.load(tmp_path / "set.jsonl")


GOOD = {"sentences": {"positive": ["A plane."], "negative": ["A chair."]}}


def test_a_folder_of_selfcond_folders_is_languages_only_if_it_looks_so(tmp_path):
    selfcond(tmp_path / "set" / "en", GOOD)
    selfcond(tmp_path / "set" / "pt-br", GOOD)
    assert ConceptSet.load(tmp_path / "set").languages == ("en", "pt-br")
    selfcond(tmp_path / "set" / "homographs", GOOD)
    with pytest.raises(ValueError, match="were taken for languages, but homographs is no language code; name them"):
        ConceptSet.load(tmp_path / "set")
    file = tmp_path / "set" / "homographs" / "sense" / "airplane-1_06_00__.json"
    file.write_text(json.dumps(GOOD | {"language": "homographs"}))
    assert "homographs" in ConceptSet.load(tmp_path / "set").languages
    (tmp_path / "set" / "notes").mkdir()
    with pytest.raises(ValueError, match=r"3 ml-selfcond folders \(en, homographs, pt-br\).* but notes is none"):
        ConceptSet.load(tmp_path / "set")
