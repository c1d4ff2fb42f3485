"""A better part never makes anything slower, and real hardware is never faster than ideal hardware."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import farthing
from farthing.records.hardware import Accelerator, Cluster, Link

SLACK = 1 + 1e-9
RATES = tuple(
    field.name for field in dataclasses.fields(Accelerator) if field.name.endswith(("flop_per_s", "op_per_s"))
)


def with_card(cluster: Cluster, change: Callable[[Accelerator], dict[str, float]]) -> Cluster:
    groups = tuple(
        dataclasses.replace(g, accelerator=dataclasses.replace(g.accelerator, **change(g.accelerator)))  # type: ignore[arg-type]
        for g in cluster.groups
    )
    return dataclasses.replace(cluster, groups=groups)


def with_links(cluster: Cluster, change: Callable[[Link], dict[str, float]]) -> Cluster:
    def better(link: Link | None) -> Link | None:
        return dataclasses.replace(link, **change(link)) if link else None  # type: ignore[arg-type]

    groups = tuple(
        dataclasses.replace(g, intra_link=better(g.intra_link), network=better(g.network))
        for g in cluster.groups
    )
    return dataclasses.replace(cluster, groups=groups, network=better(cluster.network))


BETTER: dict[str, Callable[[Cluster, float], Cluster]] = {
    "peak": lambda c, f: with_card(c, lambda a: {rate: getattr(a, rate) * f for rate in RATES}),
    "memory bandwidth": lambda c, f: with_card(c, lambda a: {"memory_bytes_per_s": a.memory_bytes_per_s * f}),
    "link rate": lambda c, f: with_links(c, lambda k: {"bytes_per_s": k.bytes_per_s * f}),
    "latency": lambda c, f: with_links(c, lambda k: {"latency_s": k.latency_s / f}),
}
parts = pytest.mark.parametrize("part", BETTER)
factors = st.sampled_from((1.001, 1.5, 10.0))


@parts
@given(data=st.data(), factor=factors)
def test_serving_never_slower(inference_cases: Any, part: str, data: st.DataObject, factor: float) -> None:
    case = data.draw(inference_cases)

    def times(cluster: Cluster) -> list[float]:
        found = farthing.infer(case.model, cluster, workload=case.workload, plan=case.plan)
        return [found.ttft_s, found.batch_prefill_s, found.tpot_s, 1 / found.tokens_per_s]

    before, after = times(case.cluster), times(BETTER[part](case.cluster, factor))
    assert all(new <= old * SLACK for old, new in zip(before, after, strict=True))


@parts
@given(data=st.data(), factor=factors)
def test_training_never_slower(training_cases: Any, part: str, data: st.DataObject, factor: float) -> None:
    case = data.draw(training_cases)

    def step_s(cluster: Cluster) -> float:
        return farthing.train(case.model, cluster, workload=case.workload, plan=case.plan).step_s

    assert step_s(BETTER[part](case.cluster, factor)) <= step_s(case.cluster) * SLACK


@given(data=st.data())
def test_serving_is_never_faster_than_ideal(inference_cases: Any, data: st.DataObject) -> None:
    model, cluster, workload, plan = data.draw(inference_cases)
    real = farthing.infer(model, cluster, workload=workload, plan=plan)
    ideal = farthing.infer(model, cluster, workload=workload, plan=real.plan, ideal=True)
    assert ideal.ttft_s <= real.ttft_s * SLACK
    assert ideal.batch_prefill_s <= real.batch_prefill_s * SLACK
    assert ideal.tpot_s <= real.tpot_s * SLACK
    assert ideal.memory == real.memory


@given(data=st.data())
def test_training_is_never_faster_than_ideal(training_cases: Any, data: st.DataObject) -> None:
    model, cluster, workload, plan = data.draw(training_cases)
    real = farthing.train(model, cluster, workload=workload, plan=plan)
    ideal = farthing.train(model, cluster, workload=workload, plan=plan, ideal=True)
    assert ideal.step_s <= real.step_s * SLACK
    assert ideal.memory == real.memory


@given(data=st.data())
def test_longer_contexts_and_larger_batches_are_never_quicker(
    inference_cases: Any, data: st.DataObject
) -> None:
    model, cluster, workload, plan = data.draw(inference_cases)

    def tpot_s(**changes: Any) -> float:
        load = dataclasses.replace(workload, **changes)
        return farthing.infer(model, cluster, workload=load, plan=plan, ideal=True).tpot_s

    assert tpot_s(context_tokens=1000) <= tpot_s(context_tokens=5000) * SLACK
    assert tpot_s() <= tpot_s(batch_size=workload.batch_size * plan.pp * 2) * SLACK
