"""`babelscope pretrain`: train the model with callbacks that watch it."""

from ..errors import StoppedRun
from ..fit.module import NonFiniteLossError
from ..fit.pretrain import pretrain
from . import parsing  # noqa: F401 (text of settings in --help)


def run(arguments: list[str]) -> int:
    """The command."""
    try:
        return pretrain(arguments)
    except NonFiniteLossError as error:
        raise StoppedRun(str(error)) from error
