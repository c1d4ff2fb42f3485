"""What surrounds the products of a training step: the host, the racks, narrow formats, power."""

from __future__ import annotations

import dataclasses

import pytest

import farthing
from farthing.catalog import accelerator, efficiency, model
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.subject import subject
from farthing.predict.device import device
from farthing.predict.memory import layer_activation_bytes
from farthing.predict.training import training_time
from farthing.records.model import LayerKind
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

WORKLOAD = TrainingWorkload(sequence_tokens=4096, global_batch_size=64)


def step_s(cluster: str, name: str = "llama-2-7b", **plan: object) -> float:
    return farthing.train(name, cluster, workload=WORKLOAD, **plan).step_s  # type: ignore[arg-type]


def test_a_slow_host_sets_the_pace() -> None:
    cluster = parse_cluster("1x8:h100-sxm")
    card = device(accelerator("h100-sxm"), "bf16")

    def time(launch_s: float) -> object:
        return training_time(
            model("llama-2-7b"),
            cluster,
            cluster.groups[0],
            card,
            WORKLOAD,
            TrainingPlan(dp=8),
            launch_s=launch_s,
        )

    quick, slow, slower = time(1e-6), time(1e-2), time(2e-2)
    assert quick.launch_s == 0  # type: ignore[attr-defined]
    assert slow.launch_s > 0  # type: ignore[attr-defined]
    assert slower.step_s / slow.step_s == pytest.approx(2, rel=0.05)  # type: ignore[attr-defined]


def test_a_rack_is_one_domain() -> None:
    rack, hosts = parse_cluster("16x4:gb200@ib-ndr"), parse_cluster("16x4:b200-sxm@ib-ndr")
    assert rack.groups[0].intra_link.domain == 72
    plan = {"tp": 8, "dp": 8, "micro_batch_size": 1}
    assert step_s(rack.name, **plan) < 0.9 * step_s(hosts.name, **plan)


def test_virtual_stages_hide_hops() -> None:
    plan = {"pp": 8, "dp": 2, "tp": 1}
    plain = farthing.train("llama-2-7b", "16x1:h100-sxm@100gbe", workload=WORKLOAD, **plan)
    virtual = farthing.train(
        "llama-2-7b", "16x1:h100-sxm@100gbe", workload=WORKLOAD, schedule="interleaved", interleave=2, **plan
    )

    def hops(estimate: object) -> float:
        return sum(p.value for p in estimate.parts if "hops" in p.name)  # type: ignore[attr-defined]

    assert hops(virtual) < hops(plain)


def test_narrow_products_keep_narrow_inputs() -> None:
    shape = {"sequences": 1, "tokens": 4096, "context_tokens": 4096}
    wide, narrow = (
        layer_activation_bytes(model("llama-2-7b"), LayerKind("full", "dense"), product_bytes=size, **shape)
        for size in (2.0, 1.0)
    )
    # The inputs of qkv, up and down: two of hidden, one of the inner width.
    assert wide - narrow == 4096 * (2 * 4096 + 11008)


def test_less_power_lower_clocks() -> None:
    cards = [accelerator(name) for name in ("h100-sxm", "h100-sxm-96gb-500w")]
    shares = [
        subject(
            model("llama-2-7b"),
            parse_cluster(f"1:{card.id}"),
            weight_format="bf16",
            compute_format="bf16",
            sustained=True,
        )
        .devices[0]
        .matmul_share
        for card in cards
    ]
    assert shares[1] / shares[0] == pytest.approx((500 / 700) ** (1 / 3), rel=1e-3)
    assert efficiency(cards[0]).unit_w * cards[0].compute_units == pytest.approx(700, rel=0.01)


def test_power_and_not_the_peak_sets_the_clock() -> None:
    """Each unit of a GB300 may draw 1400 W / 152, of a B200 1000 W / 148: rates go with the cube root."""
    b200, gb300 = accelerator("b200-sxm"), accelerator("gb300")
    reached = [
        subject(
            model("llama-2-7b"),
            parse_cluster(f"1:{card.id}"),
            weight_format="bf16",
            compute_format="bf16",
            sustained=True,
        )
        .devices[0]
        .reached_matmul_flop_per_s
        / card.compute_units
        for card in (b200, gb300)
    ]
    assert reached[1] / reached[0] == pytest.approx((1400 / 152 / (1000 / 148)) ** (1 / 3), rel=1e-3)


def test_ultra_takes_exponentials_twice_as_fast() -> None:
    b200, b300 = (
        device(accelerator(name), "bf16", efficiency(accelerator("b200-sxm")))
        for name in ("b200-sxm", "b300-sxm")
    )
    assert b200.tiling.score_s == 2 * b300.tiling.score_s > 0


def test_recomputing_a_part_of_the_layers_lies_between() -> None:
    run = farthing.train("llama-2-7b", "1x8:h100-sxm", workload=WORKLOAD, recompute="none")
    half, full = (
        farthing.train(
            "llama-2-7b", "1x8:h100-sxm", workload=WORKLOAD, recompute="full", recompute_share=share
        )
        for share in (0.5, 1.0)
    )
    assert run.step_s < half.step_s < full.step_s
    assert run.memory.total_bytes > half.memory.total_bytes > full.memory.total_bytes
    assert run.hfu / run.mfu < half.hfu / half.mfu < full.hfu / full.mfu


def test_the_first_piece_of_overlapped_traffic_shows() -> None:
    def traffic(**plan: object) -> float:
        found = farthing.train(
            "llama-2-70b",
            "1x8:h100-sxm",
            workload=WORKLOAD,
            tp=8,
            **plan,  # type: ignore[arg-type]
        )
        return sum(part.value for part in found.parts if part.name == "tensor-parallel traffic")

    assert traffic(overlap_tensor_parallel=1.0) == pytest.approx(traffic() / 8, rel=1e-6)


def test_plans_may_be_replaced() -> None:
    assert dataclasses.replace(TrainingPlan(), recompute_share=0.5).recompute_share == 0.5
