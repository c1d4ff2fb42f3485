"""Charts of a simulated service: true to the run, drawable, readable."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

import farthing
from farthing.records.chart import Chart
from farthing.records.serving import ServingResult
from farthing.report.plot_files import write_plot
from farthing.report.serving_charts import MOST, coarser, serving_charts
from farthing.report.vega import vega_lite


def run(**question: Any) -> ServingResult:
    asked: dict[str, Any] = {"requests": 600, "requests_per_s": 15.0} | question
    return farthing.simulate_serving("llama-3.1-8b", "1x1:h100-sxm", **asked)


@pytest.fixture(scope="module")
def plain() -> ServingResult:
    return run(ttft_s=0.12)


@pytest.fixture(scope="module")
def found() -> ServingResult:
    return run(seek="rate", tpot_s=0.02, share=0.97)


def by_title(result: ServingResult) -> dict[str, Chart]:
    return {chart.title: chart for chart in serving_charts(result)}


def area(chart: Chart, number: int = 0) -> float:
    """Sum of a line's values, by the widths between its points."""
    points = chart.series[number].points
    width = points[1].x - points[0].x
    return sum(point.y for point in points) * width


def test_what_is_drawn(plain: ServingResult) -> None:
    charts = by_title(plain)
    assert list(charts) == [
        "Requests in work and waiting",
        "How full and how busy the replicas are",
        "Time to the first token",
        "Slow and usual first tokens",
        "Slow and usual tokens",
        "Tokens written",
        "Requests coming",
    ]
    assert charts["Requests in work and waiting"].note == "llama-3.1-8b on 1x1:h100-sxm, 1 replica."
    for chart in charts.values():
        assert chart.x.unit == "s"
        assert max(len(one.points) for one in chart.series) <= 480
        assert all(math.isfinite(point.y) for one in chart.series for point in one.points)


def test_lines_are_true(plain: ServingResult) -> None:
    charts = by_title(plain)
    # The last stretch is shorter than the others.
    assert area(charts["Tokens written"]) == pytest.approx(600 * 250, rel=0.02)
    assert area(charts["Requests coming"]) == pytest.approx(600, rel=0.02)
    inside = area(charts["Requests in work and waiting"]) + area(charts["Requests in work and waiting"], 1)
    assert inside == pytest.approx(plain.in_system * plain.span_s, rel=0.05)
    full = charts["How full and how busy the replicas are"]
    assert [one.name for one in full.series] == ["time in passes", "KV cache in use"]
    assert max(point.y for point in full.series[0].points) <= 100 + 1e-9
    assert max(point.y for point in full.series[1].points) <= 100 * plain.kv_peak_share


def test_first_tokens_beside_what_is_asked(plain: ServingResult) -> None:
    chart = by_title(plain)["Time to the first token"]
    assert chart.y.unit == "ms"
    assert [one.name for one in chart.series] == ["mean of a stretch", "objective"]
    assert {point.y for point in chart.series[1].points} == {120.0}
    values = [point.y for point in chart.series[0].points]
    assert min(values) / 1e3 >= plain.ttft_s.p50 / 3
    assert max(values) / 1e3 <= plain.ttft_s.most
    lenient = dataclasses.replace(plain, objectives=dataclasses.replace(plain.objectives, ttft_s=60.0))
    # A line far above would press the points to the ground.
    assert len(by_title(lenient)["Time to the first token"].series) == 1


def test_searches_show_their_tries(found: ServingResult) -> None:
    chart = by_title(found)["Good requests over the rate"]
    assert (chart.x.scale, chart.x.unit) == ("log", "request/s")
    kept, missed, asked = chart.series
    assert len(kept.points) + len(missed.points) == len(found.tries)
    assert {point.y for point in asked.points} == {97.0}
    assert min(point.y for point in kept.points) >= 97 > max(point.y for point in missed.points)
    (named,) = (point for point in kept.points if point.label)
    assert named.x == found.traffic.requests_per_s == max(point.x for point in kept.points)
    assert all(point.detail for one in (kept, missed) for point in one.points)


def test_numbers_of_replicas_too() -> None:
    sized = run(seek="replicas", tpot_s=0.015, requests_per_s=60.0)
    chart = by_title(sized)["Good requests over the replicas"]
    assert (chart.x.scale, chart.x.unit) == ("linear", "")
    (named,) = (point for one in chart.series for point in one.points if point.label)
    assert (named.x, named.label) == (sized.replicas, f"{sized.replicas} replicas")


def test_long_runs_have_hours_and_few_points() -> None:
    tides = run(arrivals="diurnal", day_s=4 * 3600.0, requests_per_s=0.05, requests=0, duration_s=4 * 3600.0)
    for chart in serving_charts(tides):
        assert chart.x.unit == "h"
        assert 3.5 < max(point.x for one in chart.series for point in one.points) < 4.1
        if chart.kind == "line":
            assert all(len(one.points) <= MOST for one in chart.series)


def test_coarser_stretches_keep_sums(plain: ServingResult) -> None:
    for most in (1, 7, 50, 1000):
        some = coarser(plain.series, most)
        assert len(some) <= most
        assert some[0].start_s == 0
        assert some[-1].end_s == plain.series[-1].end_s
        for field in ("requests_per_s", "tokens_per_s", "sequences", "waiting", "kv_share", "busy_share"):
            sums = [
                sum(getattr(one, field) * (one.end_s - one.start_s) for one in moments)
                for moments in (some, plain.series)
            ]
            assert sums[0] == pytest.approx(sums[1])
    assert coarser((), 5) == ()


def test_no_request_draws_nothing_that_breaks() -> None:
    empty = run(requests=0, duration_s=1e-3)
    (chart,) = serving_charts(empty)
    assert vega_lite(chart)["mark"]["text"] == "nothing to draw"


def test_files_are_drawn(plain: ServingResult, found: ServingResult, tmp_path: Path) -> None:
    for result in (plain, found):
        charts = serving_charts(result)
        write_plot(charts, tmp_path / "a.svg")
        picture = (tmp_path / "a.svg").read_text("utf-8")
        assert all(chart.title in picture for chart in charts)
        assert "NaN" not in picture
        write_plot(charts, tmp_path / "a.json")
        json.loads((tmp_path / "a.json").read_text("utf-8"))


def test_dense_lines_have_no_signs(plain: ServingResult) -> None:
    def signs(chart: Chart) -> list[float]:
        layers = vega_lite(chart)["layer"]
        return [
            layer["mark"]["opacity"]
            for layer in layers
            if layer["mark"]["type"] == "point" and "opacity" in layer["mark"]
        ]

    chart = by_title(plain)["Tokens written"]
    assert len(chart.series[0].points) > 60
    assert signs(chart) == [0]
    few = dataclasses.replace(
        chart, series=(dataclasses.replace(chart.series[0], points=chart.series[0].points[:20]),)
    )
    assert signs(few) == [1]


def test_percentiles_over_time_are_those_of_the_whole_in_the_middle(plain: ServingResult) -> None:
    charts = by_title(plain)
    for title, spread in (
        ("Slow and usual first tokens", plain.ttft_s),
        ("Slow and usual tokens", plain.tpot_s),
    ):
        slow, usual = charts[title].series[:2]
        assert [one.name for one in (slow, usual)] == ["p99", "p50 (median)"]
        assert all(late.y >= half.y for late, half in zip(slow.points, usual.points, strict=True))
        whole = spread.p50 / (1e-3 if charts[title].y.unit == "ms" else 1.0)
        assert min(point.y for point in usual.points) <= whole <= max(point.y for point in usual.points)
        assert len(slow.points) <= 64


def test_an_objective_is_drawn_where_it_is_near() -> None:
    charts = by_title(run(tpot_s=0.02, requests=300))
    assert [one.name for one in charts["Slow and usual tokens"].series][2:] == ["objective"]
    assert all(point.y == pytest.approx(20.0) for point in charts["Slow and usual tokens"].series[2].points)
