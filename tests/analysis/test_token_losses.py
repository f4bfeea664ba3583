"""Losses of tokens against the stock model's logits, also where something follows the head's product."""

import pytest
import torch
from babelscope.analysis.steering.generation import text_nats
from babelscope.analysis.token_losses import NOT_SCORED, TokenLosses
from transformers import AutoConfig, AutoModelForCausalLM

LLAMA = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
MODELS = {
    "llama": {},
    "granite": {"logits_scaling": 8.0},
    "cohere": {"logit_scale": 0.0625},
    "gemma2": {"final_logit_softcapping": 3.0},
    "phi": {},  # a bias of the head
}


def model(kind):
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **LLAMA, **MODELS[kind])).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.4)  # far from uniform, so that a scale shows
    return made


def expected(made, ids):
    with torch.no_grad():
        logits_TV = made(torch.tensor([ids])).logits[0, :-1].double()
    return torch.nn.functional.cross_entropy(logits_TV, torch.tensor(ids[1:]), reduction="none")


@pytest.mark.parametrize("kind", MODELS)
def test_losses_are_those_of_the_models_own_logits(kind):
    made, random = model(kind), torch.Generator().manual_seed(1)
    ids_BT = torch.randint(3, 96, (3, 12), generator=random)
    losses = TokenLosses(made, ids_BT[0].tolist())
    assert losses.from_hidden == (kind == "llama")
    labels_BP = ids_BT[:, 1:].clone()
    labels_BP[1, 4] = NOT_SCORED
    with torch.no_grad():
        found_BP = losses(ids_BT, labels_BP, slice(0, -1), torch.ones_like(ids_BT))
    for row, found_P in enumerate(found_BP):
        wanted_P = expected(made, ids_BT[row].tolist())
        wanted_P[labels_BP[row] == NOT_SCORED] = 0
        torch.testing.assert_close(found_P.double(), wanted_P, rtol=2e-4, atol=2e-4)
    assert found_BP[1, 4] == 0


@pytest.mark.parametrize("kind", MODELS)
def test_perplexity_under_steering_is_the_models_own(kind):
    made = model(kind)
    texts = [[5, 9, 30], [7], [11, 12, 13, 14, 15]]
    found = text_nats(made, [1], texts, batch_size=2)
    for text, nats in zip(texts, found, strict=True):
        assert nats == pytest.approx(float(expected(made, [1, *text]).sum()), rel=3e-4)
    assert text_nats(made, [1], [], batch_size=2) == []


def test_a_scale_of_the_logits_changes_the_losses():
    """Else the tests above would prove nothing of a scale."""
    ids = [1, 5, 9, 30, 41]
    scaled, plain = model("granite"), model("granite")
    plain.config.logits_scaling = 1.0
    assert float(expected(scaled, ids).sum()) != pytest.approx(float(expected(plain, ids).sum()), rel=0.05)
