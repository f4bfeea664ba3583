"""The one place where errors of W&B are caught."""

import os
import re
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


def attempt(call: Callable[[], Result]) -> tuple[Result | None, str | None]:
    """Call W&B.

    Returns:
        What the call returns, and None; or None, and what it raised: on one line, without keys and passwords.
    """
    try:
        return call(), None
    # Sockets, protobuf, pydantic, plotly and a process of W&B's own raise whatever they like, another kind in every
    # version; none of it may end a training.
    except Exception as error:  # noqa: BLE001
        return None, _without_secrets(f"{type(error).__name__}: {error}")


def _without_secrets(text: str) -> str:
    if key := os.environ.get("WANDB_API_KEY"):
        text = text.replace(key, "<WANDB_API_KEY>")
    return " ".join(_PASSWORD.sub("", text).split())
