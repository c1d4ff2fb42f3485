"""Layer ranges that can be worked out by hand, and those of real clusters against the greedy split."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.hardware import Accelerator, Cluster, HostGroup, Link
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload
from farthing.search import layer_ranges
from farthing.search.layer_ranges import LayerRanges, best_layer_ranges
from farthing.units import GIB

WIRE = Link(id="wire", name="wire", kind="ethernet", bytes_per_s=1e30, latency_s=0.0)
SMALL = Model(
    id="nine",
    layers=9,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=1,
    max_context=1024,
    ffn_hidden=65536,
)
LAYER_BYTES = 2 * (3 * 4096 * 65536 + 4096 * (4096 + 2 * 1024) + 4096 * 4096)
LOAD = InferenceWorkload(batch_size=2, prompt_tokens=1, output_tokens=1)


def card(name: str, gb_per_s: float, layers: float, network: Link = WIRE, hosts: int = 1) -> HostGroup:
    """A card that has room for so many layers, a quarter of one for all else, and no limit but its memory."""
    memory_bytes = (layers + 0.25) * LAYER_BYTES + 0.5 * GIB
    accelerator = Accelerator(
        id=name,
        name=name,
        vendor="none",
        architecture="none",
        year=2020,
        kind="gpu",
        memory_bytes=memory_bytes,
        memory_bytes_per_s=gb_per_s * 1e9,
        bf16_flop_per_s=1e30,
        fp16_flop_per_s=1e30,
    )
    return HostGroup(
        hosts=hosts, accelerators_per_host=1, accelerator=accelerator, intra_link=WIRE, network=network
    )


def cluster(*groups: HostGroup) -> Cluster:
    return Cluster(name="cards", groups=groups, network=WIRE)


def found(*groups: HostGroup, load: InferenceWorkload = LOAD, **options: Any) -> LayerRanges:
    return best_layer_ranges(SMALL, cluster(*groups), load, InferencePlan(), ideal=True, **options)


def served(answer: LayerRanges) -> list[tuple[str, int]]:
    """Card and layers of each stage, by hosts of one card."""
    cards = [group.accelerator.id for group in answer.cluster.groups for _ in range(group.hosts)]
    return list(zip(cards, answer.plan.stage_layers, strict=False))


def test_busy_cards_share_layers_by_bandwidth() -> None:
    # In turns, two micro-batches wait for the slower stage twice: 6 layers at 1 TB/s, 3 at half of that.
    best = found(card("fast", 1000, 8), card("slow", 500, 8))
    assert dict(served(best)) == {"fast": 6, "slow": 3}
    assert best.value == pytest.approx(2 * 6 * LAYER_BYTES / 1e12, rel=1e-3)


def test_a_batch_alone_fills_the_fast_card() -> None:
    best = found(card("slow", 500, 8), card("fast", 1000, 7), load=dataclasses.replace(LOAD, batch_size=1))
    assert dict(served(best)) == {"fast": 7, "slow": 2}
    assert best.value == pytest.approx((7 + 2 * 2) * LAYER_BYTES / 1e12, rel=1e-3)


def test_a_slow_machine_is_left_out_and_comes_last() -> None:
    load = dataclasses.replace(LOAD, batch_size=1)
    best = found(card("slow", 100, 9), card("a", 1000, 5), card("b", 900, 5), load=load)
    assert dict(served(best)) == {"a": 5, "b": 4}
    assert best.cluster.groups[-1].accelerator.id == "slow"
    assert best.unused == ("1 host with 1 x slow",)


def test_a_machine_behind_a_slow_port_is_left_out() -> None:
    load = dataclasses.replace(LOAD, batch_size=1)
    far = dataclasses.replace(WIRE, latency_s=1.0)
    best = found(card("fast", 1000, 5), card("far", 2000, 5, far), card("near", 500, 5), load=load)
    assert dict(served(best)) == {"fast": 5, "near": 4}


def test_hosts_of_a_group_are_left_out_one_by_one() -> None:
    load = dataclasses.replace(LOAD, batch_size=1)
    best = found(card("slow", 500, 4, hosts=3), card("fast", 1000, 4), load=load)
    assert best.plan.pp == 3
    assert best.value == pytest.approx((4 + 2 * 5) * LAYER_BYTES / 1e12, rel=1e-3)
    assert best.unused == ("1 of 3 hosts with 1 x slow",)


def test_what_is_missing_in_all() -> None:
    answer = found(card("fast", 1000, 4), card("slow", 500, 3))
    assert not answer.fits
    assert answer.value == float("inf")
    # Of small cards a driver takes a twentieth.
    room = 0.95 * sum(group.accelerator.memory_bytes for group in answer.cluster.groups)
    assert answer.missing_bytes == pytest.approx(9 * LAYER_BYTES - room, rel=1e-2)
    assert "more in all; would fit: fp8 weights" in answer.misfit


def test_a_batch_that_would_fit_does() -> None:
    shape, text = catalog.model("llama-2-7b"), "1x1:rtx-3060+1x1:rtx-2060@10gbe"
    load = InferenceWorkload(batch_size=64, prompt_tokens=2000)
    plan = InferencePlan(weight_format="q4_k_m")
    answer = best_layer_ranges(shape, parse_cluster(text), load, plan)
    assert not answer.fits
    advised = int(answer.would_help[0].removeprefix("a batch of "))
    for batch, fits in ((advised, True), (advised + 1, False)):
        smaller = dataclasses.replace(load, batch_size=batch)
        assert best_layer_ranges(shape, parse_cluster(text), smaller, plan).fits == fits


def test_headroom_stays_free() -> None:
    shape, machines = catalog.model("llama-2-70b"), parse_cluster("1x4:rtx-4090+1x1:m2-ultra@10gbe")
    plan = InferencePlan(weight_format="q4_k_m")
    load = InferenceWorkload(batch_size=1)
    best = best_layer_ranges(shape, machines, load, plan, headroom_share=0.3)
    memory = farthing.infer(shape, best.cluster, workload=load, plan=best.plan).memory
    assert memory.free_bytes >= 0.3 * memory.capacity_bytes
    assert best.value > best_layer_ranges(shape, machines, load, plan).value


def test_hosts_with_too_few_cards_serve_nothing() -> None:
    best = best_layer_ranges(
        catalog.model("llama-3.1-8b"),
        parse_cluster("1x1:h100-sxm+2x2:rtx-3090@10gbe"),
        LOAD,
        InferencePlan(tp=2, engine="vllm"),
    )
    assert best.fits
    assert best.cluster.groups[-1].accelerator.id == "h100-sxm"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("2x4:rtx-4090@10gbe", {}, "like hosts"),
        ("1x1:rtx-4090+1x1:m2-ultra@10gbe", {"headroom_share": 1.5}, "headroom_share"),
        ("1x1:rtx-4090+1x1:m2-ultra@10gbe", {"plan": InferencePlan(dp=2)}, "dp > 1"),
        ("1x1:rtx-4090+1x1:m2-ultra@10gbe", {"plan": InferencePlan(tp=2)}, "room for 0 stages"),
        ("1x1:rtx-4090+1x1:m2-ultra@10gbe", {"stages": 3}, "= 3 cards"),
        ("1x1:rtx-4090+1x1:m2-ultra@10gbe", {"stages": -1}, "stages must be"),
        ("1x1:rtx-4090+1x1:m2-ultra@10gbe", {"objective": "speed"}, "no objective 'speed'"),
        ("1x1:m2-ultra+1x2:rtx-4090@10gbe", {"plan": InferencePlan(tp=2), "rearrange": False}, "rearrange"),
    ],
)
def test_bad_input(text: str, options: dict[str, Any], message: str) -> None:
    plan = options.pop("plan", InferencePlan())
    with pytest.raises(InvalidInput, match=message):
        best_layer_ranges(catalog.model("llama-2-7b"), parse_cluster(text), LOAD, plan, **options)


MIXED = [
    ("llama-2-70b", "1x4:rtx-4090+1x1:m2-ultra@10gbe", {"weight_format": "q4_k_m"}),
    ("llama-2-70b", "2x1:rtx-3090@1gbe+1x2:rtx-4090+1x1:m4-max@10gbe", {"weight_format": "q4_k_m"}),
    ("deepseek-v3", "4x4:rtx-4090+4x4:a100-sxm-80gb@10gbe", {"weight_format": "q4_k_m"}),
    ("gemma-3-27b", "1x1:rtx-3090+1x1:rtx-4090+1x1:l40s@25gbe", {"engine": "exo"}),
    ("llama-3.1-405b", "8x4:rtx-4090+8x4:a100-sxm-80gb@10gbe", {"weight_format": "q4_k_m"}),
]


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("case", MIXED, ids=lambda case: case[1])
def test_never_worse_than_layers_by_bandwidth(case: tuple[str, str, dict[str, Any]], batch: int) -> None:
    name, text, options = case
    shape, machines = catalog.model(name), parse_cluster(text)
    load = InferenceWorkload(batch_size=batch)
    greedy = farthing.infer(shape, machines, workload=load, **options)
    for objective, figure in (("tpot", "tpot_s"), ("ttft", "ttft_s")):
        best = best_layer_ranges(shape, machines, load, InferencePlan(**options), objective=objective)
        own = farthing.infer(shape, best.cluster, workload=load, plan=best.plan)
        assert own.fits
        assert best.value == pytest.approx(getattr(own, figure), rel=1e-9)
        if greedy.fits:
            assert best.value <= getattr(greedy, figure) * (1 + 1e-9)


@pytest.mark.parametrize("case", MIXED, ids=lambda case: case[1])
def test_machines_that_stay_as_they_are(case: tuple[str, str, dict[str, Any]]) -> None:
    name, text, options = case
    shape, machines, load = catalog.model(name), parse_cluster(text), InferenceWorkload(batch_size=8)
    greedy = farthing.infer(shape, machines, workload=load, **options)
    best = best_layer_ranges(
        shape, machines, load, InferencePlan(**options), stages=greedy.plan.pp, rearrange=False
    )
    assert best.cluster is machines
    assert best.plan.pp == greedy.plan.pp
    assert best.fits
    assert best.value <= greedy.tpot_s * (1 + 1e-9) or not greedy.fits


def test_many_groups_keep_the_order_written(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = catalog.model("llama-2-70b")
    machines = parse_cluster("1x1:rtx-4090+1x1:m2-ultra+1x1:l40s@10gbe")
    plan, load = InferencePlan(weight_format="q4_k_m"), InferenceWorkload(batch_size=1)
    free = best_layer_ranges(shape, machines, load, plan)
    monkeypatch.setattr(layer_ranges, "MOST_ORDERED", 0)
    written = best_layer_ranges(shape, machines, load, plan)
    assert free.any_order
    assert not written.any_order
    assert free.value < written.value
    assert [card for card, _ in served(free)] == ["l40s", "rtx-4090"]
    assert [card for card, _ in served(written)] == ["rtx-4090", "l40s"]
