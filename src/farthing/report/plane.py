"""Points and lines of a chart on a grid of characters, with axes and a key."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from farthing.records.chart import Chart, Point, Series
from farthing.report import layout
from farthing.report.ticks import Ticks, figure, tick_texts, ticks

_MARKS: Final = "●▲■◆○△□◇"
_ASCII_MARKS: Final = "ox+*@%&$"
_NUMBERS: Final = "123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What stands for a labelled point; the key says which it is."""

Place = tuple[int, int]
"""Column from the left and row from the top."""


@dataclass(frozen=True, slots=True)
class _Plane:
    """The area between the axes."""

    across: Ticks
    up: Ticks
    width: int
    height: int
    cells: dict[Place, Text] = field(default_factory=dict)

    def place(self, point: Point) -> Place:
        column = round(self.across.share(point.x) * (self.width - 1))
        return column, self.height - 1 - round(self.up.share(point.y) * (self.height - 1))

    def put(self, place: Place, sign: str, style: str) -> None:
        self.cells[place] = Text(sign, style=style)


def plane_lines(
    chart: Chart, width: int, height: int, ascii_only: bool, styles: Sequence[str]
) -> Iterator[RenderableType]:
    """Axes, points, lines, and the keys to their signs.

    Parameters
    ----------
    chart
        Of points and lines that all have a place, and at least one.
    width, height
        Of the whole in columns, and of the area between the axes in rows.
    ascii_only
        Use no other characters.
    styles
        Colours of the series.
    """
    points = [point for one in chart.series for point in one.points]
    up = ticks([point.y for point in points], chart.y.scale, max(2, height // 4))
    names = tick_texts(up.values)
    margin = layout.INDENT + max(map(len, names)) + 1
    across = ticks([point.x for point in points], chart.x.scale, max(2, (width - margin) // 12))
    # The last number below the axis stands half beyond its end.
    plane = _Plane(across, up, width - margin - 1 - 4, height)
    marks = _ASCII_MARKS if ascii_only else _MARKS
    signs = [
        Text(mark, style=style)
        for mark, style, _ in zip(itertools.cycle(marks), itertools.cycle(styles), chart.series, strict=False)
    ]
    key = _draw(plane, chart.series, signs, "." if ascii_only else "·")
    yield Text(chart.y.text, style="dim")
    yield from _rows(plane, names, margin, ascii_only)
    yield from _below(plane, margin, ascii_only)
    yield Text(chart.x.text.rjust(margin + 1 + plane.width), style="dim")
    if len(chart.series) > 1 or not key:
        yield layout.indented(legend(chart.series, signs))
    if key:
        yield layout.columns(
            ("", "", chart.x.unit or chart.x.title, chart.y.unit or chart.y.title), key, left=2, wrap=True
        )


def _draw(
    plane: _Plane, series: Sequence[Series], signs: Sequence[Text], dot: str
) -> list[tuple[str, str, str, str]]:
    """Put all on the plane; rows of the key to the labelled points."""
    for one, sign in zip(series, signs, strict=True):
        if one.style != "point":
            for place in _line(plane, one):
                plane.put(place, dot, str(sign.style))
        for point in one.points:
            plane.put(plane.place(point), sign.plain, str(sign.style))
    numbers = iter(_NUMBERS)
    key = []
    for one, sign in zip(series, signs, strict=True):
        for point in one.points:
            if point.label:
                # Points beyond the last number keep the sign of their series.
                number = next(numbers, sign.plain)
                plane.put(plane.place(point), number, f"bold {sign.style}")
                key.append((number, point.label, figure(point.x, full=True), figure(point.y, full=True)))
    return key


def _line(plane: _Plane, series: Series) -> Iterator[Place]:
    """Cells between the points of a line."""
    for begin, end in itertools.pairwise(map(plane.place, series.points)):
        corners = [begin, (end[0], begin[1]), end] if series.style == "step" else [begin, end]
        for (x, y), (to_x, to_y) in itertools.pairwise(corners):
            steps = max(abs(to_x - x), abs(to_y - y), 1)
            for step in range(steps + 1):
                share = step / steps
                yield math.floor(x + share * (to_x - x) + 0.5), math.floor(y + share * (to_y - y) + 0.5)


def _rows(plane: _Plane, names: Sequence[str], margin: int, ascii_only: bool) -> Iterator[Text]:
    ticked = {
        plane.height - 1 - round(plane.up.share(value) * (plane.height - 1)): name
        for value, name in zip(plane.up.values, names, strict=True)
    }
    rule, tick = ("|", "+") if ascii_only else ("│", "┤")
    for row in range(plane.height):
        line = Text(f"{ticked.get(row, '').rjust(margin - 1)} ", style="dim", no_wrap=True)
        line.append(tick if row in ticked else rule)
        blank = Text(" ")
        cells = [plane.cells.get((column, row), blank) for column in range(plane.width)]
        yield Text.assemble(line, *cells, no_wrap=True)


def _below(plane: _Plane, margin: int, ascii_only: bool) -> Iterator[Text]:
    """The axis below, and its numbers where they do not touch."""
    corner, rule, tick = ("+", "-", "+") if ascii_only else ("└", "─", "┬")
    columns = [round(plane.across.share(value) * (plane.width - 1)) for value in plane.across.values]
    axis = "".join(tick if column in columns else rule for column in range(plane.width))
    yield Text(" " * margin + corner + axis, style="dim", no_wrap=True)
    numbers = ""
    for column, name in zip(columns, tick_texts(plane.across.values), strict=True):
        begin = margin + 1 + column - len(name) // 2
        if begin > len(numbers) or not numbers:
            numbers = numbers.ljust(begin) + name
    yield Text(numbers, style="dim", no_wrap=True)


def legend(series: Sequence[Series], signs: Sequence[Text]) -> Text:
    """The sign and name of each series."""
    text = Text()
    for one, sign in zip(series, signs, strict=True):
        # Spaces that do not break keep a sign with its name.
        text.append_text(sign.copy()).append("\u00a0" + one.name.replace(" ", "\u00a0") + "   ")
    text.rstrip()
    return text
