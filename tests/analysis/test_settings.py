"""Settings of instruments: one definition, which analysis, callback and command share."""

import inspect

import pytest
from babelscope.analysis.alignment.settings import AlignmentSettings
from babelscope.analysis.experts.settings import ExpertSettings, ResponseSettings
from babelscope.analysis.health.settings import HealthSettings
from babelscope.analysis.language_loss import LossSettings
from babelscope.analysis.probe.settings import ProbeSettings
from babelscope.analysis.settings import SettingsError
from babelscope.analysis.steering.settings import SteeringSettings
from babelscope.training import callbacks

WRONG = {
    AlignmentSettings: {"max_sentences": 3, "permutations": -1, "batch_tokens": 0, "memory_gb": 0},
    ExpertSettings: {"pooling": "sum", "k": 0, "min_sentences": 0, "max_positives": 0, "max_length": 0},
    HealthSettings: {"context": 1, "max_tokens": 0, "jump": 0},
    LossSettings: {"context": 1, "batch_tokens": 0, "stride": 0},
    ProbeSettings: {"tokens_per_language": [20, 400], "seeds": (), "C": 0, "test_share": 1, "tokens_per_sentence": 0},
    ResponseSettings: {"pooling": "sum", "batch_tokens": 0, "memory_gb": float("nan")},
    SteeringSettings: {"mode": "push", "positions": "first", "seeds": 0, "k": 0, "top_p": 0, "temperature": 0},
}


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_everything_out_of_range_is_named_at_once(kind):
    kind()
    for name, value in WRONG[kind].items():
        with pytest.raises(ValueError, match=f"^{name}(=| is )"):
            kind(**{name: value})
    with pytest.raises(SettingsError) as error:
        kind(**WRONG[kind])
    assert len(error.value.problems) == len(WRONG[kind])
    assert kind.wrong({**WRONG[kind], "tokenizer": "xglm"}) == error.value.problems
    assert kind.wrong({"tokenizer": "xglm"}) == ()


INSTRUMENTS = sorted(
    name
    for name in callbacks.__all__
    if isinstance(kind := getattr(callbacks, name), type)
    and issubclass(kind, callbacks.AnalysisCallback)
    and kind is not callbacks.AnalysisCallback
)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_callback_defines_no_setting_of_its_instrument_again(name):
    kind = getattr(callbacks, name)
    own = set(inspect.signature(kind).parameters) - {"settings"}
    assert not own & set(inspect.signature(kind.settings_type).parameters)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tokens_per_languge'"):
        kind(tokens_per_languge=4)


def test_a_setting_has_its_text_in_the_help_of_callback_and_command(capsys):
    from babelscope.training.commands.cli import main

    said = []
    for words in (
        ["pretrain", "--trainer.callbacks.help", "babelscope.training.callbacks.Steering"],
        ["steer", "--help"],
    ):
        with pytest.raises(SystemExit):
            main(words)
        said.append(" ".join(capsys.readouterr().out.split()))
    for text in (
        "text s is drawn with seed s.",
        "draws of random units that the texts of that control are dealt out to.",
    ):
        assert all(text in one for one in said)
