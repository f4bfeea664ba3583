"""Findings in W&B runs of others: a step metric of their own, and failures that stop nothing and are told once."""

import pytest
import wandb
from babelscope.analysis.findings import Findings, write_findings
from babelscope.training.callbacks.tracking import STEP_METRIC, TOKENS_METRIC, log_findings, scalars
from babelscope.training.callbacks.wandb_errors import attempt
from lightning.pytorch.loggers import WandbLogger


class FakeRun:
    """Records what W&B would get."""

    def __init__(self, error=None):
        self.defined, self.logged, self.error = {}, [], error

    def define_metric(self, name, **settings):
        self.defined[name] = settings

    def log(self, values):
        if self.error is not None:
            raise self.error
        self.logged.append(values)


class Stock(WandbLogger):
    """Somebody's own W&B logger, around a fake run."""

    def __init__(self, run):
        super().__init__()
        self.fake = run

    @property
    def experiment(self):
        if self.fake is None:
            raise RuntimeError("no such backend")
        return self.fake


def findings(step):
    rows = [
        {"metric": "loss", "value": 3.0, "language": "sw"},
        {"metric": "accuracy_mean", "value": 0.5, "layer": 2},
        {"metric": "mean", "value": 1.0},
        {"metric": "overlap", "value": 0.1, "language": "sw", "other_language": "te", "concept": "joy"},
    ]
    return Findings.from_rows("toyed", step, rows)


def test_scalars_are_what_makes_a_readable_curve():
    assert scalars(findings(3)) == {"toyed/loss/sw": 3.0, "toyed/accuracy_mean/layer_02": 0.5, "toyed/mean": 1.0}


def test_analysis_metrics_have_their_own_step_so_that_none_is_dropped(tmp_path):
    run = FakeRun()
    for step, tokens in ((8, 800), (2, None)):
        found = findings(step).with_tokens(tokens)
        write_findings(found, tmp_path)
        log_findings([Stock(run)], found, tmp_path)
    assert run.defined["toyed/loss/sw"] == run.defined["toyed/mean"] == {"step_metric": STEP_METRIC}
    assert [values[STEP_METRIC] for values in run.logged] == [8, 2]
    assert [values.get(TOKENS_METRIC) for values in run.logged] == [800, None]


@pytest.mark.parametrize("error", [wandb.errors.CommError("no network"), BrokenPipeError("gone"), TypeError("a field")])
def test_somebody_elses_run_that_fails_is_told_once(tmp_path, caplog, error):
    logger = Stock(FakeRun(error))
    for step in (1, 2, 3):
        log_findings([logger], findings(step), tmp_path)
    told = f"did not take the findings of step 1 ({type(error).__name__}: {error}); they are whole in {tmp_path}"
    assert told in caplog.text
    assert len(caplog.records) == 1
    log_findings([Stock(None)], findings(4), tmp_path)
    assert "step 4 (RuntimeError: no such backend)" in caplog.text


def test_values_are_sent_where_a_figure_cannot_be_drawn(tmp_path, caplog, monkeypatch):
    def unable(rows, step):
        raise ZeroDivisionError("an odd row")

    monkeypatch.setattr("babelscope.analysis.figures.logged.logged_figures", unable)
    run = FakeRun()
    logger = Stock(run)
    for step in (1, 2):
        write_findings(findings(step), tmp_path)
        log_findings([logger], findings(step), tmp_path)
    assert [values["toyed/mean"] for values in run.logged] == [1.0, 1.0]
    assert [record.getMessage() for record in caplog.records] == [
        "No figures for W&B at step 1 (ZeroDivisionError: an odd row), values alone. This is told once"
    ]


def test_what_is_told_of_an_error_has_no_keys_or_passwords(monkeypatch):
    key = "0123456789abcdef" * 2 + "01234567"
    monkeypatch.setenv("WANDB_API_KEY", key)

    def refuse():
        raise OSError(f"{key} is no key\nat https://me:secret@wandb.example/graphql")

    assert attempt(refuse) == (None, "OSError: <WANDB_API_KEY> is no key at https://wandb.example/graphql")
    assert attempt(lambda: 3) == (3, None)
