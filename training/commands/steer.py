"""`babelscope steer`: steer one model with the experts of one concept, and print what it then writes."""

import logging
import re
from pathlib import Path
from typing import Any

from ...analysis.concepts.concept_set import SHIPPED_SENTENCES, ConceptSet
from ...analysis.experts.analysis import ExpertAnalysis
from ...analysis.findings import Findings, findings_path, read_findings, write_findings
from ...analysis.steering.analysis import SteeringAnalysis
from ...analysis.steering.generation import check_room, start_tokens
from ...analysis.steering.settings import SteeringSettings
from ...analysis.steering.summary import summary
from ...model.families import Family, family_problems
from ...model.sites import reading_of
from ..callbacks.experts import CONCEPTS_FILE
from ..callbacks.steering import instruments
from ..errors import raise_if
from ..loading import load_model, placed, placement_problems
from ..runs import RunFolder
from ..sweep.hub import local_copy, repository
from ..sweep.series import Checkpoint, CheckpointSource, find_series
from ..tokenizers import load_tokenizer
from .parsing import parsed

log = logging.getLogger(__name__)


def steer(
    model: str,
    concept: str,
    source_language: str,
    step: int | None = None,
    concepts: str | None = None,
    experts_results: str | None = None,
    store: str | None = None,
    languages: list[str] | None = None,
    words: str | None = None,
    samples: int = 5,
    output: str | None = None,
    overwrite: bool = False,
    tokenizer: str | None = None,
    dtype: str = "float32",
    device: str = "auto",
    family: Family | str | None = None,
    **settings: Any,
) -> str:
    """Force a concept's experts in one model, let it write, and see which language it speaks and about what.

    Args:
        model: a checkpoint's folder, a run with `step`, or a model on the hub (owner/name, owner/name@revision).
        concept: the concept to steer with.
        source_language: the language whose experts are forced.
        step: step of the checkpoint in a run; by default its last.
        concepts: concept set to find experts with where there are none; by default that of the token store, else the
            sentences that come with Babelscope.
        experts_results: folder of results with experts; by default those of the run that the checkpoint belongs to.
        store: token store that tells a toy world's words; by default the run's own.
        languages: languages that texts are told apart in; by default the run's, else those of the concept set.
        words: word lists of concepts, a YAML file or a folder; by default those that come with Babelscope.
        samples: texts of each condition that are printed.
        output: folder that the results are written to; by default they are only printed.
        overwrite: replace results of the same step that lie in `output`.
        tokenizer: name or folder of the tokenizer; by default the checkpoint's own.
        dtype: float32, or bfloat16 to halve the memory.
        device: auto, cpu or cuda.
        family: where blocks and units are, for an architecture that has no row of its own: the paths, the name of a
            row, or auto to derive one from the model.
        settings: of `SteeringSettings`; `seed` is also that of the halves of the sentences where experts are found.

    Returns:
        What is printed.

    Raises:
        ConfigError: with everything that is wrong, before the model is loaded.
    """
    checkpoint, problems = _checkpoint(model, step)
    problems += SteeringSettings.wrong(settings)
    problems += [*placement_problems(dtype, device), *family_problems(family)]
    run = _run_of(checkpoint)
    store = store or (None if run is None else run.store())
    concepts = concepts or _concepts_in(store) or (SHIPPED_SENTENCES if store is None else None)
    folder = Path(experts_results) if experts_results else run.results if run else None
    found = _experts_there(folder, checkpoint, concept, source_language)
    if experts_results and checkpoint is not None and found is None:
        problems.append(
            f"experts_results={experts_results} has no experts of {concept} in {source_language} at step "
            f"{checkpoint.step}: name results that have, or concepts to find them with"
        )
    elif found is None and concepts is None:
        problems.append(
            f"concepts: no experts of {concept} in {source_language} have been found for this checkpoint yet, and there "
            "is no concept set to find them with: name one"
        )
    chosen = ConceptSet.load(concepts) if found is None and concepts is not None else None
    if chosen is not None:
        for field, name, known in (
            ("concept", concept, chosen.concepts), ("source_language", source_language, chosen.languages),
        ):  # fmt: skip
            if name not in known:
                problems.append(f"{field}={name} is not in {concepts}: choose from {', '.join(known)}")
    there = (
        None if output is None or checkpoint is None else findings_path(output, SteeringAnalysis.name, checkpoint.step)
    )
    if there is not None and there.exists() and not overwrite:
        problems.append(
            f"output={output} has {there.name} of steering already: name another folder, or say --overwrite true"
        )
    raise_if(problems)
    assert checkpoint is not None
    steering = SteeringSettings(**settings)
    checkpoint = local_copy(checkpoint)

    known = found.settings["languages"] if found else chosen.languages if chosen else ()
    identifier, tells = instruments(store, languages, words, lambda: known)
    target = placed(device, dtype)
    lm = load_model(checkpoint.path, dtype, target, family)
    if found is not None and family is not None and found.settings.get("family") != reading_of(lm)["family"]:
        raise_if(
            [
                f"family: the experts at step {checkpoint.step} of {folder} were found with another row: leave family out, "
                "or name experts_results that were found with this one"
            ]
        )
    reader = load_tokenizer(tokenizer or checkpoint.path)
    check_room(lm, start_tokens(reader), steering.length)  # before experts are looked for, which may take long
    if found is None:
        assert chosen is not None
        log.info("finding the experts of %s in %s", concept, source_language)
        other = next(
            (name for name in chosen.concepts if name != concept and chosen.positives(name, source_language)), None
        )
        only = [concept] if other is None else [concept, other]
        found = ExpertAnalysis(chosen, k=steering.k, seed=steering.seed, languages=[source_language], only=only)(
            lm, reader, checkpoint.step
        )
    analysis = SteeringAnalysis(
        lambda _step: found, identifier, tells, concepts=[concept], source_languages=[source_language],
        **steering.as_arguments(),
    )  # fmt: skip
    findings = analysis(lm, reader, checkpoint.step).with_tokens(checkpoint.tokens)
    if output is not None:
        write_findings(findings, output)
    return summary(findings, concept, source_language, samples)


def run(arguments: list[str]) -> int:
    """The command; --source-language is --source_language."""
    words = [re.sub("^--[a-z-]+", lambda name: "--" + name[0][2:].replace("-", "_"), word) for word in arguments]
    print(steer(**parsed("steer", steer, words)))
    return 0


def _checkpoint(model: str, step: int | None) -> tuple[Checkpoint | None, list[str]]:
    if not Path(model).is_dir():
        published = repository(model)
        if published is None:
            return None, [f"model={model} is not a folder: name a checkpoint's folder, a run, or owner/name on the hub"]
        if step is not None:
            return None, [f"step={step}: only a run has steps; for a model on the hub write model={model}@REVISION"]
        return published, []
    series, problems, _ = find_series([CheckpointSource(model, steps=None if step is None else [step])])
    return (series[-1] if series else None), [problem.replace("source", "model", 1) for problem in problems]


def _run_of(checkpoint: Checkpoint | None) -> RunFolder | None:
    """The run that a checkpoint lies in, if it does."""
    if checkpoint is None or Path(checkpoint.path).resolve().parent.name != "checkpoints":
        return None
    return RunFolder(Path(checkpoint.path).resolve().parent.parent)


def _concepts_in(store: str | None) -> str | None:
    path = None if store is None else Path(store) / CONCEPTS_FILE
    return str(path) if path is not None and path.exists() else None


def _experts_there(folder: Path | None, checkpoint: Checkpoint | None, concept: str, language: str) -> Findings | None:
    """The experts that an analysis of the checkpoint found already, if those asked for are among them."""
    if folder is None or checkpoint is None or not findings_path(folder, ExpertAnalysis.name, checkpoint.step).exists():
        return None
    found = read_findings(folder, ExpertAnalysis.name, checkpoint.step)
    settings = found.settings
    if concept not in settings["concepts"] or language not in settings["languages"]:
        return None
    at = settings["concepts"].index(concept), settings["languages"].index(language), 0
    return found if found.arrays["indices"][at] >= 0 else None
