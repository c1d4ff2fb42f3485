"""Charts in characters: all names and values are there, in any width, without colour and in ASCII."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.unit.report.sample_charts import CHARTS, COSTS, EMPTY, FRONT, PER_USD, ROOM, STEP, WAYS, words

from farthing.records.chart import Axis, Chart, Point, Series
from farthing.report.charts import terminal_chart


def drawn(chart: Chart, width: int = 80, encoding: str = "utf-8", **console: Any) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    Console(file=file, width=width, highlight=False, markup=False, **console).print(terminal_chart(chart))
    file.seek(0)
    return "\n".join(line.rstrip() for line in file.read().splitlines())


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
@pytest.mark.parametrize("width", [60, 80, 200])
def test_all_names_are_there(chart: Chart, width: int) -> None:
    text = drawn(chart, width).replace("\u00a0", " ")
    missing = [word for word in words(chart) if word not in text]
    assert not missing, text
    assert chart.note in " ".join(text.split())
    assert max(map(cell_len, text.splitlines())) <= min(width, 120)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_ascii_is_enough(chart: Chart) -> None:
    text = drawn(chart, encoding="latin-1").replace("\u00a0", " ")
    assert text.isascii()
    assert all(word in text for word in words(chart))


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_colours_change_no_name(chart: Chart) -> None:
    coloured = drawn(chart, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    assert "\x1b[" not in drawn(chart)


def test_bars_are_as_long_as_their_values() -> None:
    rows = drawn(PER_USD).splitlines()
    long, short = (next(row for row in rows if name in row).count("█") for name in ("rtx-4090", "h100-sxm"))
    assert short / long == pytest.approx(2.4 / 3.1, abs=0.03)


def test_parts_of_a_stack_have_signs_of_their_own_and_lengths_that_sum_up() -> None:
    row = next(line for line in drawn(COSTS).splitlines() if "1x8 h100-sxm" in line)
    counts = [row.count(sign) for sign in "█░▓▒"]
    assert "2.00" in row
    assert [count / sum(counts) for count in counts] == pytest.approx([0.5, 0.2, 0.1, 0.2], abs=0.02)


def test_parts_of_a_coloured_stack_are_whole_blocks() -> None:
    assert "░" not in drawn(COSTS, force_terminal=True, color_system="standard")


def test_what_is_left_is_pale_and_not_counted() -> None:
    row = next(line for line in drawn(ROOM).splitlines() if "stage 1" in line)
    assert "20.0" in row
    assert row.count("·") / row.count("█") == pytest.approx(3, rel=0.05)


def test_a_timeline_has_a_row_a_stage_and_a_sign_for_each_series() -> None:
    rows = [line.split(maxsplit=2)[2] for line in drawn(STEP).splitlines() if line.startswith("  stage")]
    assert len(rows) == 2
    for row in rows:
        # 30 ms of forward, 60 of backward, and of 120 in all 30 idle.
        shares = [row.count(sign) / len(row) for sign in "█░·"]
        assert shares == pytest.approx([30 / 120, 60 / 120, 30 / 120], abs=0.03)
    assert rows[0].startswith("█")
    assert rows[1].startswith("·")
    assert "120" in drawn(STEP)


def test_a_falling_line_falls() -> None:
    rows = [line.partition("┤")[2] or line.partition("│")[2] for line in drawn(WAYS).splitlines()]
    places = [(row.index("●"), number) for number, row in enumerate(rows) if "●" in row[:-1]]
    assert places == sorted(places)
    assert len(places) >= 3


def test_the_key_has_the_values_of_the_labelled_points() -> None:
    rows = [line.split() for line in drawn(FRONT).splitlines()]
    assert ["2", "2x8", "h100-sxm", "17.0", "3.20"] in rows


@pytest.mark.parametrize("kind", ["scatter", "line", "bar", "stacked-bar", "timeline"])
def test_nothing_is_said_to_be_nothing(kind: Any) -> None:
    assert "nothing to draw" in drawn(Chart(title="t", kind=kind, x=EMPTY.x, y=EMPTY.y, series=EMPTY.series))
    assert "nothing to draw" in drawn(Chart(title="t", kind=kind, x=EMPTY.x, y=EMPTY.y, series=()))


ODD = {
    "one": (Point(x=5.0, y=7.0, label="only"),),
    "zero": (Point(x=0.0, y=0.0, label="only"),),
    "below": (Point(x=-5.0, y=-7.0, label="only"), Point(x=-5.0, y=-7.0)),
    "huge": (Point(x=-1e300, y=1e300, label="only"), Point(x=1e300, y=-1e300)),
    "near": (Point(x=1e4, y=5.0, label="only"), Point(x=10000.0001, y=math.nextafter(5.0, 6.0))),
    "tiny": (Point(x=5e-324, y=1e-300, label="only"), Point(x=0.0, y=0.0)),
}


@pytest.mark.parametrize("points", ODD.values(), ids=ODD)
@pytest.mark.parametrize("style", ["point", "line", "step"])
def test_odd_places(points: tuple[Point, ...], style: Any) -> None:
    series = (Series(name="a", points=points, style=style),)
    text = drawn(Chart(title="t", kind="line", x=Axis(title="x"), y=Axis(title="y"), series=series))
    assert "only" in text
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "left out" not in text


def test_log_axes_span_all_that_floats_do() -> None:
    series = (Series(name="a", points=(Point(x=1e-300, y=1e300), Point(x=1e300, y=1e-300)), style="line"),)
    axes = {"x": Axis(title="x", scale="log"), "y": Axis(title="y", scale="log")}
    text = drawn(Chart(title="t", kind="line", series=series, **axes))
    assert sum(line.count("●") for line in text.splitlines() if "[" not in line) == 3  # two, and the key's


def test_lost_points_are_counted() -> None:
    series = (Series(name="a", points=(Point(x=math.nan, y=1.0), Point(x=1.0, y=1.0))),)
    text = drawn(Chart(title="t", kind="scatter", x=Axis(title="x"), y=Axis(title="y"), series=series))
    assert "1 point without a finite value is left out." in text


@pytest.mark.parametrize("name", ["a long name of a build " * 8, "漢字のとても長い名前" * 8, "größe µ×ß"])
@pytest.mark.parametrize("kind", ["bar", "stacked-bar", "timeline", "scatter"])
def test_long_and_foreign_names(name: str, kind: Any) -> None:
    series = (Series(name=name, points=(Point(x=1.0, y=2.0, label=name),)), Series(name="b", points=()))
    text = drawn(Chart(title=name, kind=kind, x=Axis(title="x"), y=Axis(title="y"), series=series), 60)
    assert max(map(cell_len, text.splitlines())) <= 60
    assert "".join(name.split()) in "".join(text.split())


def test_more_labels_than_signs() -> None:
    points = tuple(Point(x=float(i), y=float(i), label=f"point {i}") for i in range(80))
    chart = Chart(
        title="t",
        kind="scatter",
        x=Axis(title="x"),
        y=Axis(title="y"),
        series=(Series(name="a", points=points),),
    )
    text = drawn(chart)
    assert all(f"point {i} " in text for i in range(80))
