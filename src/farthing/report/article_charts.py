"""Charts of the article: what its numbers become, and how far off they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from farthing.records.article import SECTIONS, ArticleRow
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.report.article import shown

OFF: Final = 0.1
"""A number is drawn where it is off by more than this."""

LARGEST: Final = 4.0
"""Larger ratios would leave no room to read the others; they are told in words."""

_RATIOS: Final = (
    ("recomputed under its own assumptions", "recomputed_ratio", "recomputed"),
    ("realistic", "realistic_ratio", "realistic"),
)

_STEPS: Final = ((1.02, "within 2%"), (1.1, "within 10%"), (2.0, "within 2 times"), (10.0, "within 10 times"))
_BEYOND: Final = "further off"


def article_charts(rows: Sequence[ArticleRow]) -> tuple[Chart, ...]:
    """How far off the article's numbers are, and those that are off, part by part.

    Parameters
    ----------
    rows
        Of all parts, or of some.
    """
    parts = [[row for row in rows if row.section == section] for section in SECTIONS]
    found = (distance_chart(rows), *(ratio_chart(part) for part in parts if part))
    return tuple(chart for chart in found if any(one.points for one in chart.series))


def distance_chart(rows: Sequence[ArticleRow]) -> Chart:
    """How many of the printed numbers are how far off, either way."""
    series = []
    for name, ratio, _ in _RATIOS:
        counts = dict.fromkeys([*(words for _, words in _STEPS), _BEYOND], 0)
        for row in rows:
            value = getattr(row, ratio)
            if value is not None and value > 0:
                counts[_distance(value)] += 1
        points = tuple(Point(x=count, label=words) for words, count in counts.items())
        series.append(Series(name=name, points=points if any(counts.values()) else ()))
    printed = sum(row.printed is not None for row in rows)
    return Chart(
        title="How far off the article's numbers are",
        kind="bar",
        x=Axis(title="numbers"),
        y=Axis(title="off"),
        series=tuple(series),
        note=f"Of {printed:,} that it prints.",
    )


def _distance(ratio: float) -> str:
    factor = max(ratio, 1 / ratio)
    return next((words for most, words in _STEPS if factor <= most + 1e-9), _BEYOND)


def ratio_chart(rows: Sequence[ArticleRow]) -> Chart:
    """Recomputed and realistic over printed, of the numbers that are off by more than a tenth.

    Parameters
    ----------
    rows
        Of one part of the article.
    """
    off, beyond = [], []
    for row in rows:
        ratios = [value for _, name, _ in _RATIOS if (value := getattr(row, name)) is not None]
        if any(value > LARGEST for value in ratios):
            beyond.append(f"{row.what} ({max(ratios):,.3g} times)")
        elif any(abs(value - 1) > OFF for value in ratios):
            off.append(row)
    series = []
    for name, ratio, field in _RATIOS:
        points = [
            Point(x=getattr(row, ratio), label=row.what, detail=_detail(row, field))
            for row in off
            if getattr(row, ratio) is not None
        ]
        series.append(Series(name=name, points=tuple(points)))
    printed = sum(row.printed is not None for row in rows)
    note = f"{len(off):,} of {printed:,} numbers are off by more than {OFF:.0%}; 1 is as printed."
    if beyond:
        note += f" Larger: {', '.join(beyond)}."
    section = rows[0].section if rows else ""
    return Chart(
        title=f"{SECTIONS.get(section, 'Article')}: over what the article prints",
        kind="bar",
        x=Axis(title="times what is printed"),
        y=Axis(title="number"),
        series=tuple(series),
        note=note,
    )


def _detail(row: ArticleRow, field: str) -> str:
    value = getattr(row, field)
    words = f"{shown(value, row.unit)}; printed {shown(row.printed, row.unit)}"
    return f"{words}. {row.note}".rstrip(". ") + "." if math.isfinite(value) else words
