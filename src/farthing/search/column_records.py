"""Rows of all the columns inside records, lists and tuples at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from farthing.predict.layer import LayerTime
from farthing.predict.trace import Number
from farthing.predict.training import LayerTimes, PassTimes
from farthing.predict.training_layer import LayerPasses, Parts
from farthing.predict.training_memory import LayerActivations
from farthing.records.plan import TrainingPlan
from farthing.search.training_space import SIZE_COLUMNS

RECORDS: Final = (LayerActivations, LayerPasses, LayerTime, LayerTimes, Parts, PassTimes)
"""What holds columns, or other records of them."""


def mapped(function: Any, values: Sequence[Any]) -> Any:
    """A function of corresponding numbers inside records, lists and tuples of one shape."""
    first = values[0]
    if isinstance(first, (list, tuple)):
        return type(first)(mapped(function, one) for one in zip(*values, strict=True))
    if isinstance(first, RECORDS):
        names = [field.name for field in fields(first)]
        return type(first)(**{n: mapped(function, [getattr(one, n) for one in values]) for n in names})
    return first if first is None else function(values)


def taken(value: Any, rows: Any) -> Any:
    """Some rows of all columns of a plan, or of what was worked out for it."""
    if isinstance(rows, slice) and rows == slice(None):
        return value
    if isinstance(value, TrainingPlan):
        return replace(value, **{name: getattr(value, name)[rows] for name in SIZE_COLUMNS})

    def some(values: Sequence[Number]) -> Number:
        column = values[0]
        return column[rows] if np.ndim(column) and np.shape(column)[0] > 1 else column

    return mapped(some, [value])


def joined(values: Sequence[Any], axis: int, sizes: Sequence[int]) -> Any:
    """Rows below rows (axis 0), or ways to recompute beside each other; what is the same for all stays so."""
    if len(values) == 1:
        return values[0]

    def one_column(parts: Sequence[Number]) -> Number:
        first = parts[0]
        if all(np.ndim(one) == 0 and one == first for one in parts):
            return first
        # The other axis is as long as the longest part, or one where none depends on it.
        across = max((np.shape(one)[1 - axis] for one in parts if np.ndim(one)), default=1)
        shapes = [(size, across) if axis == 0 else (across, size) for size in sizes]
        return np.concatenate(
            [np.broadcast_to(one, shape) for one, shape in zip(parts, shapes, strict=True)], axis=axis
        )

    return mapped(one_column, values)
