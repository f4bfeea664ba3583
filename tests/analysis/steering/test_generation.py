"""Generation: texts from seeds alone, draws from the right distribution, the cache beside none, forcing as it was asked."""

import numpy as np
import pytest
import torch
from babelscope.analysis.steering.generation import ATTEMPTS, draw, generate, start_tokens, text_nats
from babelscope.model.interventions import Forcing
from babelscope.model.sites import unit_sites
from transformers import TopPLogitsWarper

from ...model.families import CONFIGS, tiny_model
from ...tokenizers_for_tests import word_tokenizer

START = [2, 9]
SEEDS = [5, 0, 3, 77, 8, 12]


def forcings(model) -> list[Forcing]:
    units = [unit for site in unit_sites(model) for unit in (site.start, site.stop - 2)]
    return [Forcing(tuple(units), (2.0,) * len(units)), Forcing((units[3],), (-5.0,))]


ROWS = [0, -1, 1, 0, 1, -1]


@pytest.mark.parametrize(
    ("family", "positions"), [*((family, "all") for family in CONFIGS), ("xglm", "last"), ("bloom", "last")]
)
def test_the_cache_gives_what_computing_anew_gives(family, positions):
    model = tiny_model(family)
    arguments = {"forcings": forcings(model), "rows": ROWS, "length": 5, "temperature": 2.0, "positions": positions}
    fast = generate(model, START, SEEDS, **arguments)
    assert fast == generate(model, START, SEEDS, cache=False, **arguments)
    assert fast != generate(model, START, SEEDS, length=5, temperature=2.0)


@pytest.mark.parametrize(
    ("family", "changes", "positions"),
    [
        ("gpt2", {"n_positions": 12}, "learned"),
        ("opt", {"max_position_embeddings": 12}, "learned"),
        ("llama", {"max_position_embeddings": 12}, "rotary"),
        ("falcon", {"max_position_embeddings": 12}, "rotary"),
        ("gemma3", {"text_config": {**CONFIGS["gemma3"]["text_config"], "max_position_embeddings": 12}}, "rotary"),
        ("mpt", {"max_seq_len": 12}, "ALiBi with a table"),
    ],
)
def test_texts_end_where_the_model_s_positions_do(family, changes, positions):
    """The last token is drawn and never read: with a start of three, ten are written and scored; eleven are refused."""
    model = tiny_model(family, **changes)
    arguments = {"forcings": forcings(model), "rows": ROWS, "temperature": 2.0}
    texts = generate(model, START, SEEDS, length=12 - len(START) + 1, **arguments)
    assert {len(text) for text in texts} == {13 - len(START)}
    assert all(nats > 0 for nats in text_nats(model, START, texts, 4))
    with pytest.raises(
        ValueError,
        match=rf"length={14 - len(START)}: the model has 12 positions, and {len(START)} of them are the start of a text; give at most {13 - len(START)}$",
    ):
        generate(model, START, SEEDS, length=14 - len(START), **arguments)  # fmt: skip


def test_positions_without_an_end_allow_any_length():
    assert len(generate(tiny_model("bloom"), START, [1], length=100)[0]) == 100


def test_last_position_alone_differs_from_all():
    model = tiny_model("xglm")
    arguments = {"forcings": forcings(model), "rows": ROWS, "length": 8, "temperature": 2.0}
    every, last = (generate(model, START, SEEDS, positions=positions, **arguments) for positions in ("all", "last"))
    assert [row for row, (a, b) in enumerate(zip(every, last, strict=True)) if a == b] == [1, 5]


@pytest.mark.parametrize("start", [[2], START])
def test_a_text_depends_on_its_seed_alone(start):
    model = tiny_model("xglm")
    arguments = {"length": 12, "temperature": 3.0, "end": 7}
    one_batch = dict(enumerate(generate(model, start, range(40), **arguments)))
    assert len({tuple(text) for text in one_batch.values()}) > 30
    for seeds in ([7], [39, 1, 20], [3] * 5, range(10, 30)):
        assert generate(model, start, seeds, **arguments) == [one_batch[seed] for seed in seeds]
    shorter = generate(model, start, range(40), **{**arguments, "length": 5})
    assert shorter == [text[:5] for text in one_batch.values()]


def test_the_model_and_the_random_state_are_left_alone_also_after_an_error():
    model = tiny_model("gpt2").train()
    torch.manual_seed(3)
    before, weights = torch.get_rng_state(), [parameter.clone() for parameter in model.parameters()]
    generate(model, START, SEEDS, forcings=forcings(model), rows=ROWS, length=3)
    calls = []

    def fail(_module, _arguments, _output):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of memory")

    handle = model.lm_head.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate(model, START, SEEDS, forcings=forcings(model), rows=ROWS)
    handle.remove()
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=True))


def test_a_text_ends_with_the_end_token():
    model = tiny_model("xglm")
    whole = generate(model, START, SEEDS, length=10, temperature=3.0)
    cut = generate(model, START, SEEDS, length=10, temperature=3.0, end=whole[0][4])
    assert cut[0] == whole[0][: whole[0].index(whole[0][4]) + 1]
    assert [text if whole[0][4] not in text else text[: text.index(whole[0][4]) + 1] for text in whole] == cut


def nucleus(logits_V: torch.Tensor, temperature: float, top_p: float) -> np.ndarray:
    """The distribution to draw from, by the library's own filter."""
    scores = (logits_V / temperature)[None]
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    return torch.softmax(scores[0].double(), 0).numpy()


@pytest.mark.parametrize(("temperature", "top_p"), [(0.8, 0.9), (1.0, 1.0), (1.5, 0.3), (0.7, 0.01)])
def test_draws_follow_the_nucleus(temperature, top_p):
    generator = torch.Generator().manual_seed(1)
    logits_V = 2 * torch.randn(1200, generator=generator)
    uniform_BA = torch.rand(4000, ATTEMPTS, generator=generator, dtype=torch.float64)
    token_B = draw(logits_V.expand(4000, -1), uniform_BA, temperature, top_p).numpy()
    p_V = nucleus(logits_V, temperature, top_p)
    assert (p_V[token_B] > 0).all()
    # Chi-square over groups of tokens with enough expected draws: mean df, standard deviation √(2 df).
    order = np.argsort(-p_V)
    groups = np.minimum((np.cumsum(p_V[order]) * 40).astype(int), 39)
    expected = np.bincount(groups, p_V[order], 40) * 4000
    seen = np.bincount(groups[np.argsort(order)][token_B], minlength=40)
    there = expected > 5
    chi, df = ((seen - expected)[there] ** 2 / expected[there]).sum(), there.sum() - 1
    assert chi <= df + 4 * np.sqrt(2 * df) + 1e-9


@pytest.mark.parametrize("top_p", [0.9, 0.05])
def test_the_last_attempt_draws_from_the_nucleus_itself(top_p):
    generator = torch.Generator().manual_seed(2)
    logits_BV = torch.randn(600, 700, generator=generator)
    # A number of exactly one attempt leaves nothing but the sorted nucleus.
    uniform_B1 = torch.rand(600, 1, generator=generator, dtype=torch.float64)
    token_B = draw(logits_BV, uniform_B1, 1.0, top_p)
    for row in range(0, 600, 7):
        p_V = nucleus(logits_BV[row], 1.0, top_p)
        order = np.argsort(-p_V, kind="stable")
        cumulated = np.cumsum(p_V[order])
        assert token_B[row] == order[np.searchsorted(cumulated, float(uniform_B1[row, 0]), side="right")]


def test_the_ends_of_the_distribution():
    logits_BV = torch.full((3, 600), -200.0)
    logits_BV[:, [4, 590]] = torch.tensor([0.0, 0.0])
    uniform_BA = torch.tensor([[0.0], [0.5 - 1e-12], [1.0 - 1e-16]], dtype=torch.float64).expand(3, 2)
    assert draw(logits_BV, uniform_BA, 1.0, 1.0).tolist() == [4, 4, 590]
    # Equally probable tokens at the border are all in, whatever their order.
    assert draw(torch.zeros(1, 5), torch.tensor([[0.99, 0.5]], dtype=torch.float64), 1.0, 0.1).tolist() == [4]


def test_nats_are_those_of_a_plain_forward_pass():
    for family in ("xglm", "gemma2"):
        model = tiny_model(family)
        texts = [[5, 6, 7], [8], [9, 9, 3, 30, 12], [5, 6, 7]]
        found = text_nats(model, START, texts, batch_size=2)
        with torch.no_grad():
            for text, nats in zip(texts, found, strict=True):
                logits_TV = model(torch.tensor([[*START, *text]])).logits[0].double()
                log_p_TV = torch.log_softmax(logits_TV[len(START) - 1 : -1], -1)
                assert nats == pytest.approx(-log_p_TV[range(len(text)), text].sum().item(), rel=1e-5)


def test_what_texts_begin_with():
    assert start_tokens(word_tokenizer("<s> $A")) == [0]
    assert start_tokens(word_tokenizer()) == [0]
    assert start_tokens(word_tokenizer(bos_token=None)) == [2]

    class Bare:
        bos_token_id = eos_token_id = None

        def __call__(self, text):
            return {"input_ids": []}

    with pytest.raises(ValueError, match=r"neither a begin- nor an end-of-text token: set tokenizer\.bos_token"):
        start_tokens(Bare())
    Bare.eos_token_id = 6
    assert start_tokens(Bare()) == [6]
    Bare.bos_token_id = 0
    assert start_tokens(Bare()) == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0, top_p=0.9, length=20: give a positive temperature"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"length": 0}, "at least 1 token"),
        ({"start": []}, "start is empty"),
        ({"start": [64]}, "texts begin with token 64, but the model's vocabulary has 64 entries: use the tokenizer"),
        ({"forcings": [Forcing((3,), (3e38,))], "rows": [0], "mode": "multiply"}, "logits are not finite: .*lower strength"),
    ],
)  # fmt: skip
def test_wrong_use_says_what_to_do(changes, message):
    with pytest.raises(ValueError, match=message):
        generate(tiny_model("xglm"), **{"start": START, "seeds": [1], **changes})
