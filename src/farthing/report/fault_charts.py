"""Charts of a run under faults: goodput by run, over the checkpoint interval and over spares, and losses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.faults import FaultsResult
from farthing.units import MINUTE, format_seconds


def fault_charts(result: FaultsResult) -> tuple[Chart, ...]:
    """What a simulated run looks like.

    Parameters
    ----------
    result
        What was found.
    """
    return tuple(_charts(result))


def _charts(result: FaultsResult) -> Iterator[Chart]:
    yield _histogram(result)
    yield _intervals(result)
    yield _losses(result)
    if result.spares is not None and len(result.spares.curve) > 1:
        yield _spares(result)


def _histogram(result: FaultsResult) -> Chart:
    points = [Point(x=100 * result.histogram_edges[0], y=0.0)]
    for (low, high), runs in zip(
        itertools.pairwise(result.histogram_edges), result.histogram_runs, strict=True
    ):
        share = 100 * runs / result.runs
        detail = f"{runs:,} of {result.runs:,} runs: {low:.2%} to {high:.2%}"
        points.append(Point(x=100 * low, y=share, detail=detail))
    points.append(Point(x=100 * result.histogram_edges[-1], y=0.0))
    good = result.goodput
    return Chart(
        title="Goodput of the simulated runs",
        kind="line",
        x=Axis(title="lasting progress, share of the time", unit="%"),
        y=Axis(title="runs", unit="%"),
        series=(Series(name="simulated runs", points=tuple(points), style="step"),),
        note=f"{result.run.name}: mean {good.mean:.2%}, median {good.p50:.2%}.",
    )


def _intervals(result: FaultsResult) -> Chart:
    found = result.interval
    curve = tuple(
        Point(x=one.amount / MINUTE, y=100 * one.goodput, detail=one.what) for one in found.intervals
    )
    marks = [
        ("best found", found.best_interval_s, found.best_goodput),
        ("Young's formula", found.young_s, found.young_goodput),
        ("Daly's formula", found.daly_s, found.daly_goodput),
    ]
    if not result.run.checkpointing.stall_s or found.daly_s >= result.run.duration_s:
        marks = marks[:1]
    series = [Series(name="simulated", points=curve, style="line")]
    for name, interval, goodput in marks:
        detail = f"{name}: {format_seconds(interval)}, {goodput:.2%}"
        at = Point(x=interval / MINUTE, y=100 * goodput, label=name, detail=detail)
        series.append(Series(name=name, points=(at,), style="point"))
    return Chart(
        title="Goodput over the checkpoint interval",
        kind="line",
        x=Axis(title="running time between two checkpoints", unit="min", scale="log"),
        y=Axis(title="lasting progress, share of the time", unit="%"),
        series=tuple(series),
        note=f"One failure every {format_seconds(result.mtbf_seen_s)}."
        if math.isfinite(result.mtbf_seen_s)
        else "Nothing failed.",
    )


def _losses(result: FaultsResult) -> Chart:
    points = tuple(
        Point(
            x=100 * one.share,
            label=one.name,
            detail=f"{format_seconds(one.lost_s)} of a run"
            + (f", {one.events:,.1f} times" if one.events else ""),
        )
        for one in result.by_cause
    )
    lost = 1 - result.goodput.mean
    return Chart(
        title="Time lost, by cause",
        kind="bar",
        x=Axis(title="share of the time", unit="%"),
        y=Axis(title="cause"),
        series=(Series(name="lost time", points=points),),
        note=f"{lost:.2%} of the time is lost in all.",
    )


def _spares(result: FaultsResult) -> Chart:
    assert result.spares is not None
    points = tuple(Point(x=one.amount, y=100 * one.goodput, detail=one.what) for one in result.spares.curve)
    return Chart(
        title="Goodput over spare hosts",
        kind="line",
        x=Axis(title="spare hosts"),
        y=Axis(title="lasting progress, share of the time", unit="%"),
        series=(Series(name="the job waits while none is there", points=points, style="line"),),
    )
