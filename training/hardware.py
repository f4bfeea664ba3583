"""What the processor at hand does well, where a default should follow it."""

import torch


def accelerator_kind(accelerator: str) -> str:
    """The kind of device that a trainer's `accelerator` means here: cpu, cuda, or another one by its own name."""
    if accelerator in ("gpu", "auto"):
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return accelerator


def multiplies_bf16(kind: str) -> bool:
    """Whether a kind of device has bf16 matrix products in hardware.

    In software they are many times slower than fp32: 0.5 against 24 GFLOP/s on one core of a processor with AVX2. Of
    devices that cannot be asked it is assumed.
    """
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)
    return True
