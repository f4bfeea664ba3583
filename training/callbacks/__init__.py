"""Callbacks that watch a model, in anybody's `lightning.Trainer` whose module holds a Hugging Face causal LM."""

from .alignment import ParallelAlignment
from .base import AnalysisCallback, StepCallback
from .experts import ExpertNeurons
from .health import CheckpointHealth
from .language_loss import PerLanguageLoss
from .probe import LanguageProbe
from .schedule import StepSchedule
from .steering import Steering

__all__ = [
    "AnalysisCallback",
    "CheckpointHealth",
    "ExpertNeurons",
    "LanguageProbe",
    "ParallelAlignment",
    "PerLanguageLoss",
    "Steering",
    "StepCallback",
    "StepSchedule",
]
