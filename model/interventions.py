"""Force units of a model to values: hooks on the linear layers of its blocks, there only inside a context manager.

Shapes: B rows of a batch, T positions of a forward call, W units of a site, F forced units, N pairs of row and unit.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .sites import unit_sites

MODES = ("set", "add", "multiply")
POSITIONS = ("all", "last")


@dataclass(frozen=True)
class Forcing:
    """Which units are forced, in the model's numbering (`sites.unit_sites`), and with which values.

    Raises:
        ValueError: a unit without a value, a unit twice, or a value that is not finite.
    """

    units: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.units) != len(self.values):
            raise ValueError(f"{len(self.units)} units and {len(self.values)} values: give one value a unit")
        if len(set(self.units)) != len(self.units):
            twice = [unit for unit, count in Counter(self.units).items() if count > 1]
            raise ValueError(f"unit {twice[0]} is forced twice: give each unit once")
        for unit, value in zip(self.units, self.values, strict=True):
            if not abs(value) < float("inf"):
                raise ValueError(f"unit {unit} is to be forced to {value}: give a finite number")


@contextmanager
def forced(
    model: nn.Module,
    forcings: Forcing | Sequence[Forcing],
    *,
    rows: Sequence[int] | None = None,
    mode: str = "set",
    positions: str = "all",
) -> Iterator[None]:
    """Force units in every forward call inside the context; afterwards, also after an error, no hook is left.

    A forced unit is the output of its linear layer, so everything that reads that layer sees the forced value: with a
    key-value cache the keys and values of earlier positions stay forced as well.

    Args:
        forcings: one for all rows of the batch, or several with `rows`.
        rows: for each row of the batch, which of the forcings acts on it; -1 for none. Calls must have so many rows.
        mode: `set` the unit to the value, `add` the value to it, or `multiply` it by the value.
        positions: `all` positions of each call, or only its `last` one.

    Raises:
        ValueError: an unknown mode or position, a unit that the model does not have, a row that names no forcing.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}: choose one of {', '.join(MODES)}")
    if positions not in POSITIONS:
        raise ValueError(f"positions={positions!r}: choose one of {', '.join(POSITIONS)}")
    several = [forcings] if isinstance(forcings, Forcing) else list(forcings)
    if rows is None and len(several) != 1:
        raise ValueError(f"{len(several)} forcings and no rows: say which of them acts on each row of the batch")
    if rows is not None and not all(-1 <= row < len(several) for row in rows):
        raise ValueError(f"rows name forcings {min(rows)} to {max(rows)}: there are 0 to {len(several) - 1}, or -1")
    sites = unit_sites(model)
    for forcing in several:
        unknown = [unit for unit in forcing.units if not 0 <= unit < sites[-1].stop]
        if unknown:
            raise ValueError(f"unit {unknown[0]} does not exist: the model has units 0 to {sites[-1].stop - 1}")

    # One entry a row and unit (without `rows`: a unit), ordered by unit, so that each site's are neighbours.
    acting = [(0, several[0])] if rows is None else [(b, several[row]) for b, row in enumerate(rows) if row >= 0]
    row_N = np.repeat([b for b, _ in acting], [len(forcing.units) for _, forcing in acting]).astype(np.int64)
    unit_N = np.concatenate([np.zeros(0, np.int64), *(np.asarray(f.units, np.int64) for _, f in acting)])
    value_N = np.concatenate([np.zeros(0), *(np.asarray(f.values) for _, f in acting)]).astype(np.float32)
    order = np.argsort(unit_N, kind="stable")
    row_N, unit_N, value_N = row_N[order], unit_N[order], value_N[order]
    device = next(model.parameters()).device
    handles = []
    try:
        for site in sites:
            here = slice(*np.searchsorted(unit_N, (site.start, site.stop)))
            if here.start == here.stop:
                continue
            row, unit, value = (
                torch.from_numpy(part[here]).to(device) for part in (row_N, unit_N - site.start, value_N)
            )
            hook = _hook(row, unit, value, None if rows is None else len(rows), mode, positions)
            handles.append(site.hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(
    row_N: Tensor, unit_N: Tensor, value_N: Tensor, rows: int | None, mode: str, positions: str
) -> Callable[[Tensor], Tensor]:
    """What forces one site; without `rows` its units are forced in whatever rows come."""
    place: tuple[Any, ...] = (slice(None), slice(None), unit_N) if rows is None else (row_N, slice(None), unit_N)
    shaped = value_N if rows is None else value_N[:, None]

    def force(output_BTW: Tensor) -> Tensor:
        if rows is not None and len(output_BTW) != rows:
            raise ValueError(f"a batch of {len(output_BTW)} rows, but forcings were given for {rows}")
        target = output_BTW[:, -1:] if positions == "last" else output_BTW
        value = shaped.to(output_BTW.dtype)
        if mode == "add":
            value = target[place] + value
        elif mode == "multiply":
            value = target[place] * value
        # In place: the output is the layer's own, and copying every site would cost more than the forcing.
        target[place] = value
        return output_BTW

    return force
