"""Which of many candidates are worth showing: the best of each kind, and those that none beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

FRONT: Final = 32
"""Most plans of a front that are estimated in full."""


def best_of_each(values: Column, kinds: NDArray[np.int64]) -> NDArray[np.intp]:
    """The row with the least value of each kind, the best kind first; of equal rows the earlier.

    Parameters
    ----------
    values
        Less is better; infinite rows are out.
    kinds
        A number for each row: rows of one kind have the same.

    Returns
    -------
    array
        Indices of rows.

    Examples
    --------
    >>> best_of_each(np.array([3.0, 2.0, 5.0, 1.0, np.inf]), np.array([7, 7, 8, 9, 4])).tolist()
    [3, 1, 2]
    """
    rows = np.flatnonzero(np.isfinite(values))
    order = rows[np.argsort(values[rows], kind="stable")]
    _, first = np.unique(kinds[order], return_index=True)
    return order[np.sort(first)]


def joined(breaks: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, tuple[str, ...]]:
    """Limits that one plan breaks, each with what would make it keep it, as one sentence and its ways out.

    Examples
    --------
    >>> joined([("takes 3 s", ("a limit of 3 s", "more cards"))])
    ('takes 3 s', ('a limit of 3 s', 'more cards'))
    >>> joined([("takes 3 s", ("a limit of 3 s", "more cards")), ("costs $2", ("a limit of $2",))])
    ('takes 3 s, and costs $2', ('a limit of 3 s and a limit of $2',))
    """
    words = ", and ".join(what for what, _ in breaks)
    if len(breaks) == 1:
        return words, breaks[0][1]
    first = [ways[0] for _, ways in breaks if ways]
    return words, (" and ".join(first),) if first else ()


def pareto_front(figures: Column) -> NDArray[np.intp]:
    """The rows that no other row beats or equals in all figures at once, in the order of the first figure.

    Parameters
    ----------
    figures
        Rows of candidates, one column a figure; less is better; rows with an infinite or missing figure are
        out. Of equal rows the earlier stays.

    Returns
    -------
    array
        Indices of rows.

    Examples
    --------
    >>> pareto_front(np.array([[1.0, 5], [2, 2], [3, 3], [4, 1], [2, 2]])).tolist()
    [0, 1, 3]
    """
    rows = np.flatnonzero(np.isfinite(figures).all(axis=1))
    if not len(rows):
        return rows
    # Sorted by the first figure, then the others, a row can only be beaten by an earlier one.
    rows = rows[np.lexsort(figures[rows].T[::-1])]
    sorted_figures = figures[rows]
    if figures.shape[1] == 1:
        return rows[:1]
    if figures.shape[1] == 2:
        least = np.minimum.accumulate(sorted_figures[:, 1])
        kept = np.r_[True, sorted_figures[1:, 1] < least[:-1]]
        return rows[kept]
    front: list[int] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = sorted_figures[start : start + _CHUNK]
        alive: NDArray[np.bool_] = np.ones(len(chunk), dtype=bool)
        if front:
            # A whole chunk is held against the front so far.
            alive &= ~(sorted_figures[front][:, None, :] <= chunk[None]).all(axis=2).any(axis=0)
        mine: list[int] = []
        for index in np.flatnonzero(alive):
            own = sorted_figures[[start + place for place in mine]]
            if not len(own) or not (own <= chunk[index]).all(axis=1).any():
                mine.append(int(index))
        front += [start + place for place in mine]
    return rows[front]


def thinned(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most `FRONT` of some rows: the ends stay, the others are thinned evenly.

    Examples
    --------
    >>> kept = thinned(np.arange(63))
    >>> len(kept), kept[:3].tolist(), kept[-1].item()
    (32, [0, 2, 4], 62)
    """
    if len(rows) <= FRONT:
        return rows
    kept: NDArray[np.intp] = rows[np.linspace(0, len(rows) - 1, FRONT).round().astype(int)]
    return kept


_CHUNK = 512
"""Rows that are held against the front at once."""
