"""Charts of accuracy: predicted against measured, errors beside a trivial baseline's, what intervals hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from farthing.records.accuracy import Accuracy, AccuracyOverview, Outcome
from farthing.records.chart import Axis, Chart, Point, Series

MOST_POINTS: Final = 1500
"""So many numbers are drawn; more would hide each other."""

MOST_SOURCES: Final = 8
"""Sources with a colour of their own; the rest shares one."""

PROMISED: Final = 80.0
"""Percent of the measurements that an interval is to hold."""

REST: Final = "other sources"
EXACT: Final = "exact"


def predicted_chart(outcomes: Sequence[Outcome], title: str = "", *, fitted: bool = False) -> Chart:
    """Predicted against measured, a colour a source.

    Parameters
    ----------
    outcomes
        Of one group. Of several quantities the one is drawn that most numbers are of.
    title
        By default the group.
    fitted
        Draw also the numbers that constants were fitted to; where there are no others, they are drawn.

    Examples
    --------
    >>> one = Outcome(kind="consumer", file="consumer.csv", id="1", group="consumer, decode",
    ...               quantity="decode_tok_s", name="tokens decoded", unit="token/s", source="us",
    ...               citation="", url="", setup="Llama-3-8B on 1 x RTX 3090", measured=50.0, predicted=55.0)
    >>> chart = predicted_chart([one])
    >>> [series.name for series in chart.series], chart.series[1].points[0].detail
    (['exact', 'us'], 'Llama-3-8B on 1 x RTX 3090: measured 50, predicted 55 token/s (+10%); us')
    """
    predicted = [one for one in outcomes if not one.reason and one.measured > 0 and one.predicted > 0]
    evidence = [one for one in predicted if not one.fitted]
    judged = predicted if fitted or not evidence else evidence
    quantity, unit, mine = _largest(judged)
    shown = thinned(mine, MOST_POINTS)
    notes = []
    if len(shown) < len(mine):
        notes.append(f"{len(shown):,} of {len(mine):,} numbers, evenly chosen.")
    if len(mine) < len(judged):
        notes.append(f"{len(judged) - len(mine):,} of other quantities are left out.")
    if len(judged) < len(predicted):
        notes.append(f"{len(predicted) - len(judged):,} that constants were fitted to are left out.")
    elif predicted and not evidence:
        notes.append("Constants were fitted to all of them.")
    return Chart(
        title=title or next((one.group for one in mine), "") or "Predicted against measured",
        kind="scatter",
        x=Axis(title=f"measured {quantity}".strip(), unit=unit, scale="log"),
        y=Axis(title=f"predicted {quantity}".strip(), unit=unit, scale="log"),
        series=(*_diagonal(shown), *_by_source(mine, shown)),
        note=" ".join(notes),
    )


def _largest(outcomes: Sequence[Outcome]) -> tuple[str, str, list[Outcome]]:
    """Name and unit of the quantity that most numbers are of, and these."""
    counts = Counter((one.name, one.unit) for one in outcomes)
    if not counts:
        return "", "", []
    (name, unit), _ = counts.most_common(1)[0]
    return name, unit, [one for one in outcomes if (one.name, one.unit) == (name, unit)]


def thinned(outcomes: Sequence[Outcome], most: int) -> list[Outcome]:
    """So many at most, evenly over their order; the same ones each time.

    Examples
    --------
    >>> thinned(range(10), 4)
    [2, 4, 7, 9]
    """
    number = len(outcomes)
    if number <= most:
        return list(outcomes)
    return [one for i, one in enumerate(outcomes, start=1) if i * most // number > (i - 1) * most // number]


def _diagonal(shown: Sequence[Outcome]) -> tuple[Series, ...]:
    values = [value for one in shown for value in (one.measured, one.predicted)]
    if not values:
        return ()
    ends = (min(values), max(values))
    return (Series(name=EXACT, style="line", points=tuple(Point(x=end, y=end) for end in ends)),)


def _by_source(mine: Sequence[Outcome], shown: Sequence[Outcome]) -> tuple[Series, ...]:
    counts = Counter(one.source for one in mine)
    most = MOST_SOURCES if len(counts) > MOST_SOURCES + 1 else MOST_SOURCES + 1
    own = [source for source, _ in counts.most_common(most)]
    points: dict[str, list[Point]] = {name: [] for name in (*own, REST)}
    for one in shown:
        at = Point(x=one.measured, y=one.predicted, detail=_detail(one))
        points[one.source if one.source in own else REST].append(at)
    return tuple(Series(name=name, points=tuple(mine)) for name, mine in points.items() if mine)


def _detail(one: Outcome) -> str:
    unit = f" {one.unit}" if one.unit else ""
    fitted = "; fitted" if one.fitted else ""
    return (
        f"{one.setup}: measured {one.measured:.4g}, predicted {one.predicted:.4g}{unit} "
        f"({one.error:+.0%}); {one.source}{fitted}"
    )


def error_chart(found: AccuracyOverview) -> Chart:
    """Median error of each group beside the trivial baseline's."""
    rows = [row for row in found.by_group if not math.isnan(row.median_error)]
    series = [
        Series(
            name=name,
            points=tuple(
                Point(x=100 * getattr(row, field), label=_label(row), detail=_counted(row))
                for row in rows
                if not math.isnan(getattr(row, field))
            ),
        )
        for name, field in (("farthing", "median_error"), ("one constant times the peaks", "baseline_error"))
    ]
    return Chart(
        title="Median error by group",
        kind="bar",
        x=Axis(title="median of |predicted / measured - 1|", unit="%"),
        y=Axis(title="group"),
        series=tuple(series),
        note="Sources count alike. The constant is fitted to the very numbers that it is judged on.",
    )


def interval_chart(found: AccuracyOverview) -> Chart:
    """Share of each group's measurements that their 80% intervals hold."""
    rows = [row for row in found.by_group if not math.isnan(row.inside_80)]
    points = tuple(Point(x=100 * row.inside_80, label=_label(row), detail=_counted(row)) for row in rows)
    return Chart(
        title="Measurements inside their 80% interval",
        kind="bar",
        x=Axis(title="share inside", unit="%"),
        y=Axis(title="group"),
        series=(Series(name="inside", points=points),),
        note=f"Right intervals hold {PROMISED:.0f}%; each is learned from all sources but the number's own.",
    )


def _label(row: Accuracy) -> str:
    return row.group if row.evidence else f"{row.group} (fitted)"


def _counted(row: Accuracy) -> str:
    judged = row.evidence or round(row.cases * row.coverage)
    plural = "s" if row.sources != 1 else ""
    return f"{judged:,} numbers of {row.sources:,} source{plural}"
