"""Charts of a training run: true to the estimate, drawable, readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farthing import api
from farthing.records.chart import Chart
from farthing.report.plot_files import write_plot
from farthing.report.training_charts import BOXES, spread_out, training_charts
from farthing.report.vega import vega_lite
from farthing.units import GIB

STAGES, STEP, TIME, BETTER = (
    "Memory of a card of each stage",
    "The step, pass by pass",
    "Where the step's time goes",
    "What a 10% better part gives",
)


def charts_of(model: str, cluster: str, **options: Any) -> tuple[Any, dict[str, Chart]]:
    found = api.train(model, cluster, sensitivity=True, **options)
    question = {"workload": found.workload, "plan": found.plan}
    drawn = training_charts(
        found, api.stage_memory(model, cluster, **question), api.step_timeline(model, cluster, **question)
    )
    return found, {chart.title: chart for chart in drawn}


def test_what_is_drawn() -> None:
    found, charts = charts_of("llama-2-70b", "8x8:h100-sxm@ib-ndr", tp=8, pp=8, global_batch_size=16)
    assert list(charts) == [STAGES, STEP, TIME, BETTER]
    assert max(charts[STAGES].sums.values()) * GIB == pytest.approx(found.memory.total_bytes)
    assert list(charts[STAGES].sums) == [f"stage {number}" for number in range(1, 9)]
    assert "A card has 80.0 GiB" in charts[STAGES].note
    step = charts[STEP]
    assert max(point.x for one in step.series for point in one.points) / 1000 == pytest.approx(found.step_s)
    assert [one.name for one in step.series] == ["forward", "backward", "optimizer and host"]
    assert step.note == "Schedule 1f1b, 16 micro-batches; grey: idle."
    assert sum(point.x for point in charts[TIME].series[0].points) / 1000 == pytest.approx(found.step_s)


@pytest.mark.parametrize(
    "options",
    [
        {"tp": 8, "pp": 32, "dp": 2, "global_batch_size": 512},
        {"tp": 8, "pp": 63, "dp": 1, "global_batch_size": 256},
        {"tp": 8, "pp": 9, "dp": 4, "global_batch_size": 144, "schedule": "interleaved", "interleave": 7},
    ],
)
def test_large_pipelines_are_thinned(options: dict[str, Any]) -> None:
    found, charts = charts_of("llama-3.1-405b", "64x8:h100-sxm@ib-ndr", **options)
    points = [point for one in charts[STEP].series for point in one.points]
    assert len(points) <= BOXES * 1.1
    rows = {point.label for point in points}
    assert {"stage 1", f"stage {found.plan.pp}"} <= rows
    assert len(rows) <= 16
    assert "are left out" in charts[STEP].note
    if len(rows) < found.plan.pp:
        assert f"{len(rows)} of {found.plan.pp} stages" in charts[STEP].note


def test_one_stage_has_no_pipeline() -> None:
    _, charts = charts_of("llama-2-7b", "1x8:a100-sxm-80gb", zero_stage=3)
    assert list(charts) == ["Memory of the fullest card", TIME, BETTER]


def test_zero_bubble_has_two_backward_passes() -> None:
    _, charts = charts_of(
        "llama-3.1-8b", "1x4:h100-sxm", tp=1, pp=4, global_batch_size=8, schedule="zero-bubble"
    )
    assert [one.name for one in charts[STEP].series][:3] == [
        "forward",
        "gradients of inputs",
        "gradients of weights",
    ]


def test_virtual_stages_are_told() -> None:
    _, charts = charts_of(
        "llama-3.1-8b", "1x4:h100-sxm", tp=1, pp=4, global_batch_size=8, schedule="interleaved", interleave=2
    )
    assert {point.detail.split(", ")[1] for point in charts[STEP].series[0].points} == {
        "virtual stage 1",
        "virtual stage 2",
    }


def test_what_does_not_fit_says_so() -> None:
    _, charts = charts_of("llama-2-70b", "1x8:rtx-4090", tp=1, pp=8, global_batch_size=8)
    assert list(charts[STAGES].sums)[-1] == "what a card has"
    assert "too little" in charts[STAGES].note


@pytest.mark.parametrize("count", range(1, 40))
@pytest.mark.parametrize("most", [2, 3, 16])
def test_those_shown_are_spread_out(count: int, most: int) -> None:
    found = spread_out(count, most)
    assert found == sorted(set(found))
    assert (found[0], found[-1], len(found)) == (0, count - 1, min(count, most))


def test_all_can_be_drawn(tmp_path: Path) -> None:
    _, charts = charts_of("llama-3.1-8b", "1x4:h100-sxm", tp=1, pp=4, global_batch_size=8)
    for dark in (False, True):
        assert json.dumps(vega_lite(list(charts.values()), dark), allow_nan=False)
    write_plot(list(charts.values()), tmp_path / "a.svg")
    assert "pass by pass" in (tmp_path / "a.svg").read_text("utf-8")
