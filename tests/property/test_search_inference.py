"""The search finds what a plain loop over every plan finds."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.estimate import InferenceEstimate
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import Limits
from farthing.records.workload import InferenceWorkload
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes

ABILITIES = ("has no", "does not load", "does not run")
"""What an estimate says of an engine that cannot follow the plan."""


UNLIKE = [
    parse_cluster(text)
    for text in (
        "1x2:h100-sxm+1x1:rtx-4090@10gbe",
        "1x4:a100-sxm-80gb+2x2:rtx-4090@25gbe",
        "1x1:m2-ultra+1x1:rtx-4090@1gbe",
    )
]


class Problem(NamedTuple):
    """A small question to the search."""

    model: Model
    cluster: Cluster
    workload: InferenceWorkload
    chosen: dict[str, Any]


def draw_problem(models: Any, clusters: Any, data: st.DataObject) -> Problem:
    some = data.draw
    like = some(st.integers(0, 3)) > 0
    model, cluster = some(models), some(clusters if like else st.sampled_from(UNLIKE))
    assume(cluster.count <= 8)

    def few(values: tuple[Any, ...], most: int = 2) -> list[Any]:
        return some(st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True))  # type: ignore[no-any-return]

    chosen: dict[str, Any] = {
        "batch_size": few((1, 2, 3, 8, 40, 500)),
        "chunk_tokens": few((0, 4, 100, 2048)),
        "micro_batches": few((0, 1, 3, 6)),
        "weight_format": few(("bf16", "fp8", "q4_k_m"), 2),
        "kv_format": few(("fp16", "fp8", "q8_0")),
        "engine": few(("vllm", "llama.cpp", "tgi", "exo", "petals"), 2),
    }
    for axis in ("tp", "pp", "dp", "ep"):
        if some(st.integers(0, 4)) == 0:
            chosen[axis] = few((1, 2, 3, 4), 3)
    workload = InferenceWorkload(
        prompt_tokens=some(st.sampled_from((1, 300, 4000))),
        output_tokens=some(st.sampled_from((1, 64, 500))),
        draft_tokens=some(st.sampled_from((0, 0, 2))),
    )
    return Problem(model, cluster, workload, chosen)


def every_plan(problem: Problem, cards: int) -> Iterator[InferenceEstimate]:
    """Each plan on exactly so many cards that `farthing.infer` accepts and the engine can follow."""
    chosen, sizes = problem.chosen, range(1, cards + 1)
    for tp, pp, dp in itertools.product(*(chosen.get(axis, sizes) for axis in ("tp", "pp", "dp"))):
        if tp * pp * dp != cards:
            continue
        experts = chosen.get("ep", range(1, tp * dp + 1) if problem.model.is_moe else (1,))
        for ep, batch, chunk, flying, weights, kv, engine in itertools.product(
            experts,
            *(chosen[axis] for axis in ("batch_size", "chunk_tokens", "micro_batches")),
            *(chosen[axis] for axis in ("weight_format", "kv_format", "engine")),
        ):
            plan = InferencePlan(
                tp=tp,
                pp=pp,
                dp=dp,
                ep=ep,
                chunk_tokens=chunk,
                micro_batches=flying,
                weight_format=weights,
                kv_format=kv,
                engine=engine,
            )
            workload = dataclasses.replace(problem.workload, batch_size=batch)
            try:
                found = farthing.infer(problem.model, problem.cluster, workload=workload, plan=plan)
            except InvalidInput:
                continue
            if not any(word in warning for warning in found.warnings for word in ABILITIES):
                yield found


def brute_force(problem: Problem) -> list[InferenceEstimate]:
    """All plans of as many cards as any plan uses."""
    for cards in range(problem.cluster.count, 0, -1):
        found = list(every_plan(problem, cards))
        if found:
            return found
    return []


def value(estimate: InferenceEstimate, objective: str) -> float:
    """Less is better."""
    return {
        "tokens-per-s": -estimate.served_tokens_per_s,
        "ttft": estimate.ttft_s,
        "tpot": estimate.tpot_s,
        "usd": min((cost.usd_per_million_tokens for cost in estimate.costs), default=np.inf),
        "energy": estimate.energy_per_token_j,
        "memory": estimate.memory.total_bytes,
    }[objective]


def keeps(estimate: InferenceEstimate, limits: Limits) -> bool:
    free = estimate.memory.free_bytes / estimate.memory.capacity_bytes
    return (
        free >= max(limits.headroom_share, 0.0)
        and (not limits.ttft_s or estimate.ttft_s <= limits.ttft_s)
        and (not limits.tpot_s or estimate.tpot_s <= limits.tpot_s)
        and (not limits.max_batch_size or estimate.workload.batch_size <= limits.max_batch_size)
        and (not limits.usd_per_million_tokens or value(estimate, "usd") <= limits.usd_per_million_tokens)
    )


def draw_limits(plans: list[InferenceEstimate], data: st.DataObject) -> Limits:
    """Limits that some of the plans break."""
    one = data.draw(st.sampled_from(plans))
    kind = data.draw(st.sampled_from(("none", "ttft", "tpot", "headroom", "batch", "usd")))
    if kind == "usd" and not one.costs:
        return Limits()
    return {
        "none": Limits(),
        "ttft": Limits(ttft_s=one.ttft_s * 1.001),
        "tpot": Limits(tpot_s=one.tpot_s * 1.001),
        "headroom": Limits(headroom_share=0.2),
        "batch": Limits(max_batch_size=one.workload.batch_size),
        "usd": Limits(usd_per_million_tokens=value(one, "usd") * 1.001),
    }[kind]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_the_optimum_is_that_of_a_plain_loop(models: Any, clusters: Any, data: st.DataObject) -> None:
    problem = draw_problem(models, clusters, data)
    plans = brute_force(problem)
    objective = data.draw(st.sampled_from(("tokens-per-s", "ttft", "tpot", "usd", "energy", "memory")))
    assume(not plans or value(plans[0], objective) not in (0.0, np.inf))
    limits = draw_limits(plans, data) if plans else Limits()

    def search(**more: Any) -> Any:
        return search_inference(
            problem.model,
            problem.cluster,
            problem.workload,
            InferencePlan(),
            axes=Axes.of(**problem.chosen),
            objective=objective,
            limits=limits,
            others=False,
            **more,
        )

    if not plans:
        with contextlib.suppress(InvalidInput):
            assert not search().result.best
        return
    found = search(top=3, front=("tokens-per-s", "tpot"))
    result = found.result
    assert result.evaluated + sum(removed.candidates for removed in result.removed) == result.candidates
    fitting = [plan for plan in plans if keeps(plan, limits)]
    unlike = len(problem.cluster.groups) > 1
    if unlike and result.best and not fitting:
        # The search also cuts the layers in ways that the loop does not.
        return
    assert bool(result.best) == bool(fitting)
    if not fitting:
        assert result.miss is not None or not result.evaluated
        return
    best = min(value(plan, objective) for plan in fitting)
    chosen = result.best[0].inference
    if unlike:
        assert value(chosen, objective) <= best + 1e-9 * abs(best)
    else:
        assert value(chosen, objective) == pytest.approx(best, rel=1e-9)
    assert chosen.accelerators == plans[0].accelerators
    assert chosen.fits
    assert keeps(chosen, limits)
    # The table says what the estimate says.
    assert int(found.table["fits"].sum()) == result.fitting
    assert ((found.table["reason"] == "") == found.table["fits"]).all()
    assert result.evaluated - result.fitting == sum(broken.candidates for broken in result.broken)
    for name, figure in result.best[0].figures.items():
        if hasattr(chosen, name):
            assert figure == pytest.approx(getattr(chosen, name), rel=1e-12)
    if not unlike:
        check_front(result.front, fitting)


def check_front(front: Any, fitting: list[InferenceEstimate]) -> None:
    """The points of the front are those that no plan beats."""
    points = {(value(plan, "tokens-per-s"), value(plan, "tpot")) for plan in fitting}

    def digits(pair: tuple[float, float]) -> tuple[float, ...]:
        return tuple(float(f"{number:.9g}") for number in pair)

    rounded = {digits(pair) for pair in points}
    unbeaten = {
        one
        for one in rounded
        if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in rounded)
    }
    shown = [
        digits((value(choice.inference, "tokens-per-s"), value(choice.inference, "tpot"))) for choice in front
    ]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= unbeaten
    if len(unbeaten) <= 32:
        assert set(shown) == unbeaten
