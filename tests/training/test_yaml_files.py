"""What YAML takes silently for something else is named before anything begins."""

from babelscope.training.yaml_files import config_files, repeated_keys

TWICE = """run: x
trainer:
  max_steps: 8
  callbacks:
    - class_path: A
      init_args: {k: 1, k: 2}
data: {store: y}
trainer:
  max_steps: 9
"""


def test_keys_that_stand_twice_are_named_with_both_lines(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(TWICE)
    assert list(repeated_keys(path)) == [
        f"{path}, line 6: trainer.callbacks[0].init_args.k stands in line 6 already; join the two",
        f"{path}, line 8: trainer stands in line 2 already; join the two",
    ]
    for text in ("", "a: 1\nb: {c: 1}\nd: [{c: 1}, {c: 2}]\n"):
        path.write_text(text)
        assert list(repeated_keys(path)) == []
    for text, message in (("a: [1", "is no YAML: while parsing a flow sequence"), ("\x00", "line 1: a NUL byte")):
        path.write_text(text)
        (problem,) = repeated_keys(path)
        assert str(path) in problem
        assert message in problem


def test_files_are_found_among_the_words(tmp_path):
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.touch()
    two.touch()
    assert config_files([]) == []
    assert config_files(["--config", str(one), "--run", "x", f"--config={two}", "--config", "nowhere.yaml", "--config"]) == [one, two]  # fmt: skip


def test_a_command_refuses_them(tmp_path, run_cli, capsys):
    path = tmp_path / "a.yaml"
    path.write_text(TWICE)
    for command in ("pretrain", "analyze", "prepare"):
        assert run_cli(command, None, "--config", str(path)) == 2
        assert "trainer stands in line 2 already; join the two" in capsys.readouterr().err
