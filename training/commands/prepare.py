"""`babelscope prepare`: text to a tokenizer and a store of token blocks."""

from ..data.prepare import prepare
from .parsing import parsed


def run(arguments: list[str]) -> int:
    """The command."""
    store = prepare(**parsed("prepare", prepare, arguments))
    print(f"Prepared {store}")
    return 0
