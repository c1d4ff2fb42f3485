"""A timeline as a view of Vega-Lite: a row for each name, and in it bars from one time to another.

Series differ in colour and in how high their bars are, so that they are told apart without colour too.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

from farthing.records.chart import Chart
from farthing.report.label_places import text_width
from farthing.report.palette import Theme, lightness
from farthing.report.ticks import Ticks, figure, ticks
from farthing.report.vega_bars import (
    bar_frame,
    broken_names,
    colour_of_series,
    lengths_axis,
    names_axis,
    series_colours,
)
from farthing.report.vega_legend import tooltips

HEIGHTS: Final = (1.0, 0.7, 0.4)
"""Of the bars of the series, over that of a row; after the last come the first again."""

_ROWS: Final = ((8, 30), (16, 24), (32, 18))
"""So many rows, and how high each is then [pixel]."""

_LEAST_ROW: Final = 14
_SIGN: Final = 9
"""Size of what is written in the bars [pixel]."""

_EDGED: Final = 0.005
"""Bars that are mostly longer than this share of the axis have an edge."""

_MOSTLY: Final = 0.9
"""Where fewer bars of a series have room for their signs, none has one."""


def timeline_view(chart: Chart, theme: Theme) -> dict[str, Any]:
    """The view of a timeline with at least one bar."""
    names = broken_names(chart)
    thick = next((high for most, high in _ROWS if len(names) <= most), _LEAST_ROW)
    frame = bar_frame(names, thick)
    axis = _until_the_end(chart)
    y = names_axis(names, theme)
    y["scale"] = {"paddingInner": 0.2, "paddingOuter": 0.1}
    layers = [_idle(chart, names, theme, y)]
    for number, (one, colour) in enumerate(zip(chart.series, series_colours(chart, theme), strict=True)):
        rows: list[dict[str, Any]] = []
        rooms: list[float] = []
        for point in one.points:
            room = (axis.share(point.x) - axis.share(point.start)) * frame["width"]
            rooms.append(room - text_width(point.sign, _SIGN))
            row: dict[str, Any] = {
                "bar": names[point.label],
                "name": point.label,
                "series": one.name,
                "start": float(point.start),
                "value": float(point.x),
                "from": figure(point.start),
                "text": figure(point.x),
                "detail": point.detail,
            }
            if point.sign:
                row |= {"sign": point.sign, "middle": point.start / 2 + point.x / 2}
            rows.append(row)
        if sum(room > 0 for room in rooms) < _MOSTLY * len(rooms):
            # Signs in some bars alone are harder to read than none.
            rows = [{key: value for key, value in row.items() if key != "sign"} for row in rows]
        layers += _bars(chart, rows, colour, HEIGHTS[number % len(HEIGHTS)], y, theme, axis)
    return {**frame, "layer": layers}


def _until_the_end(chart: Chart) -> Ticks:
    """The axis of time, which ends where the last bar does."""
    end = max(point.x for one in chart.series for point in one.points)
    found = ticks([end], "linear", zero=True)
    values = tuple(value for value in found.values if value <= end)
    return Ticks(low=0.0, high=end or 1.0, values=values, scale="linear")


def _idle(chart: Chart, names: dict[str, str], theme: Theme, y: dict[str, Any]) -> dict[str, Any]:
    """A pale bar behind each row, which shows where it is empty."""
    end = max(point.x for one in chart.series for point in one.points)
    return {
        "data": {"values": [{"bar": name, "from": 0.0, "to": float(end)} for name in names.values()]},
        "mark": {"type": "bar", "color": theme.grid, "aria": False},
        "encoding": {"y": y, "x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
    }


def _bars(
    chart: Chart,
    rows: list[dict[str, Any]],
    colour: str,
    height: float,
    y: dict[str, Any],
    theme: Theme,
    axis: Ticks,
) -> list[dict[str, Any]]:
    """The bars of one series, and the signs in them."""
    told = {"name": chart.y.title or "row", "series": "series", "from": "from", "text": "to"}
    if any(row["detail"] for row in rows):
        told["detail"] = "detail"
    widths = [axis.share(row["value"]) - axis.share(row["start"]) for row in rows]
    mark: dict[str, Any] = {"type": "bar", "height": {"band": height}}
    if statistics.median(widths or [0.0]) > _EDGED:
        # Around bars of a few pixels an edge would be most of what is seen.
        mark |= {"stroke": theme.ground, "strokeWidth": 0.6}
    bar = {
        "data": {"values": rows},
        "mark": mark,
        "encoding": {
            "y": y,
            "x": {**lengths_axis(chart, axis), "field": "start"},
            "x2": {"field": "value"},
            "color": colour_of_series(chart, theme),
            "tooltip": tooltips(told),
        },
    }
    signs = [{key: row[key] for key in ("bar", "middle", "sign")} for row in rows if "sign" in row]
    if not signs:
        return [bar]
    dark = lightness(colour) < 0.179  # Above it black has the better contrast.
    text = {
        "data": {"values": signs},
        "mark": {"type": "text", "color": "#ffffff" if dark else "#000000", "fontSize": _SIGN, "aria": False},
        "encoding": {
            "y": y,
            "x": {"field": "middle", "type": "quantitative"},
            "text": {"field": "sign"},
        },
    }
    return [bar, text]
