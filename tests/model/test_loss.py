"""The chunked loss against torch's, in fp32, float64 and bf16."""

import pytest
import torch
import torch.nn.functional as F
from babelscope.model import build_model, linear_cross_entropy, preset

N, V, D = 37, 301, 16


def problem(dtype=torch.float32, scale=1.0, ignored=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(N, D, generator=generator, dtype=torch.float64)
    weight = scale * torch.randn(V, D, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, V, (N,), generator=generator)
    if ignored:
        targets[::5] = -100
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), targets


def reference(hidden, weight, targets):
    return F.cross_entropy(hidden @ weight.T, targets)


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("chunk", [1, 7, 37, 1000, None])
@pytest.mark.parametrize("ignored", [False, True])
def test_fp32_gradients_equal_torchs(chunk, ignored):
    hidden, weight, targets = problem(ignored=ignored)
    loss = linear_cross_entropy(hidden, weight, targets, chunk_tokens=chunk)
    got = torch.autograd.grad(loss, (hidden, weight))
    want_loss = reference(hidden, weight, targets)
    want = torch.autograd.grad(want_loss, (hidden, weight))
    assert loss.item() == pytest.approx(want_loss.item(), rel=1e-6)
    assert all(relative(a, b) <= 1e-6 for a, b in zip(got, want, strict=True))


def test_gradcheck_in_float64():
    hidden, weight, targets = problem(torch.float64)
    assert torch.autograd.gradcheck(
        lambda h, w: linear_cross_entropy(h, w, targets[:6], chunk_tokens=4), (hidden[:6], weight)
    )


def bf16_errors(loss_of, scale, seed):
    """Relative errors of loss, hidden gradient and weight gradient against float64."""
    hidden, weight, targets = problem(scale=scale, seed=seed)
    inputs = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    exact_loss = reference(*inputs, targets)
    exact = torch.autograd.grad(exact_loss, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(hidden, weight, targets)
    assert loss.dtype == torch.float32
    got = torch.autograd.grad(loss, (hidden, weight))
    off = abs(loss.item() / exact_loss.item() - 1)
    return [off, *(relative(a.double(), b) for a, b in zip(got, exact, strict=True))]


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_bf16_is_as_good_as_the_unfused_bf16_loss(scale):
    def mean(loss_of):
        return torch.tensor([bf16_errors(loss_of, scale, seed) for seed in range(8)]).mean(0)

    ours = mean(lambda h, w, t: linear_cross_entropy(h, w, t, chunk_tokens=8))
    unfused = mean(lambda h, w, t: F.cross_entropy((h @ w.T).float(), t))
    # Which way single roundings fall differs between one product over all tokens and a sum over chunks.
    assert (ours <= 1.1 * unfused + 1e-6).all(), (ours, unfused)


def test_a_loss_per_token():
    hidden, weight, targets = problem()
    got = linear_cross_entropy(hidden, weight, targets, reduction="none", chunk_tokens=5)
    want = F.cross_entropy(hidden @ weight.T, targets, reduction="none")
    assert torch.allclose(got, want, atol=1e-5)
    assert not got.requires_grad


def test_leading_shapes_are_kept():
    hidden, weight, targets = problem()
    shaped = linear_cross_entropy(hidden[:36].view(4, 9, D), weight, targets[:36].view(4, 9), reduction="none")
    assert shaped.shape == (4, 9)


def test_an_upstream_factor_scales_the_gradient_every_time():
    hidden, weight, targets = problem()
    loss = linear_cross_entropy(hidden, weight, targets)
    once = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    third = torch.autograd.grad(loss / 3, weight, retain_graph=True)[0]
    assert torch.allclose(third, once / 3)
    assert torch.equal(torch.autograd.grad(loss, weight)[0], once), "the kept gradient was changed in place"


def test_huge_logits_stay_finite_and_nothing_to_count_is_nan():
    hidden, weight, targets = problem(scale=1e4)
    assert torch.isfinite(linear_cross_entropy(hidden, weight, targets))
    assert torch.isnan(linear_cross_entropy(hidden, weight, torch.full_like(targets, -100)))


def test_only_what_needs_a_gradient_gets_one():
    hidden, weight, targets = problem()
    loss = linear_cross_entropy(hidden.detach(), weight.detach(), targets)
    assert not loss.requires_grad


def test_the_whole_model_trains_as_with_the_librarys_loss():
    model = build_model(preset("toy", vocab_size=67, num_layers=2), seed=0)
    ids = torch.randint(0, 67, (2, 11), generator=torch.Generator().manual_seed(1))
    want = torch.autograd.grad(model(ids, labels=ids).loss, list(model.parameters()))
    hidden = model.model(ids, use_cache=False).last_hidden_state
    loss = linear_cross_entropy(hidden[:, :-1], model.lm_head.weight, ids[:, 1:], chunk_tokens=3)
    got = torch.autograd.grad(loss, list(model.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6, rtol=1e-4) for a, b in zip(got, want, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reduction": "sum"}, "reduction='sum': choose 'mean' or 'none'"),
        ({"targets": torch.zeros(3, dtype=torch.long)}, r"shapes do not fit: hidden \(37, 16\)"),
        ({"hidden": torch.zeros(N, D, dtype=torch.float16)}, "fp16"),
    ],
)
def test_mistakes_are_named(change, message):
    hidden, weight, targets = problem()
    arguments = {"hidden": hidden, "weight": weight, "targets": targets, **change}
    with pytest.raises(ValueError, match=message):
        linear_cross_entropy(arguments.pop("hidden"), arguments.pop("weight"), arguments.pop("targets"), **arguments)
