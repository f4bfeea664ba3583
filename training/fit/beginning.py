"""Begin a run from weights: what it takes over from a checkpoint, and whether that fits its data."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoConfig, XGLMConfig

from ...model.presets import preset
from ..data.store import TokenStore
from ..errors import CheckpointDamagedError, first_line
from ..loading import load_model
from ..runs import RunFolder
from ..tokenizers import definition_of

DEFAULT_PRESET = "xglm-257m"
FREE = ("dropout", "attention_dropout", "activation_dropout", "layerdrop", "max_position_embeddings")
"""Fields of `XGLMConfig` that change no weight, and may be overridden where a run begins from weights."""


def run_config(settings: Mapping[str, Any]) -> XGLMConfig:
    """The configuration of a run's model: a preset's, or that of the checkpoint which `from` names; with its overrides.

    Args:
        settings: `preset`, `overrides` and `from`.

    Raises:
        ValueError: there is no such preset, field or checkpoint, or it is no XGLM.
    """
    overrides = settings.get("overrides") or {}
    if settings.get("from") is None:
        return preset(settings["preset"] or DEFAULT_PRESET, **overrides)
    folder = Path(settings["from"])
    if settings["preset"] is not None:
        raise ValueError(f"from={folder} brings its own configuration: leave preset={settings['preset']} out")
    fixed = sorted(set(overrides) - set(FREE))
    if fixed:
        raise ValueError(
            f"overrides.{fixed[0]}={overrides[fixed[0]]}: the weights of from={folder} decide that; of a checkpoint's "
            f"configuration only {', '.join(FREE)} can be overridden"
        )
    if not (folder / "config.json").is_file():
        raise ValueError(_no_checkpoint(folder))
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"from={folder}: config.json can't be read ({first_line(error)})") from error
    if not isinstance(config, XGLMConfig):
        raise ValueError(
            f"from={folder} is a {config.model_type}, and what is trained here is XGLM: name a checkpoint of ours, or an "
            "XGLM in Hugging Face form"
        )
    for field, value in overrides.items():
        setattr(config, field, value)
    return config


def _no_checkpoint(folder: Path) -> str:
    steps = RunFolder(folder).checkpoint_steps()
    if steps:
        return f"from={folder} is a run: name one of its checkpoints, for example {RunFolder(folder).checkpoint(steps[-1])}"
    if folder.is_dir():
        return f"from={folder} has no config.json: name the folder of a checkpoint in Hugging Face form"
    return (
        f"from={folder} does not exist: name the folder of a checkpoint; one on the hub is fetched by "
        f"hf download {folder} --local-dir FOLDER"
    )


def words_differ(folder: Path, store: TokenStore) -> Iterator[str]:
    """Whether the ids of a checkpoint mean other words than those of the store it is to be trained on."""
    own, given = definition_of(folder), definition_of(store.path / "tokenizer")
    if own is not None and given is not None and own.get_vocab() != given.get_vocab():
        yield (
            f"model.from={folder} has another tokenizer than data.store={store.path}: prepare a store with "
            f"--tokenizer.path {folder}"
        )


def take_weights(model: nn.Module, folder: str | Path) -> None:
    """Put the weights of a checkpoint, all of them and no others, into a model of its configuration.

    Raises:
        ValueError: they are damaged, or not whole.
    """
    try:
        model.load_state_dict(load_model(folder).state_dict())
    except CheckpointDamagedError as error:
        raise ValueError(f"model.from: {error}") from error
