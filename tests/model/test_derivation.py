"""A derived row is the table's, for every family that has one; an invented architecture is read by its own."""

from types import SimpleNamespace

import pytest
import torch
from babelscope.model.advice import as_yaml
from babelscope.model.derivation import derive_family
from babelscope.model.families import FAMILIES, Family
from babelscope.model.interventions import Forcing, forced
from babelscope.model.sites import backbone_of, family_of, read_as, reading_of, unit_sites, use_family
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from .families import CONFIGS, KEY_VALUES, WIDE, tiny_model


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_derived_row_is_the_table_s(kind):
    model = tiny_model(kind)
    state = torch.get_rng_state()
    found = derive_family(model)
    assert found.family == FAMILIES[kind]
    assert list(found.family.units.items()) == list(FAMILIES[kind].units.items()), "their order is the numbering"
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module.training for module in model.modules())


def test_a_model_in_training_is_derived_alike_and_trains_on():
    """Dropout would part what is compared, and draw random numbers."""
    model = tiny_model("gpt2", resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5).train()
    model.transformer.h[1].eval()
    state, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    assert derive_family(model).family == FAMILIES["gpt2"]
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if "moe" not in kind or kind == "olmoe"])
def test_weights_of_half_the_width_give_the_same_row(kind):
    """The library's own product for experts wants rows of 16 bytes, which the tiny Qwen ones are too narrow for."""
    changes = {"intermediate_size": 32} if kind in ("mixtral", "olmoe") else {}
    assert derive_family(tiny_model(kind, **changes).bfloat16()).family == FAMILIES[kind]


def test_experts_that_compute_otherwise_are_left_out(monkeypatch):
    """The flags are as others', and the weights are not."""
    kind = type(tiny_model("olmoe").model.layers[0].mlp.experts)
    before = kind.forward
    monkeypatch.setattr(kind, "forward", lambda self, *args, **kwargs: 1.1 * before(self, *args, **kwargs))
    found = derive_family(tiny_model("olmoe"))
    assert found.family.experts is None
    assert "in mlp.experts can't be read (computed one by one they give something else)" in found.notes[-1]


def test_what_logits_are_is_told():
    notes = {kind: " ".join(derive_family(tiny_model(kind, **more)).notes) for kind, more in {
        "llama": {}, "cohere": {"logit_scale": 0.25}, "granite": {"logits_scaling": 4.0},
        "gemma2": {"final_logit_softcapping": 2.0}, "qwen2_moe": {},
    }.items()}  # fmt: skip
    assert "logits are the LM head's output;" in notes["llama"] + ";"
    assert "the LM head's output times 0.25" in notes["cohere"]
    assert "the LM head's output times 0.25" in notes["granite"]
    assert "not proportional to the LM head's output" in notes["gemma2"]
    assert "mlp.shared_expert_gate" in notes["qwen2_moe"]


class InventedBlock(nn.Module):
    """Attention and a gated feed-forward part side by side, with names of their own."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.mix = nn.ModuleDict({name: nn.Linear(width, width) for name in ("value", "key", "query", "merge")})
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(width, inner)
        self.squash, self.back = nn.Tanh(), nn.Linear(inner, width)
        self.before = nn.LayerNorm(width)
        self.adapter = nn.Linear(width, width)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        states = self.before(hidden_states)
        value, key, query = (self.mix[name](states) for name in ("value", "key", "query"))
        mask = torch.full((states.shape[1],) * 2, float("-inf")).triu(1)
        mixed = self.mix["merge"]((query @ key.transpose(1, 2) + mask).softmax(-1) @ value)
        gated = self.narrow(states) * self.squash(self.wide(states))
        return hidden_states + mixed + self.back(gated) + self.adapter(torch.sin(mixed))


class Invented(nn.Module):
    """A causal LM that no library knows."""

    def __init__(self, blocks: int = 3, width: int = 8) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type="invented", hidden_size=width)
        self.heart = nn.Module()
        self.heart.words, self.heart.final = nn.Embedding(20, width), nn.LayerNorm(width)
        self.heart.steps = nn.ModuleList(InventedBlock(width, 12) for _ in range(blocks))
        self.heart.forward = self._hidden
        self.out = nn.Linear(width, 20, bias=False)

    def _hidden(self, input_ids, attention_mask=None, use_cache=None):
        states = self.heart.words(input_ids)
        for step in self.heart.steps:
            states = step(states)
        return SimpleNamespace(last_hidden_state=self.heart.final(states))

    def forward(self, input_ids, use_cache=None):
        return SimpleNamespace(logits=self.out(self.heart(input_ids).last_hidden_state) * 3)

    def get_input_embeddings(self):
        return self.heart.words

    def get_output_embeddings(self):
        return self.out


INVENTED = Family(
    "heart",
    "heart.steps",
    {
        "v": "mix.value",
        "k": "mix.key",
        "q": "mix.query",
        "attn_out": "mix.merge",
        "ffn_in": "narrow",
        "ffn_gate": "wide",
        "ffn_out": "back",
        "adapter": "adapter",
    },
    "squash",
)


def test_an_invented_architecture_is_read_by_its_own_row():
    torch.manual_seed(0)
    model = Invented()
    found = derive_family(model)
    assert found.family == INVENTED
    assert list(found.family.units) == list(INVENTED.units)
    assert "the LM head's output times 3" in found.notes[1]
    with pytest.raises(ValueError, match="model_type='invented' has no row") as caught:
        family_of(model)
    assert as_yaml(INVENTED) in str(caught.value)
    with read_as(model, "auto", ["q", "ffn_gated"]):
        assert reading_of(model)["family"]["blocks"] == "heart.steps"
        assert [site.site for site in unit_sites(model)] == ["q", "ffn_gated"] * 3
        assert [site.stop - site.start for site in unit_sites(model)] == [8, 12] * 3
        ids = torch.tensor([[1, 2, 3]])
        assert backbone_of(model)(ids).last_hidden_state.shape == (1, 3, 8)
        taken = []
        handle = model.heart.steps[2].back.register_forward_pre_hook(lambda _m, args: taken.append(args[0]))
        with forced(model, Forcing((2 * 20 + 8 + 5,), (1.5,))):
            model(ids)
        handle.remove()
        assert (taken[0][..., 5] == 1.5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model, "get_output_embeddings", lambda: None), "has no LM head that runs"),
        (lambda model: model.heart.steps.insert(1, nn.Identity()), "block 1 has no mix.value, which block 0 has"),
        (lambda model: setattr(model.config, "hidden_size", 9), "block 0 gives 8 numbers a token, and config.hidden_size is 9"),
        (lambda model: model.heart.steps.append(model.heart.steps[0]), "block 0 of heart.steps ran 2 times in one pass"),
        (lambda model: setattr(model.heart, "steps", nn.Sequential(*model.heart.steps)), "has no list of blocks"),
        (lambda model: setattr(model.heart, "final", nn.LayerNorm(9)), "Invented can't be run on a few tokens: Given normalized_shape"),
        (lambda model: setattr(model.heart, "forward", lambda ids: model._hidden(ids)), "no module around heart.steps that gives hidden states for token ids"),
    ],
)  # fmt: skip
def test_a_model_that_no_row_fits_is_refused(change, message):
    model = Invented()
    change(model)
    with pytest.raises(ValueError, match=message):
        derive_family(model)
    with pytest.raises(ValueError, match=f"none could be derived from the model itself .*{message}.*: give the paths"):
        unit_sites(model)


@pytest.mark.parametrize(
    ("kind", "config", "expected", "note"),
    [
        # Experts in another layout, and an activation that is a function: said, not guessed.
        ("llama4_text", {**WIDE, **KEY_VALUES, "num_local_experts": 3, "intermediate_size_mlp": 24}, {"experts": None}, "routed experts in feed_forward.experts can't be read (its has_gate is not told)"),
        ("gpt_oss", {**WIDE, **KEY_VALUES, "num_local_experts": 3, "num_experts_per_tok": 2}, {"experts": None}, "routed experts in mlp.experts can't be read (it has no act_fn)"),
        ("openai-gpt", {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}, {"activation": None}, ""),
        ("bert", {**WIDE, "is_decoder": True}, {"backbone": "bert", "blocks": "bert.encoder.layer"}, "the LM head does not read what bert gives as it is"),
        ("glm", {**WIDE, **KEY_VALUES, "pad_token_id": 1}, {"activation": "mlp.activation_fn"}, "the LM head reads what model gives"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_said(kind, config, expected, note):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config)).eval()
    found = derive_family(model)
    assert {name: getattr(found.family, name) for name in expected} == expected
    assert note in "; ".join(found.notes)
    assert {"attn_out"} < set(found.family.units)
    with read_as(model, "auto"):
        sites = unit_sites(model)
        seen = []
        handles = [site.hook(lambda values, site=site: seen.append((site, values.shape))) for site in sites]
        model(torch.tensor([[3, 4, 5], [6, 7, 8]]))
        for handle in handles:
            handle.remove()
    assert [shape for _, shape in seen] == [(2, 3, site.stop - site.start) for site, _ in seen]
    assert [site.start for site, _ in seen] == [site.start for site in sites], "they compute in the order of the row"


def test_a_row_is_chosen_by_its_name():
    model = tiny_model("gpt2")
    model.config.model_type = "gpt5"
    use_family(model, "gpt2")
    assert family_of(model) == FAMILIES["gpt2"]
    with pytest.raises(
        ValueError,
        match="family=gpt6: there is no such row; choose auto, which derives one from the model, one of apertus",
    ):
        use_family(model, "gpt6")  # fmt: skip
