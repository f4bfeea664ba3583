"""A mistake prints one error with field and value, last, and no usage text; in every command."""

import pytest
import yaml
from babelscope.training.commands.cli import COMMANDS, main
from babelscope.training.yaml_files import load_with_languages

WORDS = {"concepts": ["concepts", "mine"], "expertise": ["expertise"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_setting_is_one_error_without_usage(command, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JSONARGPARSE_DEBUG", raising=False)
        try:
            status = main([*WORDS.get(command, [command]), "--no_such_setting", "7"])
        except SystemExit as stop:
            status = stop.code
    error = capsys.readouterr().err
    assert status == 2
    assert "usage:" not in error
    assert len(error.strip().splitlines()) <= 4
    assert "--help" in error.strip().splitlines()[-1] or "no_such_setting" in error


def test_a_wrong_value_names_field_and_value(capsys, tmp_path):
    (tmp_path / "a.yaml").write_text("output: x\nblock_length: many\n")
    assert main(["prepare", "--config", str(tmp_path / "a.yaml")]) == 2
    error = capsys.readouterr().err
    assert "block_length" in error
    assert "many" in error
    assert "usage:" not in error
    assert error.endswith("(babelscope prepare --help lists every setting)\n")


@pytest.mark.parametrize("word", ["no", "No", "on", "off", "yes", "y", "123"])
def test_names_of_languages_are_taken_back(word):
    text = f"sources:\n- {{path: a.txt, languages: [en, {word}]}}\n- path: b\n  language: {word}\nsource_languages: [{word}]"
    found = load_with_languages(text)
    assert found["sources"][0]["languages"] == ["en", word]
    assert found["sources"][1]["language"] == word
    assert found["source_languages"] == [word]


def test_other_values_stay_what_yaml_says():
    text = "toy: {languages: 4, mix: 0.5}\noverwrite: no\nlanguages: ['no', \"on\"]\ntext: {no: a.txt, en: b.txt}\nlanguage: null\n"
    expected = yaml.safe_load(text.replace("{no:", '{"no":'))
    assert load_with_languages(text) == expected
    assert load_with_languages(text)["overwrite"] is False


def test_norwegian_is_prepared_from_yaml(tmp_path, capsys):
    (tmp_path / "no.txt").write_text("en setning om havet og himmelen\n" * 50)
    source = f"sources:\n- path: {tmp_path}/{{language}}.txt\n  languages: [no]\n"
    rest = f"output: {tmp_path}/store\nblock_length: 8\ntokenizer: {{algorithm: bpe, vocab_size: 310}}\nvalidation_fraction: 0\n"
    (tmp_path / "a.yaml").write_text(source + rest)
    assert main(["prepare", "--config", str(tmp_path / "a.yaml")]) == 0
    assert (tmp_path / "store" / "blocks" / "no").is_dir()
    assert main(["prepare", "--output", "x", "--sources", "[{path: a, split: no, language: en}]"]) == 2
    assert "put text in quotes" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status", "said"), [(28, 1, "no space left on the device"), (13, 1, "permission")])
def test_a_full_disk_in_the_middle_of_work_is_one_line(tmp_path, monkeypatch, capsys, number, status, said):
    from babelscope.training.data import encoding

    def fails(*_):
        raise OSError(number, "as the system says", str(tmp_path / "store" / "part"))

    monkeypatch.setattr(encoding.pa, "OSFile", fails)
    (tmp_path / "en.txt").write_text("a line of words\n" * 50)
    words = [
        f"--output={tmp_path}/store",
        "--tokenizer.algorithm=bpe",
        "--tokenizer.vocab_size=310",
        "--block_length=8",
    ]
    assert main(["prepare", f"--sources=[{{path: {tmp_path}/en.txt, language: en}}]", *words]) == status
    error = capsys.readouterr().err
    assert said in error
    assert str(tmp_path / "store" / "part") in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: [1\n b: {", "a.yaml is no YAML: while parsing"),
        ("a: 1".encode("utf-16"), "a.yaml is UTF-16; convert with"),
    ],
)
def test_a_configuration_that_is_no_yaml_is_named(tmp_path, capsys, data, message):
    (tmp_path / "a.yaml").write_bytes(data)
    assert main(["prepare", "--config", str(tmp_path / "a.yaml")]) == 2
    assert message in capsys.readouterr().err
    assert main(["prepare", "--output=x", "--sources=[{path: a"]) == 2
    assert "sources" in capsys.readouterr().err


def test_an_interrupted_command_says_so_in_one_line(monkeypatch, capsys, tmp_path):
    import babelscope.training.commands.report as report

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "run", interrupted)
    assert main(["report", str(tmp_path)]) == 130
    said = capsys.readouterr().err
    assert said.strip() == "babelscope report: interrupted. What is finished is kept: give the command again to go on"
