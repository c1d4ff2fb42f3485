"""Charts of a design: fronts, tokens for a dollar by accelerator, where the money goes, less to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.design import Build, DesignResult
from farthing.units import HOUR, MILLISECOND

_FIGURES: Final[dict[str, tuple[str, str, Callable[[Build], float]]]] = {
    "usd": ("price of tokens", "USD/Mtoken", lambda build: build.usd_per_million_tokens),
    "capital": ("capital", "USD", lambda build: build.capital_usd),
    "power": ("power", "kW", lambda build: build.power_w / 1000),
    "tpot": ("time per output token", "ms", lambda build: build.tpot_s / MILLISECOND),
    "ttft": ("time to the first token", "ms", lambda build: build.ttft_s / MILLISECOND),
    "tokens-per-s": ("throughput", "token/s", lambda build: build.tokens_per_s),
}
"""What each objective looks at: name, unit, value."""

APIS: Final = 2
"""So many of the cheapest APIs are drawn."""


def design_charts(result: DesignResult) -> tuple[Chart, ...]:
    """What a design looks like; a chart without anything to draw is left out.

    Parameters
    ----------
    result
        What was found.
    """
    return tuple(chart for chart in _charts(result) if any(one.points for one in chart.series))


def _charts(result: DesignResult) -> Iterator[Chart]:
    if result.task == "inference":
        pair = result.front_objectives[:2] if len(result.front_objectives) > 1 else ("usd", "tpot")
        yield _scatter(result, *pair)
        bought = [build for build in (*result.best, *result.front) if build.capital_usd]
        if bought and set(pair) != {"capital", "tokens-per-s"}:
            yield _capital(bought)
    yield _tokens_per_usd(result)
    yield _expenses(result.best)
    yield _load(result)


def _label(build: Build) -> str:
    return f"{build.accelerators} x {build.accelerator}" + (", rented" if build.way == "rent" else "")


def _detail(build: Build) -> str:
    words = [f"{build.hosts} x {build.host}" if build.host else "rented"]
    words.append(f"{build.usd_per_million_tokens:.3g} USD a million tokens")
    if build.capital_usd:
        words.append(f"{build.capital_usd:,.0f} USD to buy")
    return "; ".join(words)


def _scatter(result: DesignResult, across: str, up: str) -> Chart:
    """The front of two objectives, over the best builds of all accelerators."""
    (x_name, x_unit, x_of), (y_name, y_unit, y_of) = _FIGURES[across], _FIGURES[up]

    named: set[str] = set()

    def points(builds: Sequence[Build]) -> tuple[Point, ...]:
        found = []
        for build in builds:
            # One name for each accelerator in all of the chart: the pointer tells the rest.
            kind = build.accelerator + (", rented" if build.way == "rent" else "")
            detail = f"{_label(build)}; {_detail(build)}"
            label = "" if kind in named else kind
            found.append(Point(x=x_of(build), y=y_of(build), label=label, detail=detail))
            named.add(kind)
        return tuple(found)

    series = []
    if result.front:
        series.append(Series(name="no build is better in both", points=points(result.front), style="step"))
    series.append(Series(name="best of each accelerator", points=points(result.best), style="point"))
    return Chart(
        title=f"{x_name[0].upper()}{x_name[1:]} against {y_name}",
        kind="scatter",
        x=Axis(title=x_name, unit=x_unit, scale="log"),
        y=Axis(title=y_name, unit=y_unit),
        series=tuple(series),
        note=_demand(result),
    )


def _demand(result: DesignResult) -> str:
    demand = result.demand.tokens_per_s
    return f"{result.model}, {demand:,.4g} tokens/s." if demand else f"{result.model}."


def _capital(builds: Sequence[Build]) -> Chart:
    seen: dict[str, Build] = {}
    for build in builds:
        seen.setdefault(_label(build), build)
    points = tuple(
        Point(x=build.capital_usd, y=build.tokens_per_s, label=_label(build), detail=_detail(build))
        for build in list(seen.values())[:14]
    )
    return Chart(
        title="Throughput for the capital",
        kind="scatter",
        x=Axis(title="capital", unit="USD", scale="log"),
        y=Axis(title="throughput of all copies", unit="token/s"),
        series=(Series(name="builds to buy", points=points),),
    )


def _tokens_per_usd(result: DesignResult) -> Chart:
    rows = sorted(
        (build for build in result.best if build.tokens_per_usd > 0), key=lambda build: -build.tokens_per_usd
    )
    series = [
        Series(
            name=name,
            points=tuple(
                Point(x=build.tokens_per_usd / 1e6, label=_label(build), detail=_detail(build))
                for build in rows
                if build.way == way
            ),
        )
        for way, name in (("own", "bought"), ("rent", "rented"))
    ]
    drawn = tuple(one for one in series if one.points)
    return Chart(
        title="Tokens for a dollar",
        # Stacked, so that each build takes one line; alone, its value stands once.
        kind="stacked-bar" if len(drawn) > 1 else "bar",
        x=Axis(title="tokens for a dollar", unit="million"),
        y=Axis(title="build"),
        series=drawn,
        note=_demand(result) if result.task == "inference" else "",
    )


def _expenses(builds: Sequence[Build]) -> Chart:
    builds = sorted(builds, key=lambda build: build.usd_per_s)
    names = list(dict.fromkeys(one.name for build in builds for one in build.expenses))
    series = []
    for name in names:
        points = []
        for build in builds:
            value = sum(one.usd_per_s for one in build.expenses if one.name == name) * HOUR
            # The first part names all builds, so that they stay in order.
            if value > 0 or name == names[0]:
                points.append(Point(x=max(value, 0.0), label=_label(build)))
        series.append(Series(name=name, points=tuple(points)))
    return Chart(
        title="Where the money goes",
        kind="stacked-bar",
        x=Axis(title="cost of the build", unit="USD/h"),
        y=Axis(title="build"),
        series=tuple(series),
    )


def _load(result: DesignResult) -> Chart:
    points = result.load_curve
    series = []
    for name, words in (("own", "own"), ("rent", "rent")):
        values = [(point.share, getattr(point, name)) for point in points]
        line = tuple(Point(x=100 * share, y=usd) for share, usd in values if usd is not None)
        if line:
            series.append(Series(name=words, points=line, style="line"))
    apis = [one for one in result.alternatives if one.name.startswith("API ")][:APIS]
    for one in apis if series else []:
        flat = tuple(Point(x=100 * share, y=one.usd_per_million_tokens) for share in (points[0].share, 1.0))
        series.append(Series(name=one.name, points=flat, style="line"))
    return Chart(
        title="What tokens cost with less to do",
        kind="line",
        x=Axis(title="mean demand over what the build is made for", unit="%", scale="log"),
        y=Axis(title="price of tokens", unit="USD/Mtoken", scale="log"),
        series=tuple(series),
    )
