"""The curve over the batch says what an estimate of each batch says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from farthing import api
from farthing.errors import InvalidInput
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("llama-3.3-70b", "2x8:h100-sxm@ib-ndr", {"tp": 8, "pp": 2, "batch_size": 48}),
    ("llama-3.1-8b", "rtx-4090", {"weight_format": "q4_k_m", "batch_size": 3}),
    ("mixtral-8x7b", "1x8:h100-sxm", {"tp": 2, "dp": 4, "ep": 8, "batch_size": 70}),
    ("llama-2-70b", "1x4:rtx-4090+1x1:m2-ultra@10gbe", {"weight_format": "q4_k_m"}),
    ("llama-2-70b", "1x8:rtx-4090", {"tp": 8, "batch_size": 4, "draft_tokens": 3}),
    ("llama-2-70b", "1x8:rtx-4090", {"tp": 2, "pp": 4, "batch_size": 900, "chunk_tokens": 512}),
    ("llama-2-70b", "1x8:h100-sxm", {"tp": 2, "pp": 4, "batch_size": 24, "micro_batches": 3}),
    ("llama-2-70b", "1x2:rtx-4090", {"tp": 2}),
    ("bert-large", "rtx-4090", {"output_tokens": 0, "prompt_tokens": 512, "batch_size": 8}),
    ("llama-3.1-8b", "rtx-4090", {"weight_format": "fp8", "ideal": True, "usd_per_accelerator": 1000.0}),
]


def curve_of(model: str, cluster: str, options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    basis = {name: value for name, value in options.items() if name.startswith("usd")}
    more = {"cost": api.CostBasis(**basis), "ideal": options.get("ideal", False)}
    estimate = api.infer(model, cluster, **options)
    found = api.batch_curve(model, cluster, workload=estimate.workload, plan=estimate.plan, **more)
    return estimate, found, more


@pytest.mark.parametrize(("model", "cluster", "options"), ASKED, ids=lambda value: str(value)[:40])
def test_each_point_is_an_estimate(model: str, cluster: str, options: dict[str, Any]) -> None:
    estimate, curve, more = curve_of(model, cluster, dict(options))
    for point in curve:
        load = dataclasses.replace(estimate.workload, batch_size=point.batch_size)
        alone = api.infer(model, cluster, workload=load, plan=estimate.plan, **more)
        told = dataclasses.asdict(point)
        price = told.pop("usd_per_million_tokens")
        assert told.pop("memory_bytes") == alone.memory.total_bytes
        assert told.pop("fits") == alone.fits
        assert told.pop("batch_size") == alone.workload.batch_size
        # Powers of columns and of single numbers may differ in their last digit.
        assert told == pytest.approx({name: getattr(alone, name) for name in told}, rel=1e-14)
        assert price == (pytest.approx(alone.costs[0].usd_per_million_tokens) if alone.costs else None)


@pytest.mark.parametrize(("model", "cluster", "options"), ASKED, ids=lambda value: str(value)[:40])
def test_from_the_smallest_batch_to_the_largest_that_fits(
    model: str, cluster: str, options: dict[str, Any]
) -> None:
    estimate, curve, _ = curve_of(model, cluster, dict(options))
    sizes, asked = [point.batch_size for point in curve], estimate.workload.batch_size
    assert sizes == sorted(set(sizes))
    assert asked in sizes
    fitting = [point.batch_size for point in curve if point.fits]
    assert max(fitting, default=0) == min(estimate.largest_batch_size, max(sizes))
    assert estimate.fits == (asked in fitting)
    if fitting:
        assert fitting[0] == estimate.plan.dp * max(estimate.plan.micro_batches, 1)
    assert {point.batch_size for point in curve if not point.fits} <= {asked}


def test_the_largest_batch_does_not_depend_on_the_one_asked_about() -> None:
    found = {
        api.infer("llama-2-70b", "1x8:rtx-4090", tp=2, pp=4, batch_size=batch).largest_batch_size
        for batch in (1, 100, 900, 20_000)
    }
    assert len(found) == 1


def test_a_plan_without_room_on_the_cluster_is_refused() -> None:
    with pytest.raises(InvalidInput, match="tp x pp x dp"):
        api.batch_curve("llama-3.1-8b", "rtx-4090", workload=InferenceWorkload(), plan=InferencePlan(tp=8))
