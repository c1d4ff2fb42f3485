"""Charts of a serving load: true to the estimate, drawable, readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farthing import api
from farthing.records.chart import Chart
from farthing.report.inference_charts import inference_charts
from farthing.report.plot_files import write_plot
from farthing.report.vega import vega_lite
from farthing.units import GIB


def charts_of(model: str, cluster: str, **options: Any) -> tuple[Any, dict[str, Chart]]:
    estimate = api.infer(model, cluster, sensitivity=True, **options)
    curve = api.batch_curve(model, cluster, workload=estimate.workload, plan=estimate.plan)
    return estimate, {chart.title: chart for chart in inference_charts(estimate, curve)}


MEMORY, STEP, FIRST, BATCHES, BETTER = (
    "Memory of the fullest card",
    "Where a decode step's time goes",
    "Where the time to the first token goes",
    "Throughput against latency over the batch",
    "What a 10% better part gives",
)


def test_what_is_drawn() -> None:
    estimate, charts = charts_of("llama-3.3-70b", "2x8:h100-sxm@ib-ndr", tp=8, pp=2, batch_size=48)
    assert list(charts) == [MEMORY, STEP, FIRST, BATCHES, BETTER]
    held = {one.name: one.points[0].x * GIB for one in charts[MEMORY].series}
    assert held.pop("free") == pytest.approx(estimate.memory.free_bytes)
    assert sum(held.values()) == pytest.approx(estimate.memory.total_bytes)
    for title, parts in ((STEP, estimate.decode), (FIRST, estimate.prefill)):
        lengths = [point.x for point in charts[title].series[0].points]
        assert lengths == sorted(lengths, reverse=True)
        assert sum(lengths) / 1000 == pytest.approx(sum(part.value for part in parts))
    better = {point.label: point.x for point in charts[BETTER].series[0].points}
    assert better["memory bandwidth"] == max(better.values())
    assert "price of the cards" not in better


def test_the_asked_batch_is_marked_once() -> None:
    estimate, charts = charts_of("llama-3.1-8b", "rtx-4090", weight_format="fp8", batch_size=16)
    line, marked = charts[BATCHES].series
    assert [point.label for point in line.points] == ["1", "2", "4", "8", "", "32", "64", "81"]
    assert (marked.points[0].label, marked.points[0].x) == ("16", estimate.tpot_s * 1000)
    assert marked.points[0].y == estimate.tokens_per_s
    assert "USD" in marked.points[0].detail or "$" in marked.points[0].detail


def test_what_does_not_fit_says_so() -> None:
    _, charts = charts_of("llama-2-70b", "1x8:rtx-4090", tp=2, pp=4, batch_size=300)
    assert charts[MEMORY].series[-1].points[0].label == "what a card has"
    assert "too little" in charts[MEMORY].note
    assert charts[BATCHES].series[-1].points[0].label == "300, does not fit"
    _, charts = charts_of("llama-2-70b", "1x8:rtx-4090", tp=2, pp=4, batch_size=100_000)
    assert "100,000, does not fit" in charts[BATCHES].note
    assert [one.name for one in charts[BATCHES].series] == ["batches that fit"]
    _, charts = charts_of("llama-2-70b", "1x2:rtx-4090", tp=2)
    assert [one.name for one in charts[BATCHES].series] == ["the batch asked about"]


def test_an_encoder_has_no_decode_step() -> None:
    _, charts = charts_of("bert-large", "rtx-4090", output_tokens=0, prompt_tokens=512, batch_size=8)
    assert STEP not in charts
    assert charts[BATCHES].x.title == "time to read the batch"


def test_all_can_be_drawn(tmp_path: Path) -> None:
    _, charts = charts_of("llama-3.1-8b", "rtx-4090", weight_format="fp8")
    for dark in (False, True):
        assert json.dumps(vega_lite(list(charts.values()), dark), allow_nan=False)
    write_plot(list(charts.values()), tmp_path / "a.svg")
    assert "Throughput against latency" in (tmp_path / "a.svg").read_text("utf-8")
