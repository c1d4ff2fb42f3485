"""Charts of a simulated service: what waits, is busy and is felt over time, and what a search tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.serving import Moment, ServingResult, Try
from farthing.report.serving_words import BREAKS, by_rate, counted, machines, rate, share
from farthing.units import DAY, HOUR, MILLISECOND, MINUTE

MOST: Final = 120
"""Points of a line: more are noise."""

_UNITS: Final = (("d", 3 * DAY, DAY), ("h", 3 * HOUR, HOUR), ("min", 5 * MINUTE, MINUTE), ("s", 0.0, 1.0))
"""Of time: unit, from which length on, and seconds."""


def serving_charts(result: ServingResult) -> tuple[Chart, ...]:
    """What a run looks like; a chart without anything to draw is left out, unless all are.

    Parameters
    ----------
    result
        Of a run, or of the one that a search found.
    """
    charts = tuple(_charts(result))
    return tuple(chart for chart in charts if any(one.points for one in chart.series)) or charts[:1]


def _charts(result: ServingResult) -> Iterator[Chart]:
    if result.tries:
        yield _tries(result)
    moments = result.series
    some = coarser(moments, MOST)
    yield _over_time(
        "Requests in work and waiting",
        Axis(title="requests, all replicas together"),
        some,
        {"in work": lambda one: one.sequences, "waiting": lambda one: one.waiting},
        note=_subject(result),
    )
    yield _over_time(
        "How full and how busy the replicas are",
        Axis(title="share", unit="%"),
        some,
        {
            "time in passes": lambda one: 100 * one.busy_share,
            "KV cache in use": lambda one: 100 * one.kv_share,
        },
    )
    yield _first_tokens(result)
    yield _percentiles(result, "ttft", "Slow and usual first tokens", "time to the first token")
    yield _percentiles(result, "tpot", "Slow and usual tokens", "time between tokens, by request")
    yield _over_time(
        "Tokens written",
        Axis(title="tokens written", unit="token/s"),
        some,
        {"tokens": lambda one: one.tokens_per_s},
    )
    yield _over_time(
        "Requests coming",
        Axis(title="arrivals", unit="request/s"),
        some,
        {"requests": lambda one: one.requests_per_s},
    )


def coarser(moments: Sequence[Moment], most: int) -> tuple[Moment, ...]:
    """As many stretches or fewer, each the mean of several by time; `ttft_s` is that of the first.

    Parameters
    ----------
    moments
        One after the other.
    most
        So many remain.
    """
    each = -(-len(moments) // most) if moments else 1
    return tuple(_joined(moments[begin : begin + each]) for begin in range(0, len(moments), each))


def _joined(some: Sequence[Moment]) -> Moment:
    whole = some[-1].end_s - some[0].start_s

    def mean(of: Callable[[Moment], float]) -> float:
        return sum(of(one) * (one.end_s - one.start_s) for one in some) / whole

    return Moment(
        start_s=some[0].start_s,
        end_s=some[-1].end_s,
        requests_per_s=mean(lambda one: one.requests_per_s),
        tokens_per_s=mean(lambda one: one.tokens_per_s),
        sequences=mean(lambda one: one.sequences),
        waiting=mean(lambda one: one.waiting),
        kv_share=mean(lambda one: one.kv_share),
        busy_share=mean(lambda one: one.busy_share),
        ttft_s=some[0].ttft_s,
    )


def _subject(result: ServingResult) -> str:
    return f"{result.model} on {result.cluster}, {machines(result)}."


def _clock(moments: Sequence[Moment]) -> tuple[str, float]:
    """A unit for the time of a run, and its seconds."""
    lasts = moments[-1].end_s if moments else 0.0
    return next((unit, seconds) for unit, least, seconds in _UNITS if lasts >= least)


def _over_time(
    title: str,
    y: Axis,
    moments: Sequence[Moment],
    lines: dict[str, Callable[[Moment], float]],
    note: str = "",
) -> Chart:
    unit, seconds = _clock(moments)
    series = tuple(
        Series(
            name=name,
            style="line",
            points=tuple(Point(x=(one.start_s + one.end_s) / 2 / seconds, y=of(one)) for one in moments),
        )
        for name, of in lines.items()
    )
    return Chart(title=title, kind="line", x=Axis(title="time", unit=unit), y=y, series=series, note=note)


def _first_tokens(result: ServingResult) -> Chart:
    """Each stretch's mean as a point, and what is asked as a line."""
    unit, seconds = _clock(result.series)
    known = [one for one in result.series if one.ttft_s is not None]
    most = max((one.ttft_s or 0.0 for one in known), default=0.0)
    scale, name = (1.0, "s") if most >= 1 else (MILLISECOND, "ms")
    points = tuple(
        Point(x=(one.start_s + one.end_s) / 2 / seconds, y=(one.ttft_s or 0.0) / scale) for one in known
    )
    series = [Series(name="mean of a stretch", points=points)]
    limit = result.objectives.ttft_s
    # A limit far above would press all points to the ground.
    if known and limit and limit < 2 * most:
        ends = (known[0].start_s / seconds, known[-1].end_s / seconds)
        flat = tuple(Point(x=x, y=limit / scale) for x in ends)
        series.append(Series(name="objective", style="line", points=flat))
    return Chart(
        title="Time to the first token",
        kind="scatter",
        x=Axis(title="time of the first token", unit=unit),
        y=Axis(title="time to the first token", unit=name),
        series=tuple(series),
    )


def _percentiles(result: ServingResult, name: str, title: str, axis: str) -> Chart:
    """Half of the requests, and all but a hundredth, wait no longer; and what is asked."""
    unit, seconds = _clock(result.series)
    lines = []
    for field, words in (("p99", "p99"), ("p50", "p50 (median)")):
        told = [(one, getattr(one, f"{name}_{field}_s")) for one in result.latencies]
        known = [((one.start_s + one.end_s) / 2 / seconds, value) for one, value in told if value is not None]
        lines.append((words, known))
    most = max((value for _, known in lines for _, value in known), default=0.0)
    scale, shown = (1.0, "s") if most >= 1 else (MILLISECOND, "ms")
    limit = getattr(result.objectives, f"{name}_s")
    # A limit far above would press all lines to the ground.
    if lines[0][1] and limit and limit < 2 * most:
        lines.append(("objective", [(x, limit) for x in (lines[0][1][0][0], lines[0][1][-1][0])]))
    return Chart(
        title=title,
        kind="line",
        x=Axis(title="time", unit=unit),
        y=Axis(title=axis, unit=shown),
        series=tuple(
            Series(name=words, style="line", points=tuple(Point(x=x, y=value / scale) for x, value in known))
            for words, known in lines
        ),
    )


def _tries(result: ServingResult) -> Chart:
    """Shares of good requests over the rates, or the replicas, that a search has played."""
    rates = by_rate(result.tries)

    def place(one: Try) -> float:
        return one.requests_per_s if rates else float(one.replicas)

    def point(one: Try, label: str = "") -> Point:
        words = BREAKS[one.breaks] if one.breaks else "keeps the objectives"
        return Point(x=place(one), y=100 * one.good_share, label=label, detail=words)

    tries = sorted((one for one in result.tries if one.good_share == one.good_share), key=place)
    kept = [one for one in tries if not one.breaks]
    best = (max if rates else min)(kept, key=place, default=None)
    name = (rate(best.requests_per_s) if rates else counted(best.replicas, "replica")) if best else ""
    series = [
        Series(
            name="keeps the objectives",
            points=tuple(point(one, name if one is best else "") for one in kept),
        ),
        Series(name="does not", points=tuple(point(one) for one in tries if one.breaks)),
    ]
    if tries:
        asked = 100 * result.objectives.share
        flat = tuple(Point(x=x, y=asked) for x in (place(tries[0]), place(tries[-1])))
        series.append(Series(name=f"asked: {share(result.objectives.share)}", style="line", points=flat))
    return Chart(
        title="Good requests over the " + ("rate" if rates else "replicas"),
        kind="scatter",
        x=Axis(title="rate", unit="request/s", scale="log") if rates else Axis(title="replicas"),
        y=Axis(title="requests that keep the objectives", unit="%"),
        series=tuple(one for one in series if one.points),
        note=_subject(result),
    )
