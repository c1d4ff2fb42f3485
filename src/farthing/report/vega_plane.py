"""Points and lines as a view of Vega-Lite, with labels that keep clear of each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from farthing.records.chart import Chart, Point, Series
from farthing.report.label_places import label_boxes, spread, text_width
from farthing.report.palette import DASHES, SHAPES, Theme
from farthing.report.ticks import Ticks, figure, ticks
from farthing.report.vega_bars import number_axis
from farthing.report.vega_legend import WIDTH, legend, tooltips

HEIGHT: Final = 360
DENSE: Final = 60
"""Points of a line beyond which it has no signs."""
_LABEL: Final = 12
"""Size of the labels [pixel]."""

_LIMIT: Final = 400
"""A longer label is cut; the tooltip has the whole [pixel]."""

_FAR: Final = 12.0
"""A label further from its point gets a line to it [pixel]."""

_INTERPOLATE: Final = {"line": "linear", "step": "step-after"}


class _Frame:
    """Places in pixels of the values of a chart."""

    def __init__(self, chart: Chart) -> None:
        points = [point for one in chart.series for point in one.points]
        self.x = ticks([point.x for point in points], chart.x.scale)
        self.y = ticks([point.y for point in points], chart.y.scale)

    def place(self, point: Point) -> tuple[float, float]:
        return self.x.share(point.x) * WIDTH, (1 - self.y.share(point.y)) * HEIGHT

    def value(self, across: float, down: float) -> dict[str, float]:
        return {"x": self.x.value(across / WIDTH), "y": self.y.value(1 - down / HEIGHT)}


def plane_view(chart: Chart, theme: Theme) -> dict[str, Any]:
    """The view of a chart of points and lines, at least one point."""
    frame = _Frame(chart)
    named = _named_at_ends(chart, frame)
    names = [one.name for one in chart.series]
    colours = _colours(chart, theme)
    # Between the key and the area stands the title of the upright axis.
    key = None if named or len(names) < 2 else {**legend(names), "offset": 30}
    shared = {
        "x": _axis(chart.x.text, "x", frame.x),
        "y": _axis(chart.y.text, "y", frame.y),
        "color": _scale(names, colours, key),
        "shape": _scale(names, _signs(chart), key),
    }
    layers: list[dict[str, Any]] = []
    for number, one in enumerate(chart.series):
        if one.points:
            layers += _drawn(chart, number, one, shared)
    layers += _labels(chart, frame, theme)
    if named:
        layers.append(_names_at_ends(chart, frame, colours))
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "layer": layers,
        "resolve": {"legend": {"color": "shared", "shape": "shared"}},
    }


def _colours(chart: Chart, theme: Theme) -> list[str]:
    """Of the series; a line among points, such as a front, stands out from all of them."""
    free = itertools.count()
    front = _front(chart)
    return [theme.text if one.name == front else theme.colour(next(free)) for one in chart.series]


def _front(chart: Chart) -> str:
    """Name of the first line among points."""
    lines = (one.name for one in chart.series if one.style != "point")
    return next(lines, "") if chart.kind == "scatter" else ""


def _signs(chart: Chart) -> list[str]:
    """Shapes of the series; that of a front is a plain dot."""
    free = itertools.count()
    front = _front(chart)
    return [
        SHAPES[0] if one.name == front else SHAPES[(next(free) + bool(front)) % len(SHAPES)]
        for one in chart.series
    ]


def _scale(names: list[str], values: list[str], key: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": names, "range": values},
        "legend": key,
    }


def _axis(title: str, field: str, axis: Ticks) -> dict[str, Any]:
    scale: dict[str, Any] = {"type": axis.scale, "domain": [axis.low, axis.high], "nice": False}
    if axis.scale == "linear":
        scale["zero"] = False
    words: dict[str, Any] = number_axis(axis)
    if field == "y":
        # Above its axis a title is read without turning the head.
        words |= {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleY": -12, "titleX": 0}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": words}


def _drawn(chart: Chart, number: int, one: Series, shared: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a series: its line, and its points over it."""
    rows = [
        {
            "series": one.name,
            "order": place,
            "x": float(point.x),
            "y": float(point.y),
            "x_text": figure(point.x),
            "y_text": figure(point.y),
            "label": point.label,
            "detail": point.detail,
        }
        for place, point in enumerate(one.points)
    ]
    titles = {"series": "series", "x_text": chart.x.text, "y_text": chart.y.text}
    titles |= {
        field: title
        for field, title in (("label", "label"), ("detail", "detail"))
        if any(row[field] for row in rows)
    }
    data = {"values": rows}
    # A front is to be seen before the candidates behind it.
    sign = {"type": "point", "filled": True, "opacity": 0.6 if _front(chart) else 0.85, "size": 45}
    if chart.kind == "line":
        # Points among lines are marks on them.
        sign |= {"opacity": 1, "size": 130}
    found: list[dict[str, Any]] = []
    if one.style != "point":
        without_shape = {name: channel for name, channel in shared.items() if name != "shape"}
        mark = {
            "type": "line",
            "interpolate": _INTERPOLATE[one.style],
            "strokeWidth": 2,
            "strokeDash": list(DASHES[number % len(DASHES)] if chart.kind == "line" else DASHES[0]),
        }
        encoding = {**without_shape, "order": {"field": "order", "type": "quantitative"}}
        found.append({"data": data, "mark": mark, "encoding": encoding})
        # Signs side by side would hide the line; a pointer still finds them.
        sign |= {"opacity": 1 if len(rows) <= DENSE else 0, "size": 40}
    found.append({"data": data, "mark": sign, "encoding": {**shared, "tooltip": tooltips(titles)}})
    return found


def _labels(chart: Chart, frame: _Frame, theme: Theme) -> list[dict[str, Any]]:
    """Labels of the points, with a halo, and a thin line where one had to move away."""
    points = [point for one in chart.series for point in one.points]
    labelled = [point for point in points if point.label]
    if not labelled:
        return []
    anchors = [frame.place(point) for point in labelled]
    texts = [point.label for point in labelled]
    covered = [frame.place(point) for point in points]
    covered += [place for one in chart.series if one.style != "point" for place in _along(one, frame)]
    boxes = label_boxes(anchors, texts, covered, WIDTH, HEIGHT, _LABEL, _LIMIT)
    rows, leaders = [], []
    for point, (across, down), box in zip(labelled, anchors, boxes, strict=True):
        rows.append({**frame.value(box.left, box.middle), "label": point.label})
        near = min(max(across, box.left), box.right), min(max(down, box.top), box.bottom)
        if abs(near[0] - across) + abs(near[1] - down) > _FAR:
            end = frame.value(*near)
            leaders.append({"x": point.x, "y": point.y, "x2": end["x"], "y2": end["y"]})
    place = {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}}
    text = {"type": "text", "align": "left", "baseline": "middle", "fontSize": _LABEL, "limit": _LIMIT}
    halo = {**text, "stroke": theme.ground, "strokeWidth": 3, "strokeJoin": "round", "aria": False}
    encoding = {**place, "text": {"field": "label"}}
    return [
        {
            "data": {"values": leaders},
            "mark": {"type": "rule", "color": theme.quiet, "strokeWidth": 0.8, "aria": False},
            "encoding": {**place, "x2": {"field": "x2"}, "y2": {"field": "y2"}},
        },
        {"data": {"values": rows}, "mark": {**halo, "color": theme.ground}, "encoding": encoding},
        {"data": {"values": rows}, "mark": {**text, "color": theme.text}, "encoding": encoding},
    ]


def _along(series: Series, frame: _Frame) -> Iterator[tuple[float, float]]:
    """Places on a line, near to each other."""
    for (x, y), end in itertools.pairwise(map(frame.place, series.points)):
        corners = [(x, y), (end[0], y), end] if series.style == "step" else [(x, y), end]
        for (left, top), (right, bottom) in itertools.pairwise(corners):
            steps = int(max(abs(right - left), abs(bottom - top)) / 8) + 1
            for step in range(steps):
                yield left + (right - left) * step / steps, top + (bottom - top) * step / steps


def _named_at_ends(chart: Chart, frame: _Frame) -> bool:
    """Whether all series are lines that end at the right, so that their names can stand there."""
    if chart.kind != "line" or any(one.style == "point" or not one.points for one in chart.series):
        return False
    ends = [frame.place(one.points[-1])[0] for one in chart.series]
    widest = max(text_width(one.name, 13) for one in chart.series)
    return len(ends) <= 8 and min(ends) > 0.97 * WIDTH and widest < 140


def _names_at_ends(chart: Chart, frame: _Frame, colours: list[str]) -> dict[str, Any]:
    ends = [frame.place(one.points[-1]) for one in chart.series]
    heights = spread([down for _, down in ends], 16, HEIGHT)
    rows = [
        {**frame.value(across + 10, down), "label": one.name, "series": one.name}
        for one, (across, _), down in zip(chart.series, ends, heights, strict=True)
    ]
    return {
        "data": {"values": rows},
        "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": 13, "fontWeight": 600},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
            "text": {"field": "label"},
            "color": _scale([one.name for one in chart.series], colours, None),
        },
    }
