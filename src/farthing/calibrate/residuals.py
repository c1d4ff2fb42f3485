"""Condenses the errors of predictions into the residuals that intervals are made of.

Only numbers that no constant was fitted to count. For each source and likeness the logarithms of measured
over predicted time are kept as a few quantiles; then, for each kind of time, the factor is found by which
intervals must be widened so that each source, left out in turn, falls inside as often as they promise.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from farthing import catalog
from farthing.catalog.residuals import RESIDUALS, WIDENING
from farthing.estimate.interval import SHARE, half_widths, pooled, widening_key
from farthing.evidence.accuracy import grouped, weighted_quantile
from farthing.records.comparison import Comparison, Likeness
from farthing.records.residual import Residual

QUANTILES: Final = 9
"""At most so many numbers stand for the errors of a source and likeness."""

MOST_SHARE: Final = 0.84
"""So that few sources do not widen intervals without end."""

DATA: Final = Path(catalog.__file__).parent / "data"


def write(comparisons: Sequence[Comparison], folder: Path = DATA) -> None:
    """Write the residuals and the widening of intervals."""
    rows = residuals_of(comparisons)
    (folder / RESIDUALS).write_text(residuals_text(rows), "utf-8")
    (folder / WIDENING).write_text(widening_text(rows), "utf-8")


def residuals_of(comparisons: Sequence[Comparison]) -> list[Residual]:
    """Errors of unfitted cases, by likeness and source, in alphabetical order."""
    evidence = [one for one in comparisons if not (one.reason or one.fitted) and one.likeness.what]
    groups = grouped(
        evidence,
        lambda one: (
            one.likeness.what,
            one.likeness.engine,
            one.likeness.hardware,
            one.likeness.regime,
            one.case.source,
        ),
    )
    found = []
    for (what, engine, hardware, regime, source), mine in sorted(groups.items()):
        # A rate that is predicted too high is a time that is predicted too short.
        logs = np.array([one.log_error if one.rate else -one.log_error for one in mine])
        count = min(len(logs), QUANTILES)
        shares = (np.arange(count) + 0.5) / count
        found.append(
            Residual(
                likeness=Likeness(what=what, engine=engine, hardware=hardware, regime=regime),
                source=source,
                cases=len(logs),
                log_ratios=tuple(
                    float(value)
                    for value in np.round(np.quantile(logs, shares, method="median_unbiased"), 3) + 0.0
                ),
            )
        )
    return found


def residuals_text(rows: Sequence[Residual]) -> str:
    """The table of residuals."""
    return _csv(
        ("what", "engine", "hardware", "regime", "source", "cases", "log_ratios"),
        [
            (
                row.likeness.what,
                row.likeness.engine,
                row.likeness.hardware,
                row.likeness.regime,
                row.source,
                str(row.cases),
                " ".join(f"{value:g}" for value in row.log_ratios),
            )
            for row in rows
        ],
    )


def widening_text(rows: Sequence[Residual]) -> str:
    """The table of factors on the width of intervals."""
    keys = sorted({widening_key(row.likeness) for row in rows})
    return _csv(("what", "factor"), [(key, f"{rounded_up(widening_of(rows, key)):g}") for key in keys])


def rounded_up(factor: float) -> float:
    """To two decimals, as the case that sets a factor must stay inside.

    Examples
    --------
    >>> rounded_up(1.3001)
    1.31
    """
    return math.ceil(factor * 100) / 100


def widening_of(rows: Sequence[Residual], key: str) -> float:
    """The factor at which 80% of the cases of sources left out fall inside, each source counting the same."""
    mine = [row for row in rows if widening_key(row.likeness) == key]
    totals: dict[str, int] = {}
    for row in mine:
        totals[row.source] = totals.get(row.source, 0) + row.cases
    if len(totals) < 2:
        return 1.0 + 1.0 / len(totals)
    scores, weights = [], []
    for row in mine:
        others = [
            other for other in rows if other.likeness.what == row.likeness.what and other.source != row.source
        ]
        points, shares, distance, *_ = pooled(others, row.likeness)
        low, high = half_widths(points, shares, distance)
        for value in row.log_ratios:
            scores.append(value / high if value > 0 else -value / low)
            weights.append(row.cases / totals[row.source] / len(row.log_ratios))
    # The next source is one more that may lie anywhere: conformal prediction counts it.
    share = min(SHARE * (1 + 1 / len(totals)), MOST_SHARE)
    return weighted_quantile(np.array(scores), np.array(weights), share)


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
