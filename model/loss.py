"""Cross-entropy over a tied head of 256,008 words without ever holding all logits.

Tokens go through the head a chunk at a time, and the gradients are formed in the forward pass, while the chunk's logits
are at hand. Matrix products run in the compute dtype (bf16 under autocast); everything elementwise runs in fp32, on a
CPU in blocks of a few rows that stay in cache: whole-chunk passes over fp32 logits are bound by memory and took four
fifths of the loss's time.

Shapes: N tokens, V words, D model width, C tokens in a chunk, R rows in a block.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

IGNORE = -100
_ROWS_BYTES = 4 << 20
_CHUNK_BYTES = {"cpu": 256 << 20, "cuda": 1 << 30}


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    reduction: str = "mean",
    chunk_tokens: int | None = None,
) -> Tensor:
    """`F.cross_entropy(hidden @ weight.T, targets)` with memory for one chunk of logits.

    Args:
        hidden: (N, D) hidden states, any leading shape.
        weight: (V, D) the head's weight.
        targets: (N,) word indices with the leading shape of `hidden`; `-100` is left out.
        reduction: `mean` over the targets that count; or `none` for a loss per token (nats, zero where left out),
            for which no gradient is formed.
        chunk_tokens: tokens a chunk; by default as many as fit 256 MiB of logits on a CPU, 1 GiB on a GPU.

    Returns:
        fp32 (float64 for float64 input): a scalar, or the shape of `targets`. NaN if no target counts, as in torch.

    Raises:
        ValueError: unknown reduction, shapes that do not fit, or fp16, in which XGLM overflows.
    """
    if reduction not in ("mean", "none"):
        raise ValueError(f"reduction={reduction!r}: choose 'mean' or 'none'")
    if hidden.shape[:-1] != targets.shape or hidden.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"shapes do not fit: hidden {tuple(hidden.shape)}, weight {tuple(weight.shape)}, "
            f"targets {tuple(targets.shape)}; expected (…, D), (V, D), (…)"
        )
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    if dtype == torch.float16:
        raise ValueError("fp16: XGLM's activations overflow in it, use bf16 or fp32")
    size = max(1, _CHUNK_BYTES.get(device, 1 << 30) // (weight.shape[0] * dtype.itemsize))
    chunk = chunk_tokens or size
    hidden_ND, targets_N = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    if reduction == "none":
        with torch.no_grad(), torch.autocast(device, enabled=False):
            return _loss_and_gradients(hidden_ND, weight, targets_N, dtype, chunk, False)[0].view(targets.shape)
    return _LinearCrossEntropy.apply(hidden_ND, weight, targets_N, dtype, chunk)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        targets_N: Tensor,
        dtype: torch.dtype,
        chunk: int,
    ) -> Tensor:
        needed = any(ctx.needs_input_grad)  # type: ignore[attr-defined]
        with torch.autocast(hidden_ND.device.type, enabled=False):
            loss_N, grad_ND, grad_VD = _loss_and_gradients(hidden_ND, weight_VD, targets_N, dtype, chunk, needed)
        ctx.save_for_backward(*((grad_ND, grad_VD) if needed else ()))
        return loss_N.sum() / (targets_N != IGNORE).sum()

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        grad_ND, grad_VD = ctx.saved_tensors  # type: ignore[attr-defined]
        # Asking a GPU for the value would wait for it; a CPU is spared a pass over half a gigabyte.
        if grad.device.type != "cpu" or grad.item() != 1.0:
            grad_ND, grad_VD = grad_ND * grad.to(grad_ND.dtype), grad_VD * grad.to(grad_VD.dtype)
        return grad_ND, grad_VD, None, None, None


def _loss_and_gradients(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, dtype: torch.dtype, chunk: int, gradients: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (N,) and, if asked for, the gradients of their mean; empty tensors otherwise."""
    exact = torch.promote_types(dtype, torch.float32)
    N, V = len(hidden_ND), len(weight_VD)
    counted_N = targets_N != IGNORE
    index_N = torch.where(counted_N, targets_N, 0)
    share_N = counted_N.to(exact) / counted_N.sum()
    hidden_cast_ND, weight_cast_VD = hidden_ND.to(dtype), weight_VD.to(dtype)

    loss_N = torch.empty(N, dtype=exact, device=hidden_ND.device)
    grad_ND = torch.empty_like(hidden_ND) if gradients else hidden_ND.new_empty(0)
    grad_VD: Tensor | None = None
    chunk = min(chunk, N)
    rows = max(2, _ROWS_BYTES // (V * exact.itemsize)) if hidden_ND.device.type == "cpu" else chunk
    logits_CV = torch.empty(chunk, V, dtype=dtype, device=hidden_ND.device)
    block_RV = torch.empty(min(rows, chunk), V, dtype=exact, device=hidden_ND.device)
    for start in range(0, N, chunk):
        part = slice(start, min(start + chunk, N))
        chunk_CV = logits_CV[: part.stop - start]
        torch.mm(hidden_cast_ND[part], weight_cast_VD.T, out=chunk_CV)
        for row in range(0, len(chunk_CV), rows):
            here = slice(row, min(row + rows, len(chunk_CV)))
            there = slice(start + here.start, start + here.stop)
            loss_N[there] = _softmax_rows(
                chunk_CV[here], block_RV[: here.stop - row], index_N[there], share_N[there], gradients
            )
        if gradients:
            grad_ND[part] = chunk_CV @ weight_cast_VD
            increment_VD = chunk_CV.T @ hidden_cast_ND[part]
            grad_VD = increment_VD.to(weight_VD.dtype) if grad_VD is None else grad_VD.add_(increment_VD)
    loss_N.masked_fill_(~counted_N, 0.0)
    if grad_VD is None:  # none is wanted, or there is no token
        grad_VD = torch.zeros_like(weight_VD) if gradients else weight_VD.new_empty(0)
    return loss_N, grad_ND, grad_VD


def _softmax_rows(logits_RV: Tensor, block_RV: Tensor, index_R: Tensor, share_R: Tensor, gradients: bool) -> Tensor:
    """Losses (R,) of some rows; with gradients, replaces the logits by d(mean loss)/d(logits)."""
    block_RV.copy_(logits_RV)
    index_R1, share_R1 = index_R[:, None], share_R[:, None]
    highest_R1 = block_RV.amax(-1, keepdim=True)
    target_R1 = block_RV.gather(1, index_R1)
    sum_R1 = block_RV.sub_(highest_R1).exp_().sum(-1, keepdim=True)
    if gradients:
        block_RV.mul_(share_R1 / sum_R1).scatter_add_(1, index_R1, -share_R1)
        logits_RV.copy_(block_RV)
    return (sum_R1.log() + highest_R1 - target_R1)[:, 0]
