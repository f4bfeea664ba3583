"""`babelscope expertise`: ml-selfcond's expertise.csv of a checkpoint, for tools that read it."""

import csv
import logging
from pathlib import Path
from typing import Any

from ...analysis.concepts.concept_set import ConceptSet
from ...analysis.concepts.files import CONCEPT_LIST
from ...analysis.experts.selfcond import write_expertise
from ...analysis.experts.settings import ResponseSettings
from ...model.families import Family, family_problems
from ..errors import raise_if
from ..loading import load_model, placed, placement_problems
from ..sweep.hub import local_copy, repository
from ..tokenizers import load_tokenizer
from .parsing import parsed

log = logging.getLogger(__name__)


def export_expertise(
    model: str,
    concepts: str,
    output: str,
    language: str | None = None,
    tokenizer: str | None = None,
    dtype: str = "float32",
    device: str = "auto",
    family: Family | str | None = None,
    **settings: Any,
) -> int:
    """Write OUTPUT/<group>/<concept>/expertise/expertise.csv, in ml-selfcond's form, for every concept of a set.

    Args:
        model: folder of a checkpoint, or a model on the hub (owner/name, owner/name@revision).
        concepts: ml-selfcond folder with concept_list.csv, or any other concept set.
        output: folder to write to; ml-selfcond's is RESPONSES/<model>.
        language: language of the sentences; needed where the concept set has several.
        tokenizer: name or folder; by default the checkpoint's own.
        dtype: float32 or bfloat16.
        device: auto, cpu or cuda.
        family: where blocks and units are, for an architecture that has no row of its own: the paths, the name of a
            row, or auto to derive one from the model.
        settings: of `ResponseSettings`.
    """
    found = ConceptSet.load(concepts)
    problems = [*ResponseSettings.wrong(settings)]
    if language is None and len(found.languages) > 1:
        problems.append(f"language is not set, and {concepts} has {', '.join(found.languages)}: choose one")
    if language is not None and language not in found.languages:
        problems.append(f"language={language}: {concepts} has {', '.join(found.languages)}")
    problems += [*placement_problems(dtype, device), *family_problems(family)]
    published = None if Path(model).exists() else repository(model)
    if published is None and not (Path(model) / "config.json").exists():
        problems.append(
            f"model={model} holds no config.json: name the folder of a checkpoint, or owner/name on the hub"
        )
    raise_if(problems)
    reading = ResponseSettings(**settings)
    if published is not None:
        model = local_copy(published).path
    loaded = load_model(model, dtype, placed(device, dtype), family)
    written = write_expertise(
        loaded,
        load_tokenizer(tokenizer or model),
        found,
        language or found.languages[0],
        output,
        _groups(Path(concepts)),
        **reading.as_arguments(),
    )
    for path in written:
        log.info("Wrote %s", path)
    return 0


def run(arguments: list[str]) -> int:
    """The command."""
    return export_expertise(**parsed("expertise", export_expertise, arguments))


def _groups(folder: Path) -> dict[str, str]:
    """Group of each concept by concept_list.csv, where there is one."""
    path = folder / CONCEPT_LIST
    if not path.exists():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["concept"].strip(): row["group"].strip() for row in csv.DictReader(file)}
