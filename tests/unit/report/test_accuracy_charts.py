"""Charts of accuracy: what is drawn, what is left out, and that the note says so."""

from __future__ import annotations

import dataclasses
import math

from farthing import api
from farthing.records.accuracy import Outcome
from farthing.report.accuracy_charts import (
    EXACT,
    MOST_POINTS,
    MOST_SOURCES,
    REST,
    error_chart,
    interval_chart,
    predicted_chart,
)

ONE = Outcome(
    kind="consumer",
    file="consumer.csv",
    id="1",
    group="consumer, decode",
    quantity="decode_tok_s",
    name="tokens decoded",
    unit="token/s",
    source="us",
    citation="",
    url="",
    setup="Llama-3-8B on 1 x RTX 3090",
    measured=50.0,
    predicted=60.0,
)


def copies(number: int, **changes: object) -> list[Outcome]:
    return [dataclasses.replace(ONE, **changes) for _ in range(number)]  # type: ignore[arg-type]


def drawn(chart: object) -> int:
    return sum(len(one.points) for one in chart.series if one.name != EXACT)  # type: ignore[attr-defined]


def test_a_large_group_is_thinned_and_says_so() -> None:
    rows = api.outcomes(group="attention")
    chart = predicted_chart(rows)
    assert drawn(chart) == MOST_POINTS
    assert f"{MOST_POINTS:,} of " in chart.note
    assert predicted_chart(rows) == chart
    assert all(point.detail for one in chart.series if one.name != EXACT for point in one.points)


def test_every_group_can_be_drawn() -> None:
    for row in api.accuracy().by_group:
        chart = predicted_chart(api.outcomes(kind=row.kind, group=row.group))
        assert drawn(chart) > 0, row.group
        assert drawn(chart) <= MOST_POINTS
        assert len(chart.series) <= MOST_SOURCES + 2
        assert chart.drawable is chart


def test_small_sources_share_a_series() -> None:
    rows = [one for number in range(12) for one in copies(13 - number, source=f"source {number}")]
    names = [one.name for one in predicted_chart(rows).series]
    assert names == [EXACT, *(f"source {number}" for number in range(MOST_SOURCES)), REST]
    nine = [one for number in range(MOST_SOURCES + 1) for one in copies(2, source=f"source {number}")]
    assert REST not in [one.name for one in predicted_chart(nine).series]


def test_only_evidence_of_one_quantity_is_drawn() -> None:
    rows = [
        *copies(3),
        *copies(2, fitted=True),
        *copies(1, name="prompts read"),
        *copies(1, reason="unknown card", predicted=math.nan),
    ]
    chart = predicted_chart(rows)
    assert drawn(chart) == 3
    assert "1 of other quantities are left out" in chart.note
    assert "2 that constants were fitted to are left out" in chart.note
    assert drawn(predicted_chart(rows, fitted=True)) == 5
    assert "fitted to all" in predicted_chart(copies(2, fitted=True)).note


def test_nothing_to_draw() -> None:
    assert drawn(predicted_chart([])) == 0


def test_bars_of_all_groups() -> None:
    found = api.accuracy()
    ours, constant = error_chart(found).series
    assert len(ours.points) == len(found.by_group)
    assert {point.label for point in constant.points} <= {point.label for point in ours.points}
    inside = interval_chart(found).series[0].points
    assert inside
    assert all(0 <= point.x <= 100 for point in inside)
