"""Rows to what a figure shows: selecting metrics, averaging them, ordering them by step."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..findings import UNCLEAR

Runs = Mapping[str, pa.Table]
"""Run name -> rows with the columns of `ROW_SCHEMA`."""


@dataclass(frozen=True)
class Series:
    """One measurement over the steps, ascending; `tokens` is null where the run did not record them."""

    steps: list[int]
    tokens: list[int | None]
    values: list[float]

    @property
    def last(self) -> float:
        """Value at the last step."""
        return self.values[-1]


def as_runs(rows: pa.Table | Runs) -> Runs:
    """A single table becomes a single run without a name."""
    return {"": rows} if isinstance(rows, pa.Table) else rows


def only(table: pa.Table, **where: Any) -> pa.Table:
    """Rows where each named column has its value: `None` for null, `...` for anything but null, a list for any of it.

    Masks rather than an expression: on the many small tables of a report that is a hundred times faster.
    """
    mask = None
    for column, value in where.items():
        if value is None:
            part = pc.is_null(table[column])
        elif value is ...:
            part = pc.is_valid(table[column])
        elif isinstance(value, list):
            part = pc.is_in(table[column], pa.array(value, table.schema.field(column).type))
        else:
            part = pc.fill_null(pc.equal(table[column], value), False)
        mask = part if mask is None else pc.and_(mask, part)
    return table if mask is None else table.filter(mask)


def select(rows: pa.Table, analysis: str, metric: str, **where: Any) -> pa.Table:
    """Rows of a metric with a finite value, further limited as `only` does."""
    table = only(rows, analysis=analysis, metric=metric, **where)
    return table.filter(pc.fill_null(pc.is_finite(table["value"]), False))


def has(rows: pa.Table, analysis: str, metric: str) -> bool:
    """Whether there is any value of a metric."""
    return select(rows, analysis, metric).num_rows > 0


def require(rows: pa.Table, analysis: str, metric: str) -> pa.Table:
    """Rows of a metric.

    Raises:
        ValueError: there are none.
    """
    table = select(rows, analysis, metric)
    if not table.num_rows:
        known = sorted(pc.unique(only(rows, analysis=analysis)["metric"]).to_pylist())
        there = f"it has {', '.join(known)}" if known else "there are no rows of this analysis"
        raise ValueError(f"no values of metric {metric!r} of analysis {analysis!r} to draw: {there}")
    return table


def series_by(table: pa.Table, *keys: str) -> dict[tuple[Any, ...], Series]:
    """Mean value per step for each combination of the key columns, combinations in ascending order, nulls first."""
    means = table.group_by([*keys, "step"]).aggregate([("value", "mean"), ("tokens", "max")]).to_pylist()
    parts: dict[tuple[Any, ...], list[tuple[int, int | None, float]]] = {}
    for row in means:
        parts.setdefault(tuple(row[key] for key in keys), []).append(
            (row["step"], row["tokens_max"], row["value_mean"])
        )
    found = {}
    for key in sorted(parts, key=lambda key: tuple((part is not None, part) for part in key)):
        steps, tokens, values = zip(*sorted(parts[key], key=lambda point: point[0]), strict=True)
        found[key] = Series(list(steps), list(tokens), list(values))
    return found


def overall(rows: pa.Table, analysis: str, metric: str) -> Series | None:
    """A metric per step over all languages: the rows without a language if there are any.

    Else the mean of all languages, or of all pairs of different ones.
    """
    table = select(rows, analysis, metric)
    whole = only(table, language=None, other_language=None)
    if not whole.num_rows:
        same = pc.fill_null(pc.equal(table["language"], table["other_language"]), False)
        whole = table.filter(pc.invert(same))
    table = whole
    return series_by(table)[()] if table.num_rows else None


def keyed(table: pa.Table, step: int, *keys: str) -> dict[tuple[Any, ...], float]:
    """Mean value at one step for each combination of the key columns."""
    at = only(table, step=step)
    parts: dict[tuple[Any, ...], list[float]] = {}
    for value, *key in zip(at["value"].to_pylist(), *(at[key].to_pylist() for key in keys), strict=True):
        parts.setdefault(tuple(key), []).append(value)
    return {key: math.fsum(values) / len(values) for key, values in parts.items()}


def of_checkpoints(rows: pa.Table) -> pa.Table:
    """Rows of analyses; what is logged while training is of no checkpoint."""
    return rows.filter(pc.not_equal(rows["analysis"], "training"))


def steps_of(table: pa.Table) -> list[int]:
    """Distinct steps, ascending."""
    return sorted(pc.unique(table["step"]).to_pylist())


def tokens_of(table: pa.Table) -> dict[int, int | None]:
    """Tokens seen at each step, null where no row of the step knows them."""
    pairs = table.group_by("step").aggregate([("tokens", "max")]).to_pylist()
    return {row["step"]: row["tokens_max"] for row in pairs}


def point(table: pa.Table, step: int) -> dict[str, int | None]:
    """What identifies data of one step: the step and its tokens."""
    return {"step": step, "tokens": pc.max(only(table, step=step)["tokens"]).as_py()}


def languages_of(rows: pa.Table | Runs) -> list[str]:
    """All languages that occur in any run, sorted: the order that fixes their colours. `unclear` is none."""
    found: set[str] = set()
    for table in as_runs(rows).values():
        for column in ("language", "other_language"):
            found |= set(pc.unique(table[column]).to_pylist())
    return sorted(language for language in found if language not in (None, UNCLEAR))


def values_of(table: pa.Table, column: str) -> list[Any]:
    """Distinct values of a column without null, sorted."""
    return sorted(value for value in pc.unique(table[column]).to_pylist() if value is not None)


def thinned(series: Series, position: Callable[[int], float], bins: int = 100) -> tuple[Series, Series, Series]:
    """Mean, lowest and highest value of at most about 2·`bins` groups of neighbouring steps.

    Groups are cut where either the step or its `position` on the axis passes into the next of `bins` equal parts, so
    that neither a linear nor a log-like axis looks coarse. A short series comes back as it is.
    """
    if len(series.steps) <= 2 * bins:
        return series, series, series
    top = (max(series.steps[-1], 1) / bins, max(position(series.steps[-1]), 1e-9) / bins)
    groups: dict[tuple[int, int], list[int]] = {}
    for index, step in enumerate(series.steps):
        groups.setdefault((math.floor(step / top[0]), math.floor(position(step) / top[1])), []).append(index)

    def reduced(by: Callable[[Sequence[float]], float]) -> Series:
        parts = list(groups.values())
        return Series(
            [series.steps[part[-1]] for part in parts],
            [series.tokens[part[-1]] for part in parts],
            [by([series.values[index] for index in part]) for part in parts],
        )

    return reduced(lambda part: math.fsum(part) / len(part)), reduced(min), reduced(max)
