"""The configuration of the part of a model that reads text."""

from typing import Any

from torch import nn


def text_config(model: nn.Module) -> Any:
    """The configuration with the text model's sizes: a model that reads images as well has it inside of its own."""
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config
