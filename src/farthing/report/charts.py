"""A chart drawn with characters: bars and marks that read without colour, and in ASCII."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from farthing.records.chart import Chart
from farthing.report import layout
from farthing.report.plane import legend, plane_lines
from farthing.report.ticks import figure

STYLES: Final = ("blue", "red", "green", "magenta", "cyan", "yellow")
"""Colours of the series in their order; every terminal has them."""

MOST: Final = 100
"""Wider charts are hard to read."""

NARROWEST: Final = 40
"""A chart is drawn at least so wide; a narrower terminal folds it."""

_FILLS: Final = ("█", "░", "▓", "▒", "▚", "│", "─")
_ASCII_FILLS: Final = ("#", "=", "+", "%", "|", "-", "o")


@dataclass(frozen=True, slots=True)
class TerminalChart:
    """A chart that rich can print.

    Parameters
    ----------
    chart
        What is drawn.
    width
        In columns; 0 takes the terminal's, up to `MOST`.
    height
        Of the area of points and lines, in rows. Bars take a row each.
    """

    chart: Chart
    width: int = 0
    height: int = 16

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        chart = self.chart.drawable
        width = max(min(self.width or MOST, options.max_width), NARROWEST)
        coloured = console.color_system is not None
        yield Text(chart.title, style="bold")
        if chart.note:
            yield Text(chart.note, style="dim")
        if not any(one.points for one in chart.series):
            yield layout.indented(Text("nothing to draw"))
        elif chart.kind == "timeline":
            yield from _timeline(chart, width, options.ascii_only, coloured)
        elif chart.kind == "stacked-bar":
            yield from _stacked(chart, width, options.ascii_only, coloured)
        elif chart.has_bars:
            yield from _bars(chart, width, options.ascii_only)
        else:
            yield from plane_lines(chart, width, max(self.height, 4), options.ascii_only, STYLES)


def terminal_chart(chart: Chart, width: int = 0, height: int = 16) -> RenderableType:
    """A chart in characters, to be printed with rich.

    Parameters
    ----------
    chart
        What is drawn.
    width
        In columns; 0 takes the terminal's, up to 100.
    height
        Of the area of points and lines, in rows.

    Examples
    --------
    >>> from farthing.records.chart import Axis, Point, Series
    >>> series = Series(name="all", points=(Point(x=4.0, label="rtx-4090"), Point(x=2.0, label="h100-sxm")))
    >>> chart = Chart(title="Tokens for money", kind="bar", x=Axis(title="tokens", unit="1/USD"),
    ...               y=Axis(title="card"), series=(series,))
    >>> console = Console(width=40, color_system=None)
    >>> with console.capture() as capture:
    ...     console.print(terminal_chart(chart))
    >>> print("\\n".join(line.rstrip() for line in capture.get().splitlines()))
    Tokens for money
    tokens [1/USD]
      rtx-4090  4.00  ██████████████████████
      h100-sxm  2.00  ███████████
    """
    return TerminalChart(chart, width, height)


def bar_names(chart: Chart) -> list[str]:
    """Names of a chart's bars, in the order in which they first come."""
    return list(dict.fromkeys(point.label for one in chart.series for point in one.points))


def _lengths(chart: Chart) -> list[dict[str, float]]:
    """Length of each bar by its name, series by series."""
    return [{point.label: point.x for point in one.points} for one in chart.series]


def _bars(chart: Chart, width: int, ascii_only: bool) -> Iterator[RenderableType]:
    """A row for each bar; several series stand under the bar's name."""
    yield Text(chart.x.text, style="dim")
    lengths = _lengths(chart)
    longest = max(max(one.values(), default=0.0) for one in lengths)
    several = len(chart.series) > 1
    rows: list[tuple[str, str, float, str]] = []
    for name in bar_names(chart):
        if several:
            rows.append((name, "", 0.0, ""))
        for number, (series, one) in enumerate(zip(chart.series, lengths, strict=True)):
            if name in one:
                label = f"  {series.name}" if several else name
                share = one[name] / longest if longest else 0.0
                rows.append((label, figure(one[name], full=True), share, STYLES[number % len(STYLES)]))
    names = _room_for_names([label for label, *_ in rows], width)
    values = max(cell_len(value) for _, value, *_ in rows)
    room = width - layout.INDENT - names - values - 4
    table = _grid(names)
    for label, value, share, style in rows:
        table.add_row(label, value, Text(layout.Bar(share).text(room, ascii_only), style=style))
    yield layout.indented(table)


def _stacked(chart: Chart, width: int, ascii_only: bool, coloured: bool) -> Iterator[RenderableType]:
    """A row for each bar, its parts side by side, and their sum before it."""
    signs = _signs(chart, ascii_only, coloured)
    lengths = _lengths(chart)
    names = bar_names(chart)
    told = chart.sums
    longest = max(sum(one.get(name, 0.0) for one in lengths) for name in names)
    yield Text(chart.x.text, style="dim")
    room_for_names = _room_for_names(names, width)
    room = width - layout.INDENT - room_for_names - max(len(figure(v, full=True)) for v in told.values()) - 4
    table = _grid(room_for_names)
    for name in names:
        parts = [one.get(name, 0.0) for one in lengths]
        bar = Text()
        for cells, sign in zip(_cells(parts, longest, room), signs, strict=True):
            bar.append(sign.plain * cells, style=sign.style)
        table.add_row(name, figure(told[name], full=True), bar)
    yield layout.indented(table)
    yield layout.indented(legend(chart.series, signs))


def _signs(chart: Chart, ascii_only: bool, coloured: bool) -> list[Text]:
    """What fills the bars of each series: colours tell them apart where there are some, else patterns."""
    fills = itertools.cycle(_ASCII_FILLS if ascii_only else _FILLS)
    return [
        _rest(ascii_only)
        if one.style == "rest"
        else Text("█" if coloured and not ascii_only else fill, style=style)
        for fill, style, one in zip(fills, itertools.cycle(STYLES), chart.series, strict=False)
    ]


def _rest(ascii_only: bool) -> Text:
    """What fills a place where nothing is."""
    return Text("." if ascii_only else "·", style="dim")


def _timeline(chart: Chart, width: int, ascii_only: bool, coloured: bool) -> Iterator[RenderableType]:
    """A row for each name; in each place stands the series that takes most of it, or that nothing does."""
    signs = [*_signs(chart, ascii_only, coloured), _rest(ascii_only)]
    names = bar_names(chart)
    room_for_names = _room_for_names(names, width)
    room = width - layout.INDENT - room_for_names - 2
    end = max(point.x for one in chart.series for point in one.points)
    yield Text(chart.x.text, style="dim")
    table = _grid(room_for_names, values=False)
    for name in names:
        row = Text(no_wrap=True)
        for number in _longest(chart, name, room, end):
            row.append_text(signs[number])
        table.add_row(name, row)
    table.add_row("", Text("0" + figure(end).rjust(room - 1), style="dim", no_wrap=True))
    yield layout.indented(table)
    yield layout.indented(legend(chart.series, signs[:-1]))


def _longest(chart: Chart, name: str, room: int, end: float) -> list[int]:
    """Which series takes most of each place of a row; as many as there are series stands for none."""
    taken = [[0.0] * len(chart.series) for _ in range(room)]
    for number, one in enumerate(chart.series):
        for point in one.points:
            if point.label == name and end:
                first, last = point.start / end * room, point.x / end * room
                for place in range(int(first), min(int(last) + 1, room)):
                    taken[place][number] += max(min(last, place + 1) - max(first, place), 0.0)
    return [
        max(range(len(shares)), key=shares.__getitem__) if sum(shares) > 0.5 else len(shares)
        for shares in taken
    ]


def _cells(parts: Sequence[float], longest: float, room: int) -> list[int]:
    """Whole cells of each part, whose sum is the rounded whole."""
    if not longest:
        return [0 for _ in parts]
    ends = [round(end / longest * room) for end in itertools.accumulate(parts)]
    return [end - begin for begin, end in itertools.pairwise([0, *ends])]


def _room_for_names(names: Sequence[str], width: int) -> int:
    return min(max(map(cell_len, names)), width // 2 - layout.INDENT)


def _grid(names: int, values: bool = True) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=names, overflow="fold")
    if values:
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="crop")
    return table
