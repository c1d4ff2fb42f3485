"""The search over two kinds of workers finds what a plain loop finds, and its rates are matched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.estimate import DisaggregatedEstimate
from farthing.records.hardware import Cluster
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.records.search import Limits
from farthing.records.workload import InferenceWorkload
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes

USERS = (4, 30)
LOAD = InferenceWorkload(prompt_tokens=2000, output_tokens=200)


def pairs(cluster: Cluster) -> Iterator[tuple[Pool, Pool]]:
    """Cards dealt out in each host, whole hosts, or unlike groups."""
    if len(cluster.groups) == 2:
        both = [
            Pool(group=n, hosts=g.hosts, accelerators_per_host=g.accelerators_per_host)
            for n, g in enumerate(cluster.groups)
        ]
        yield from itertools.permutations(both)  # type: ignore[misc]
        return
    hosts, cards = cluster.hosts, cluster.count // cluster.hosts
    for part in range(1, cards):
        yield (
            Pool(hosts=hosts, accelerators_per_host=part),
            Pool(hosts=hosts, accelerators_per_host=cards - part),
        )
    for part in range(1, hosts):
        yield (
            Pool(hosts=part, accelerators_per_host=cards),
            Pool(hosts=hosts - part, accelerators_per_host=cards),
        )


def every_plan(model: str, cluster: Cluster, weights: str) -> Iterator[DisaggregatedEstimate]:
    experts = catalog.model(model).experts

    def shapes(cards: int) -> list[InferencePlan]:
        sizes = range(1, cards + 1)
        return [
            InferencePlan(tp=tp, pp=pp, dp=dp, ep=ep, weight_format=weights, engine="vllm")
            for tp, pp, dp in itertools.product(sizes, repeat=3)
            if tp * pp * dp == cards
            for ep in (range(1, tp * dp + 1) if experts else (1,))
        ]

    for one, other in pairs(cluster):
        for prefill, decode, users in itertools.product(shapes(one.count), shapes(other.count), USERS):
            plan = DisaggregatedPlan(prefill=prefill, decode=decode, prefill_pool=one, decode_pool=other)
            try:
                yield farthing.infer_disaggregated(model, cluster, plan, workload=LOAD, batch_size=users)
            except InvalidInput:
                continue


def value(found: DisaggregatedEstimate, objective: str) -> float:
    return {
        "tokens-per-s": -found.served_tokens_per_s,
        "ttft": found.ttft_s,
        "tpot": found.tpot_s,
        "usd": min(cost.usd_per_million_tokens for cost in found.costs),
    }[objective]


@pytest.mark.parametrize(
    ("model", "cluster", "weights"),
    [
        ("llama-2-7b", "1x4:h100-sxm", "bf16"),
        ("mixtral-8x7b", "2x2:h100-sxm@ib-ndr", "fp8"),
        ("llama-2-7b", "1x2:h100-sxm+1x2:rtx-4090@10gbe", "bf16"),
    ],
)
def test_the_optimum_is_that_of_a_plain_loop(model: str, cluster: str, weights: str) -> None:
    machines = parse_cluster(cluster)
    plans = [plan for plan in every_plan(model, machines, weights) if plan.fits]
    assert len(plans) > 10
    middle = sorted(plan.ttft_s for plan in plans)[len(plans) // 3]
    for objective, limits in itertools.product(
        ("tokens-per-s", "ttft", "tpot", "usd"), (Limits(), Limits(ttft_s=middle))
    ):
        result = search_inference(
            catalog.model(model),
            machines,
            LOAD,
            InferencePlan(weight_format=weights, engine="vllm"),
            axes=Axes.of(batch_size=USERS),
            objective=objective,  # type: ignore[arg-type]
            limits=limits,
        ).result
        kept = [plan for plan in plans if not limits.ttft_s or plan.ttft_s <= limits.ttft_s]
        found = result.disaggregated
        assert found is not None
        assert found.fits
        best = min(value(plan, objective) for plan in kept)
        assert value(found, objective) == pytest.approx(best, rel=1e-9)


def test_neither_side_is_outrun() -> None:
    machines = parse_cluster("1x4:h100-sxm")
    for found in every_plan("llama-2-7b", machines, "bf16"):
        assert found.requests_per_s <= found.prefill_requests_per_s * (1 + 1e-9)
        assert found.requests_per_s <= found.decode_requests_per_s * (1 + 1e-9)
        assert found.ttft_s <= found.loaded_ttft_s * (1 + 1e-6)
        assert 0 < found.decoding <= found.workload.batch_size
        least = found.transfer_bytes / (450e9 * 4)
        assert found.transfer_s > least
