"""Charts as Vega-Lite: the data, names that are told apart, and labels that keep clear of each other."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.sample_charts import CHARTS, COSTS, EMPTY, FRONT, PER_USD, ROOM, STEP, WAYS

from farthing.errors import InvalidInput
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.report.label_places import label_boxes, spread
from farthing.report.palette import DARK, LIGHT, lightness
from farthing.report.vega import vega_lite


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All mappings in a specification."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from nodes(part)


def rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        row for node in nodes(spec) if "values" in node for row in node["values"] if isinstance(row, dict)
    ]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
@pytest.mark.parametrize("dark", [False, True])
def test_the_specification_has_all_values_and_no_address(chart: Chart, dark: bool) -> None:
    spec = vega_lite(chart, dark)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    held = rows(spec)
    fields = ("series", "name", "value") if chart.has_bars else ("series", "x", "y")
    drawn = {tuple(row.get(field) for field in fields) for row in held}
    for one in chart.series:
        for point in one.points:
            place = (point.label, point.x) if chart.has_bars else (point.x, point.y)
            assert (one.name, *place) in drawn
    assert not [node for node in nodes(spec) if "url" in node]
    assert any("tooltip" in node for node in nodes(spec))
    assert chart.title in spec["description"]


def test_several_are_stacked_with_colours_of_their_own() -> None:
    spec = vega_lite(CHARTS)
    assert [view["title"]["text"] for view in spec["vconcat"]] == [[chart.title] for chart in CHARTS]
    assert spec["resolve"]["scale"]["color"] == "independent"
    assert not [view for view in spec["vconcat"] if "config" in view or "$schema" in view]


def test_no_chart_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no chart"):
        vega_lite([])


def test_nothing_is_said_to_be_nothing() -> None:
    assert vega_lite(EMPTY)["mark"]["text"] == "nothing to draw"


def test_lost_points_are_told() -> None:
    series = (Series(name="a", points=(Point(x=math.nan, y=1.0), Point(x=1.0, y=1.0))),)
    spec = vega_lite(Chart(title="t", kind="scatter", x=Axis(title="x"), y=Axis(title="y"), series=series))
    assert spec["title"]["subtitle"] == ["1 point without a finite value is left out."]


def test_parts_of_a_stack_begin_where_others_end() -> None:
    parts = [row for row in rows(vega_lite(COSTS)) if row.get("name") == "1x8 h100-sxm"]
    assert [row["series"] for row in parts] == [one.name for one in COSTS.series]
    for one, after in itertools.pairwise(parts):
        assert one["to"] == after["from"]
    assert parts[-1]["to"] == pytest.approx(2.0)


def test_what_is_left_is_pale_and_the_sum_stands_in_it() -> None:
    spec = vega_lite(ROOM)
    assert spec["layer"][0]["encoding"]["color"]["scale"]["range"][1] == LIGHT.grid
    sums = spec["layer"][-1]["data"]["values"]
    assert [(row["bar"], row["to"]) for row in sums] == [("stage 1", 20.0), ("stage 2", 30.0)]


def test_series_of_a_timeline_differ_in_height_and_begin_where_they_say() -> None:
    spec = vega_lite(STEP)
    marks = [layer["mark"] for layer in spec["layer"] if layer["mark"].get("height")]
    assert [mark["height"]["band"] for mark in marks] == [1.0, 0.7]
    held = [row for row in rows(spec) if "start" in row]
    assert {(row["start"], row["value"]) for row in held if row["series"] == "forward"} == {
        (10.0 * step, 10.0 * (step + 1)) for step in range(4)
    }
    assert "stage 1 from 0 to 120" in spec["description"]
    assert [row["sign"] for row in rows(spec) if "middle" in row and "start" not in row]


def test_signs_are_written_where_most_have_room() -> None:
    points = tuple(Point(start=i / 100, x=(i + 1) / 100, label="a", sign=str(i)) for i in range(300))
    one = Chart(title="t", kind="timeline", x=STEP.x, y=STEP.y, series=(Series(name="b", points=points),))
    assert not [row for row in rows(vega_lite(one)) if "sign" in row]


def test_lines_are_named_at_their_ends_and_points_in_a_key() -> None:
    def keys(chart: Chart) -> list[Any]:
        return [node["legend"] for node in nodes(vega_lite(chart)["layer"]) if node.get("legend")]

    assert not keys(WAYS)
    assert keys(FRONT)
    assert not keys(PER_USD)
    short = Series(name="short", style="line", points=(Point(x=0.0, y=1.0), Point(x=20.0, y=1.0)))
    ends_early = Chart(title="t", kind="line", x=WAYS.x, y=WAYS.y, series=(*WAYS.series, short))
    assert keys(ends_early)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_colours_differ_from_each_other_and_from_the_ground(theme: Any) -> None:
    colours = [theme.colour(number) for number in range(14)]
    assert len(set(colours)) == 14
    ground = lightness(theme.ground)
    for colour in [*theme.colours, theme.text, theme.quiet]:
        light, dark = sorted((lightness(colour), ground), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 2


@given(st.lists(st.tuples(st.floats(0, 540), st.floats(0, 360)), min_size=1, max_size=8))
def test_labels_do_not_lie_on_each_other(anchors: list[tuple[float, float]]) -> None:
    boxes = label_boxes(anchors, ["8x4 rtx-4090"] * len(anchors), anchors, 540, 360, 12)
    for one, other in itertools.combinations(boxes, 2):
        assert one.shared(other) == 0
    for box in boxes:
        assert min(box.left, box.top) >= -1
        assert box.right <= 541
        assert box.bottom <= 361


@given(st.lists(st.floats(0, 300), min_size=1, max_size=9))
def test_spread_keeps_order_and_distance(places: list[float]) -> None:
    found = spread(places, 16, 300)
    low_to_high = sorted(found)
    assert all(b - a >= 16 - 1e-6 for a, b in itertools.pairwise(low_to_high))
    assert low_to_high[0] >= -1e-6
    assert low_to_high[-1] <= 300 + 1e-6
    order = sorted(range(len(places)), key=places.__getitem__)
    assert [found[number] for number in order] == low_to_high
