"""A chart of each sort that the reports draw."""

from __future__ import annotations

from typing import Final

from farthing.records.chart import Axis, Chart, Point, Series

MILLION: Final = "USD per million tokens"


def bars(values: dict[str, float]) -> tuple[Point, ...]:
    return tuple(Point(x=value, label=name) for name, value in values.items())


FRONT: Final = Chart(
    title="Cheapest tokens for a latency",
    kind="scatter",
    x=Axis(title="time per output token", unit="ms"),
    y=Axis(title=MILLION, unit="USD"),
    series=(
        Series(
            name="rtx-4090",
            points=tuple(Point(x=20.0 + i, y=3.0 - 0.1 * i, detail=f"n{i}") for i in range(9)),
        ),
        Series(name="h100-sxm", points=tuple(Point(x=9.0 + i, y=4.0 - 0.1 * i) for i in range(9))),
        Series(
            name="front",
            style="step",
            points=(
                Point(x=9.0, y=4.0, label="1x8 h100-sxm"),
                Point(x=17.0, y=3.2, label="2x8 h100-sxm"),
                Point(x=28.0, y=2.2, label="4x8 rtx-4090"),
            ),
        ),
    ),
    note="Builds that put out 2,000 tokens/s.",
)
CAPITAL: Final = Chart(
    title="Capital against throughput",
    kind="scatter",
    x=Axis(title="throughput", unit="tokens/s", scale="log"),
    y=Axis(title="capital", unit="USD", scale="log"),
    series=(Series(name="rtx-4090", points=(Point(x=100.0, y=2e4), Point(x=9e4, y=4e6))),),
)
PER_USD: Final = Chart(
    title="Tokens for money",
    kind="bar",
    x=Axis(title="tokens", unit="1/USD"),
    y=Axis(title="card"),
    series=(Series(name="own", points=bars({"rtx-4090": 3.1e6, "h100-sxm": 2.4e6})),),
)
COSTS: Final = Chart(
    title="What a million tokens cost",
    kind="stacked-bar",
    x=Axis(title="cost", unit="USD"),
    y=Axis(title="build"),
    series=tuple(
        Series(name=name, points=bars({"4x8 rtx-4090": value, "1x8 h100-sxm": 2 * value}))
        for name, value in {"cards": 0.5, "hosts": 0.2, "network": 0.1, "electricity": 0.2}.items()
    ),
)
WAYS: Final = Chart(
    title="Own, rent or API",
    kind="line",
    x=Axis(title="utilisation", unit="%"),
    y=Axis(title=MILLION, unit="USD"),
    series=(
        Series(name="own", style="line", points=tuple(Point(x=u, y=30 / u) for u in range(10, 101, 10))),
        Series(name="rent", style="line", points=tuple(Point(x=u, y=50 / u) for u in range(10, 101, 10))),
        Series(name="API", style="line", points=(Point(x=10.0, y=0.9), Point(x=100.0, y=0.9))),
    ),
)
RELATIVE: Final = Chart(
    title="Throughput relative to rtx-4090",
    kind="bar",
    x=Axis(title="times that of rtx-4090"),
    y=Axis(title="card"),
    series=(
        Series(name="training", points=bars({"rtx-4090": 1.0, "h100-sxm": 4.4})),
        Series(name="inference", points=bars({"rtx-4090": 1.0, "h100-sxm": 3.2})),
    ),
)
STEP: Final = Chart(
    title="One step",
    kind="timeline",
    x=Axis(title="time", unit="ms"),
    y=Axis(title="stage"),
    series=(
        Series(
            name="forward",
            points=tuple(
                Point(
                    start=10.0 * (batch + stage),
                    x=10.0 * (batch + stage + 1),
                    label=f"stage {stage + 1}",
                    sign=str(batch + 1),
                    detail=f"micro-batch {batch + 1}",
                )
                for stage in range(2)
                for batch in range(3)
            ),
        ),
        Series(
            name="backward",
            points=tuple(
                Point(
                    start=40.0 + 20 * (batch + 1 - stage),
                    x=60.0 + 20 * (batch + 1 - stage),
                    label=f"stage {stage + 1}",
                    sign=str(batch + 1),
                )
                for stage in range(2)
                for batch in range(3)
            ),
        ),
    ),
    note="Grey: idle.",
)
ROOM: Final = Chart(
    title="Memory of the cards",
    kind="stacked-bar",
    x=Axis(title="memory", unit="GiB"),
    y=Axis(title="card"),
    series=(
        Series(name="weights", points=bars({"stage 1": 20.0, "stage 2": 30.0})),
        Series(name="free", points=bars({"stage 1": 60.0, "stage 2": 50.0}), style="rest"),
    ),
)
CHARTS: Final = (FRONT, CAPITAL, PER_USD, COSTS, WAYS, RELATIVE, STEP, ROOM)
EMPTY: Final = Chart(
    title="Nothing yet",
    kind="line",
    x=Axis(title="x"),
    y=Axis(title="y"),
    series=(Series(name="a", points=()),),
)


def words(chart: Chart) -> list[str]:
    """All names that a reader must find in a chart."""
    labels = [point.label for one in chart.series for point in one.points if point.label]
    names = [one.name for one in chart.series] if len(chart.series) > 1 else []
    axes = [chart.x.title] if chart.has_bars else [chart.x.title, chart.y.title]
    return [chart.title, *axes, *names, *dict.fromkeys(labels)]
