"""How far off predictions are: 80% intervals from the errors of like ones.

Conformal prediction over sources: the errors of a handful of sources are pooled, the nearest first, and the
interval is widened by a factor per kind of time, such that a source left out falls inside as often as said.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.catalog.residuals import residuals, widening
from farthing.records.comparison import Interval, Likeness
from farthing.records.residual import Residual

SHARE: Final = 0.8
"""Of the truths, how many an interval should hold."""

HANDFUL: Final = 4
"""Sources that make an interval; where the nearest are fewer, the next nearest fill up."""

DISTANCE: Final = 0.15
"""How much wider an interval is for each level that its sources are away."""

LEAST: Final = 0.03
"""No half of an interval is narrower (as a logarithm)."""

LEVELS: Final = (
    (("engine", "hardware", "regime"), "like cases"),
    (("engine", "regime"), "cases of this engine on other cards"),
    (("hardware", "regime"), "cases of these cards under other engines"),
    (("regime",), "cases of other engines and cards"),
    (("engine",), "cases of this engine in other use"),
    ((), "cases of other engines, cards and uses"),
)
"""What a residual must share to count as so near, and how it is called."""

Pool = tuple[NDArray[np.float64], NDArray[np.float64], float, int, int, int]


def interval(likeness: Likeness, exclude_source: str = "") -> Interval:
    """The interval of a prediction, as factors on the predicted time or size.

    Parameters
    ----------
    likeness
        Of the prediction.
    exclude_source
        A source whose errors do not count, as when its own cases are judged.

    Returns
    -------
    Interval
        With no cases, and factors of NaN, where nothing of the kind was measured.

    Examples
    --------
    >>> interval(Likeness(what="tea")).basis
    'not validated: nothing like it was measured'
    """
    if exclude_source and exclude_source not in _sources(likeness.what):
        exclude_source = ""
    return _interval(likeness, exclude_source)


@functools.cache
def _sources(what: str) -> frozenset[str]:
    return frozenset(residual.source for residual in residuals().get(what, ()))


@functools.lru_cache(maxsize=65536)
def _interval(likeness: Likeness, exclude_source: str) -> Interval:
    rows = [row for row in residuals().get(likeness.what, ()) if row.source != exclude_source]
    if not rows:
        return Interval(
            likeness=likeness,
            low=math.nan,
            high=math.nan,
            cases=0,
            sources=0,
            basis="not validated: nothing like it was measured",
        )
    points, weights, distance, nearest, cases, sources = pooled(rows, likeness)
    low, high = half_widths(points, weights, distance)
    factors = widening()
    factor = factors.get(widening_key(likeness), factors.get(likeness.what, 1.0))
    plural = "" if sources == 1 else "s"
    what = LEVELS[nearest][1]
    if cases == 1:
        what = what.replace("cases", "case")
    return Interval(
        likeness=likeness,
        low=math.exp(-low * factor),
        high=math.exp(high * factor),
        cases=cases,
        sources=sources,
        basis=f"{cases:,} {what} of {sources:,} source{plural}",
    )


LOCAL_ENGINES: Final = ("llama.cpp", "mlx", "exllamav2", "mlc-llm", "tinychat", "ktransformers")
"""Families of engines that people run at home."""


def widening_key(likeness: Likeness) -> str:
    """What intervals are widened alike: networks add errors, and servers differ from engines at home.

    Examples
    --------
    >>> widening_key(Likeness(what="decode", regime="over hosts, batch 1"))
    'decode over hosts'
    >>> widening_key(Likeness(what="prefill", engine="mlx"))
    'prefill at home'
    """
    if likeness.regime.startswith("over hosts"):
        return f"{likeness.what} over hosts"
    return f"{likeness.what} at home" if likeness.engine in LOCAL_ENGINES else likeness.what


def level(one: Likeness, other: Likeness) -> int:
    """How far apart two likenesses are, as an index of `LEVELS`."""
    for number, (fields, _) in enumerate(LEVELS):
        if all(getattr(one, field) == getattr(other, field) for field in fields):
            return number
    return len(LEVELS) - 1


def pooled(rows: Sequence[Residual], likeness: Likeness) -> Pool:
    """Errors of the nearest handful of sources, their weights and distance; level, cases, sources nearest.

    Each source speaks once, with its nearest cases; sources of a level share alike in what the nearer leave
    of the handful.
    """
    levels = np.array([level(likeness, row.likeness) for row in rows])
    nearest: dict[str, int] = {}
    for row, rank in zip(rows, levels.tolist(), strict=True):
        nearest[row.source] = min(rank, nearest.get(row.source, rank))
    totals: dict[str, int] = {}
    used = [rank == nearest[row.source] for row, rank in zip(rows, levels.tolist(), strict=True)]
    for row, counts in zip(rows, used, strict=True):
        if counts:
            totals[row.source] = totals.get(row.source, 0) + row.cases
    share, room, distance = {}, float(HANDFUL), 0.0
    for rank in sorted(set(nearest.values())):
        here = sum(found == rank for found in nearest.values())
        weight = max(min(room, here), 0.0)
        share[rank] = weight / here
        room -= weight
        distance += weight * rank
    points: list[float] = []
    weights: list[float] = []
    for row, counts in zip(rows, used, strict=True):
        each = share[nearest[row.source]] * row.cases / totals[row.source] / len(row.log_ratios)
        if counts and each:
            points += row.log_ratios
            weights += [each] * len(row.log_ratios)
    first = min(nearest.values())
    own = [source for source, rank in nearest.items() if rank == first]
    return (
        np.array(points),
        np.array(weights),
        distance / sum(weights),
        first,
        sum(totals[source] for source in own),
        len(own),
    )


def half_widths(
    points: NDArray[np.float64], weights: NDArray[np.float64], distance: float
) -> tuple[float, float]:
    """How far the interval reaches below and above the prediction, as logarithms, before widening."""
    order = np.argsort(points, kind="stable")
    reached = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    outside = (1 - SHARE) / 2
    low, high = np.interp((outside, 1 - outside), reached, points[order])
    far = 1 + DISTANCE * distance
    return max(-float(low), LEAST) * far, max(float(high), LEAST) * far


def forget() -> None:
    """Look residuals up again when next asked."""
    _interval.cache_clear()
    _sources.cache_clear()
