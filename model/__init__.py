"""The model: configuration, attention, loss; and the table of layer and unit sites per family."""

from .loss import linear_cross_entropy
from .presets import PRESETS, build_model, preset
from .xglm import XGLMForCausalLM

__all__ = ["PRESETS", "XGLMForCausalLM", "build_model", "linear_cross_entropy", "preset"]
