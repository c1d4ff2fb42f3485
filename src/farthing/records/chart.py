"""A chart as data: what is drawn, before anything says how."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from farthing.errors import InvalidInput

ChartKind = Literal["scatter", "line", "bar", "stacked-bar", "timeline"]
Scale = Literal["linear", "log"]
Style = Literal["point", "line", "step", "rest"]

LARGEST: Final = 1e300
"""Larger numbers count as infinite: the length of an axis must be a number too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a chart.

    Attributes
    ----------
    title
        What runs along it, e.g. ``time per output token``.
    unit
        Unit of the values as they are shown, e.g. ``ms``; empty for words and plain factors.
    scale
        ``linear`` or ``log``.
    """

    title: str
    unit: str = ""
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        _one_of("an axis's scale", self.scale, get_args(Scale))

    @property
    def text(self) -> str:
        """Title and unit.

        Examples
        --------
        >>> Axis(title="time per output token", unit="ms").text
        'time per output token [ms]'
        """
        return f"{self.title} [{self.unit}]" if self.unit else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a chart, or one bar.

    Attributes
    ----------
    x, y
        In the units of the axes. Bars lie: ``x`` is their length, and ``y`` is not used.
    label
        The bar's name; of a point, what is written beside it; in a timeline the name of the row.
    detail
        What else is told of it where a pointer rests on it.
    start
        Where a bar of a timeline begins; it ends at ``x``.
    sign
        What is written in a bar of a timeline where it has room: a number or a word.
    """

    x: float
    y: float = 0.0
    label: str = ""
    detail: str = ""
    start: float = 0.0
    sign: str = ""

    def __post_init__(self) -> None:
        for name in ("x", "y", "start"):
            value = getattr(self, name)
            if not isinstance(value, float) and (type(value) is not int or abs(value) > LARGEST):
                raise InvalidInput(f"a chart's point: {name} must be a number, not {str(value)[:40]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together, and share colour and sign.

    Attributes
    ----------
    name
        As the legend says it.
    points
        Of a line in the order in which they are joined.
    style
        ``point``, ``line``, or ``step``: level up to the next point, as a front is. Of bars alone ``rest``
        says something: what is left of a whole, drawn so pale that it does not stand out.
    """

    name: str
    points: tuple[Point, ...]
    style: Style = "point"

    def __post_init__(self) -> None:
        _one_of("a series' style", self.style, get_args(Style))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart in the units that people read.

    Attributes
    ----------
    title
        What it shows.
    kind
        ``scatter``; ``line``; ``bar``, with several series side by side; ``stacked-bar``; or ``timeline``, a
        row for each name, and in it bars that lie from ``start`` to ``x``.
    x, y
        The axes. Bars lie: ``x`` is the axis of their lengths, ``y`` that of their names.
    series
        What is drawn, later ones over earlier ones.
    note
        A sentence under the title.

    Raises
    ------
    InvalidInput
        An unknown kind, scale or style; two series of one name, two bars of one name in a series (but for a
        timeline), a bar on a logarithmic axis, below zero, or that ends before it begins.
    """

    title: str
    kind: ChartKind
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    note: str = ""

    def __post_init__(self) -> None:
        _one_of("a chart's kind", self.kind, get_args(ChartKind))
        if not self.title.strip():
            raise InvalidInput("a chart needs a title that says what it shows")
        _refuse_twice("series", (one.name for one in self.series), self.title)
        if self.has_bars:
            self._check_bars()

    def _check_bars(self) -> None:
        if self.x.scale == "log":
            raise InvalidInput(
                f"chart {self.title!r}: the length of a bar means nothing on a log axis; use linear"
            )
        for one in self.series:
            if self.kind != "timeline":
                _refuse_twice("bars", (point.label for point in one.points), f"{self.title}, {one.name}")
            for point in one.points:
                if self.kind == "timeline" and (point.start > point.x or point.start < 0):
                    raise InvalidInput(
                        f"chart {self.title!r}: a bar of {point.label!r} goes from {point.start:g} to "
                        f"{point.x:g}; it must begin at 0 or later, and end after that"
                    )
                if point.x < 0 and math.isfinite(point.x):
                    raise InvalidInput(
                        f"chart {self.title!r}: bar {point.label!r} is {point.x:g}; a bar must be 0 or more"
                    )

    @property
    def has_bars(self) -> bool:
        """Whether it is of bars, which have names instead of places."""
        return self.kind in ("bar", "stacked-bar", "timeline")

    @property
    def sums(self) -> dict[str, float]:
        """The parts of each bar together, without what is left of a whole unless a bar is that alone.

        Examples
        --------
        >>> used = Series(name="used", points=(Point(x=20.0, label="card"),))
        >>> free = Series(name="free", points=(Point(x=60.0, label="card"),), style="rest")
        >>> x, y = Axis(title="memory", unit="GiB"), Axis(title="card")
        >>> Chart(title="Memory", kind="stacked-bar", x=x, y=y, series=(used, free)).sums
        {'card': 20.0}
        """
        parts: dict[str, float] = {}
        rest: dict[str, float] = {}
        for one in self.series:
            found = rest if one.style == "rest" else parts
            for point in one.points:
                found[point.label] = found.get(point.label, 0.0) + point.x
        names = dict.fromkeys(point.label for one in self.series for point in one.points)
        return {name: parts[name] if name in parts else rest[name] for name in names}

    @property
    def drawable(self) -> Chart:
        """The chart without points that have no place; its note says how many there were.

        Examples
        --------
        >>> series = Series(name="a", points=(Point(x=1.0, y=math.nan), Point(x=2.0, y=3.0)))
        >>> chart = Chart(title="t", kind="line", x=Axis(title="x"), y=Axis(title="y"), series=(series,))
        >>> chart.drawable.note
        '1 point without a finite value is left out.'
        """
        kept = tuple(
            dataclasses.replace(one, points=tuple(p for p in one.points if self._has_place(p)))
            for one in self.series
        )
        lost = sum(len(one.points) for one in self.series) - sum(len(one.points) for one in kept)
        if not lost:
            return self
        what = "bar" if self.has_bars else "point"
        log = not self.has_bars and "log" in (self.x.scale, self.y.scale)
        value = "finite value (above 0 on a log axis)" if log else "finite value"
        told = f"{lost:,} {what}{'s' if lost > 1 else ''} without a {value} {'are' if lost > 1 else 'is'}"
        return dataclasses.replace(self, series=kept, note=f"{self.note} {told} left out.".strip())

    def _has_place(self, point: Point) -> bool:
        axes = [(self.x, point.x)]
        if self.kind == "timeline":
            axes.append((self.x, point.start))
        if not self.has_bars:
            axes.append((self.y, point.y))
        least = {"linear": -LARGEST, "log": 1 / LARGEST}
        return all(least[axis.scale] <= value <= LARGEST for axis, value in axes)


def _one_of(what: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise InvalidInput(f"{what} must be one of {', '.join(words)}, not {word!r}")


def _refuse_twice(what: str, names: Iterable[str], where: str) -> None:
    listed = list(names)
    twice = next((name for name in listed if listed.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"chart {where!r}: two {what} are named {twice!r}; name each differently")
