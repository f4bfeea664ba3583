"""`babelscope expertise`: ml-selfcond's expertise.csv of a checkpoint, for tools that read it."""

import csv
import logging
from pathlib import Path

from ...analysis.concepts.concept_set import ConceptSet
from ...analysis.concepts.files import CONCEPT_LIST
from ...analysis.experts.selfcond import write_expertise
from ..errors import raise_if
from ..sweep.hub import local_copy, repository
from ..sweep.loading import load_model, load_tokenizer, placed, placement_problems

log = logging.getLogger(__name__)


def export_expertise(
    model: str,
    concepts: str,
    output: str,
    language: str | None = None,
    tokenizer: str | None = None,
    pooling: str = "max",
    special_tokens: bool = True,
    max_length: int = 128,
    batch_tokens: int = 4096,
    memory_gb: float = 2.0,
    dtype: str = "float32",
    device: str = "auto",
) -> int:
    """Write OUTPUT/<group>/<concept>/expertise/expertise.csv, in ml-selfcond's form, for every concept of a set.

    Args:
        model: folder of a checkpoint, or a model on the hub (owner/name, owner/name@revision).
        concepts: ml-selfcond folder with concept_list.csv, or any other concept set.
        output: folder to write to; ml-selfcond's is RESPONSES/<model>.
        language: language of the sentences; needed where the concept set has several.
        tokenizer: name or folder; by default the checkpoint's own.
        pooling: over a sentence's tokens: max, as in ml-selfcond, mean or last.
        special_tokens: whether the tokenizer's own tokens count.
        max_length: tokens of a sentence that are read.
        batch_tokens: tokens of a forward pass.
        memory_gb: gigabytes (1e9 bytes) taken beside the model, as in ExpertNeurons.
        dtype: float32 or bfloat16.
        device: auto, cpu or cuda.
    """
    found = ConceptSet.load(concepts)
    problems = []
    if language is None and len(found.languages) > 1:
        problems.append(f"language is not set, and {concepts} has {', '.join(found.languages)}: choose one")
    if language is not None and language not in found.languages:
        problems.append(f"language={language}: {concepts} has {', '.join(found.languages)}")
    problems += placement_problems(dtype, device)
    published = None if Path(model).exists() else repository(model)
    if published is None and not (Path(model) / "config.json").exists():
        problems.append(
            f"model={model} holds no config.json: name the folder of a checkpoint, or owner/name on the hub"
        )
    raise_if(problems)
    if published is not None:
        model = local_copy(published).path
    loaded = load_model(model, dtype, placed(device, dtype))
    written = write_expertise(
        loaded,
        load_tokenizer(tokenizer or model),
        found,
        language or found.languages[0],
        output,
        _groups(Path(concepts)),
        pooling=pooling,
        special_tokens=special_tokens,
        max_length=max_length,
        batch_tokens=batch_tokens,
        memory_gb=memory_gb,
    )
    for path in written:
        log.info("Wrote %s", path)
    return 0


def _groups(folder: Path) -> dict[str, str]:
    """Group of each concept by concept_list.csv, where there is one."""
    path = folder / CONCEPT_LIST
    if not path.exists():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["concept"].strip(): row["group"].strip() for row in csv.DictReader(file)}
