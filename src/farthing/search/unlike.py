"""Rows of columns that differ: what is the same for several of them is worked out once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


def unlike_rows(*columns: NDArray[Any]) -> tuple[Indices, Indices]:
    """Rows that differ in flags, or in small numbers that are 0 or more.

    Parameters
    ----------
    columns
        Of equal length.

    Returns
    -------
    array, array
        A row of each kind, in the order of the columns, and the kind that each row is of.

    Examples
    --------
    >>> first, kind = unlike_rows(np.array([4, 2, 4, 2]), np.array([7, 7, 7, 7]))
    >>> first.tolist(), kind.tolist()
    ([1, 0], [1, 0, 1, 0])
    """
    key = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        # Few values occur: their ranks keep the keys small.
        column = values.astype(np.intp)
        ranks = np.cumsum(np.bincount(column) > 0) - 1
        key = key * (ranks[-1] + 1) + ranks[column]
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    return first, kind
