"""From words on the command line and YAML files to the arguments of a function."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from jsonargparse import ArgumentParser, set_loader, set_parsing_settings

from ..errors import raise_if
from ..paths import expand_paths
from ..yaml_files import load_with_languages

# Settings carry their text below each field.
set_parsing_settings(docstring_parse_attribute_docstrings=True)
set_loader("yaml", load_with_languages, exceptions=(yaml.YAMLError,))


def parsed(
    command: str,
    function: Callable[..., Any],
    arguments: Sequence[str],
    problems: Callable[[Mapping[str, Any]], Sequence[str]] | None = None,
    positional: bool = False,
) -> dict[str, Any]:
    """Arguments of a function from YAML files and the command line, classes among them instantiated.

    Args:
        command: behind `babelscope`, for the usage.
        problems: what is wrong with the plain values, before anything is made of them.
        positional: whether required arguments are given by their place.

    Raises:
        ConfigError: with what `problems` found.
        ArgumentError: words or values that are none of the function's.
    """
    parser = ArgumentParser(
        prog=f"babelscope {command}", description=(function.__doc__ or "").split("\n")[0], exit_on_error=False
    )
    parser.add_argument("--config", action="config", help="a YAML file with any of the settings below")
    parser.add_function_arguments(function, as_positional=positional, sub_configs=True)
    found = parser.parse_args(list(arguments))
    wrong = [*expand_paths(found), *(problems(found.as_dict()) if problems is not None else ())]
    raise_if(wrong)
    settings: dict[str, Any] = parser.instantiate(found).as_dict()
    settings.pop("config", None)
    return settings
