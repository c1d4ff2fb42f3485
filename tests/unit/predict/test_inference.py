"""A serving step: where stages lie, and what a forward pass through them takes."""

import dataclasses
from typing import Any

import pytest

from farthing.catalog import model
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import device
from farthing.predict.inference import (
    StepTime,
    pipelined_step_time_s,
    sequences_that_fit,
    speculated_tokens,
    step_time,
)
from farthing.predict.placement import places, weighted_layers
from farthing.records.efficiency import IDEAL
from farthing.records.engine_efficiency import NO_OVERHEAD
from farthing.records.plan import InferencePlan

LLAMA = model("llama-2-70b")


def step(cluster: str, name: str = "llama-2-70b", overhead: float = 0.0, **sizes: Any) -> StepTime:
    machines = parse_cluster(cluster)
    cards = [device(group.accelerator, "bf16") for group in machines.groups]
    load = {"sequences": 1, "new_tokens": 1, "cached_tokens": 1000, "decode": True}
    load |= {key: sizes.pop(key) for key in list(sizes) if key in load}
    plan = InferencePlan(**sizes)
    shape = model(name)
    placed = places(shape, machines, plan, cards, [IDEAL] * len(cards))
    return step_time(
        shape, machines, placed, plan, engine=dataclasses.replace(NO_OVERHEAD, step_s=overhead), **load
    )


def hops(cluster: str, **sizes: Any) -> tuple[float, float]:
    machines = parse_cluster(cluster)
    cards = [device(group.accelerator, "bf16") for group in machines.groups]
    found = places(LLAMA, machines, InferencePlan(**sizes), cards, [IDEAL] * len(cards))
    return sum(p.hops_inside for p in found), sum(p.hops_across for p in found)


def test_only_passes_of_one_token_are_replayed_from_a_graph() -> None:
    """Each kernel of a larger pass takes longer by a fixed time."""
    shape, machines, plan = model("llama-2-7b"), parse_cluster("1x1:rtx-4090"), InferencePlan()
    card = device(machines.groups[0].accelerator, "bf16")
    placed = places(shape, machines, plan, [card], [IDEAL])
    engine = dataclasses.replace(NO_OVERHEAD, ungraphed_kernel_s=2e-6)
    load = {"new_tokens": 1, "cached_tokens": 100, "decode": True, "engine": engine}
    one, two = (step_time(shape, machines, placed, plan, sequences=n, **load).overhead_s for n in (1, 2))
    kernels = 32 * (5 + 4) + 3
    assert (one, two) == (0.0, pytest.approx(kernels * 2e-6))


@pytest.mark.parametrize(
    ("cluster", "sizes", "expected"),
    [
        ("1x8:h100-sxm", {"pp": 8}, (7, 0)),
        ("2x4:h100-sxm@ib-ndr", {"pp": 8}, (6, 1)),
        ("2x4:h100-sxm@ib-ndr", {"tp": 4, "pp": 2}, (0, 1)),
        ("8x1:h100-sxm@ib-ndr", {"pp": 8}, (0, 7)),
        ("2x4:h100-sxm@ib-ndr", {"tp": 8}, (0, 0)),
        ("1x2:rtx-4090+2x1:rtx-3090@1gbe", {"pp": 4}, (1, 2)),
    ],
)
def test_hops(cluster: str, sizes: dict[str, int], expected: tuple[int, int]) -> None:
    assert hops(cluster, **sizes) == expected


def test_parts_sum_to_the_step() -> None:
    found = dataclasses.asdict(step("2x4:h100-sxm@ib-ndr", tp=4, pp=2, overhead=1e-3))
    total, slowest = found.pop("total_s"), found.pop("slowest_s")
    assert sum(found.values()) == pytest.approx(total)
    assert total / 2 < slowest < total
    assert found["overhead_s"] == 2e-3


def test_a_pipeline_reads_the_same_weights() -> None:
    one, four = step("1x1:h100-sxm", pp=1), step("1x4:h100-sxm", pp=4)
    assert one.matmul_s == pytest.approx(four.matmul_s)
    assert four.hop_s > one.hop_s == 0


def test_tensor_parallelism_reads_its_share() -> None:
    one, eight = step("1x1:h100-sxm", tp=1), step("1x8:h100-sxm", tp=8)
    assert one.matmul_s / eight.matmul_s == pytest.approx(8, rel=0.01)
    assert eight.communication_s > one.communication_s == 0


def test_drafted_tokens_are_all_judged() -> None:
    """Each of eight tokens needs its logits gathered, at verification; a prompt's last one alone."""
    found = [
        step("8x1:h100-sxm@1gbe", tp=8, new_tokens=tokens, decode=decode).communication_s
        for tokens, decode in ((8, True), (8, False))
    ]
    wire = 125e6 * 0.941
    assert found[0] - found[1] == pytest.approx(7 * 7 / 8 * 32000 * 2 / wire)


def test_overlap_hides_traffic() -> None:
    shown, hidden = (step("1x8:rtx-4090", tp=8, overlap_communication=share) for share in (0.0, 1.0))
    assert hidden.communication_s < shown.communication_s


def test_experts_over_replicas_are_exchanged() -> None:
    apart = step("1x8:h100-sxm", "mixtral-8x7b", dp=8, ep=8, sequences=8)
    alone = step("1x8:h100-sxm", "mixtral-8x7b", dp=8, sequences=8)
    assert apart.communication_s > alone.communication_s == 0
    assert apart.matmul_s < alone.matmul_s


def test_speeds_and_rooms_deal_out_layers() -> None:
    assert weighted_layers(10, [1, 1], [99, 99]) == (5, 5)
    assert sum(weighted_layers(80, [3, 2, 1, 1], [99] * 4)) == 80
    assert weighted_layers(10, [1, 1], [2, 2]) == (5, 5)  # nowhere to go: the memory check will tell


def test_unlike_cards_take_unlike_shares() -> None:
    machines = parse_cluster("1x1:h100-sxm+1x1:rtx-4090@10gbe")
    cards = [device(group.accelerator, "bf16") for group in machines.groups]
    found = places(LLAMA, machines, InferencePlan(pp=2), cards, [IDEAL] * 2)
    assert found[0].stage.layers > 2 * found[1].stage.layers
    assert sum(place.stage.layers for place in found) == 80


def test_small_formulas() -> None:
    assert pipelined_step_time_s(1.0, 0.1, micro_batches=20) == 2
    assert [speculated_tokens(k, 0.5) for k in (0, 1, 2)] == [1, 1.5, 1.75]
    assert sequences_that_fit(10, 3) == 3
    assert sequences_that_fit(-10, 3) == 0
