"""Callbacks that watch a model, in anybody's `lightning.Trainer` whose module holds a Hugging Face causal LM."""

from .base import AnalysisCallback, StepCallback
from .experts import ExpertNeurons
from .language_loss import PerLanguageLoss

__all__ = ["AnalysisCallback", "ExpertNeurons", "PerLanguageLoss", "StepCallback"]
