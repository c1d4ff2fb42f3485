"""Charts refuse what cannot be drawn, and say what they leave out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from farthing.errors import InvalidInput
from farthing.records.chart import Axis, Chart, Point, Series


def chart(*points: Point, kind: str = "scatter", **more: Any) -> Chart:
    axes: dict[str, Any] = {"x": Axis(title="x"), "y": Axis(title="y")}
    series = (Series(name="all", points=points),)
    return Chart(**{"title": "t", "kind": kind, "series": series, **axes, **more})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e301])
def test_points_without_a_place_are_counted(value: float) -> None:
    found = chart(Point(x=1.0, y=2.0), Point(x=value, y=1.0), Point(x=1.0, y=value), note="Why.").drawable
    assert [point.y for point in found.series[0].points] == [2.0]
    assert found.note == "Why. 2 points without a finite value are left out."
    assert found.drawable is found


def test_a_log_axis_has_no_zero() -> None:
    whole = chart(Point(x=0.0, y=1.0), Point(x=-1.0, y=1.0), Point(x=1.0, y=-5.0))
    assert whole.drawable is whole
    found = chart(*whole.series[0].points, x=Axis(title="x", scale="log")).drawable
    assert [point.x for point in found.series[0].points] == [1.0]
    assert "above 0 on a log axis" in found.note


def test_bars_are_judged_by_their_length_alone() -> None:
    found = chart(Point(x=3.0, y=math.nan, label="a"), Point(x=math.nan, label="b"), kind="bar").drawable
    assert [point.label for point in found.series[0].points] == ["a"]
    assert found.note == "1 bar without a finite value is left out."


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "pie"}, "must be one of scatter, line, bar, stacked-bar, timeline, not 'pie'"),
        ({"title": " "}, "needs a title"),
        ({"series": (Series(name="a", points=()), Series(name="a", points=()))}, "two series are named 'a'"),
        ({"kind": "bar", "x": Axis(title="x", scale="log")}, "use linear"),
    ],
)
def test_what_makes_no_chart(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        chart(Point(x=1.0, y=1.0), **wrong)


@pytest.mark.parametrize("kind", ["bar", "stacked-bar"])
def test_bars_begin_at_zero_and_have_names_of_their_own(kind: str) -> None:
    with pytest.raises(InvalidInput, match="bar 'a' is -1; a bar must be 0 or more"):
        chart(Point(x=-1.0, label="a"), kind=kind)
    with pytest.raises(InvalidInput, match="two bars are named 'a'"):
        chart(Point(x=1.0, label="a"), Point(x=2.0, label="a"), kind=kind)


def test_bars_of_a_timeline_share_a_row_and_end_after_they_begin() -> None:
    good = chart(Point(x=1.0, label="a"), Point(start=1.0, x=2.0, label="a"), kind="timeline")
    assert good.has_bars
    for start, end in ((2.0, 1.0), (-1.0, 1.0)):
        with pytest.raises(InvalidInput, match="begin at 0 or later"):
            chart(Point(start=start, x=end, label="a"), kind="timeline")
    lost = chart(Point(x=math.inf, label="a"), Point(start=math.nan, x=2.0, label="b"), kind="timeline")
    assert lost.drawable.note == "2 bars without a finite value are left out."


@pytest.mark.parametrize("value", ["1", None, True, 10**400])
def test_a_place_is_a_number(value: Any) -> None:
    with pytest.raises(InvalidInput, match="must be a number"):
        Point(x=value)
    with pytest.raises(InvalidInput, match="must be a number"):
        Point(x=1.0, y=value)


def test_words_of_axes_and_series_are_known() -> None:
    with pytest.raises(InvalidInput, match="one of linear, log, not 'root'"):
        Axis(title="x", scale="root")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="one of point, line, step, rest, not 'curve'"):
        Series(name="a", points=(), style="curve")  # type: ignore[arg-type]
