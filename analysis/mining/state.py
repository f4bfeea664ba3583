"""What an interrupted mining run leaves behind: how far it is in each language, and what it has found so far."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..atomic import write_text
from .tally import Limits, Tally

SETTINGS = "settings.json"


class MiningState:
    """A folder that holds the settings of a run and, per language, a tally and the number of parts that are in it.

    Args:
        folder: where; made if it is not there.
        settings: all that decides the result.
        restart: forget what is there.

    Raises:
        ValueError: the folder holds a run with other settings; they are named.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], restart: bool = False) -> None:
        self._folder = folder
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        wanted = json.loads(json.dumps(settings))
        file = folder / SETTINGS
        if file.exists():
            there = json.loads(file.read_text(encoding="utf-8"))
            differ = sorted(key for key in {*there, *wanted} if there.get(key) != wanted.get(key))
            if differ:
                raise ValueError(
                    f"{folder} holds an unfinished run with another {', '.join(differ)}; "
                    "go on with the settings of that run, or set restart to true to begin again."
                )
            return
        write_text(file, json.dumps(wanted, ensure_ascii=False, indent=1) + "\n")

    def load(self, language: str, limits: Limits) -> tuple[int, Tally]:
        """How many parts of a language are done, and what they have yielded."""
        file = self._file(language)
        if not file.exists():
            return 0, Tally()
        values = json.loads(file.read_text(encoding="utf-8"))
        return values["parts"], Tally.from_dict(values["tally"], limits)

    def save(self, language: str, parts: int, tally: Tally) -> None:
        """Note that so many parts of a language are done; whole or not at all."""
        write_text(self._file(language), json.dumps({"parts": parts, "tally": tally.to_dict()}, ensure_ascii=False))

    def _file(self, language: str) -> Path:
        return self._folder / f"{language}.json"
