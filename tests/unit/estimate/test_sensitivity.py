"""What a 10% better part gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.sensitivity import BETTER, better_clusters, sensitivities
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Accelerator, Cluster

PARTS = ("compute rate", "memory bandwidth", "memory size", "link bandwidth", "link latency")
Rows = dict[str, tuple[float, float, float]]


def rows(found: Any) -> Rows:
    return {r.part: (r.throughput_factor, r.time_factor, r.usd_factor) for r in found.sensitivity}


def served(**options: Any) -> Rows:
    return rows(farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8, sensitivity=True, **options))


def trained(cluster: str = "2x8:h100-sxm@ib-ndr", **options: Any) -> Rows:
    return rows(farthing.train("llama-2-7b", cluster, sensitivity=True, **options))


def test_a_bound_part_pays_and_an_idle_one_does_not() -> None:
    found = served()
    assert found["memory bandwidth"][0] > 1.05
    assert found["compute rate"] == (1.0, 1.0, pytest.approx(1.0, abs=1e-2))
    for throughput, time, _ in found.values():
        assert throughput == pytest.approx(1 / time)


def test_cheaper_cards_change_money_alone() -> None:
    paid = served(usd_per_accelerator=1600, usd_per_kwh=0)["price of the cards"]
    assert paid == (1.0, 1.0, pytest.approx(1 / 1.1))
    free_power = served(usd_per_accelerator=1600, usd_per_kwh=1)["price of the cards"]
    assert paid[2] < free_power[2] < 1


def test_training_is_bound_by_compute() -> None:
    found = trained()
    assert set(found) == {*PARTS, "price of the cards"}
    assert 1.05 < found["compute rate"][0] <= BETTER
    assert found["memory size"] == (1.0, 1.0, 1.0)
    for part in PARTS:
        throughput, time, usd = found[part]
        assert throughput == pytest.approx(1 / time, rel=1e-12)
        # Each second costs the same.
        assert usd == pytest.approx(time, rel=1e-12)
        assert 1 <= throughput <= BETTER * (1 + 1e-12)


def test_traffic_over_a_slow_network_is_bound_by_it() -> None:
    found = trained("8x1:h100-sxm@10gbe")
    assert found["link bandwidth"][0] == max(throughput for throughput, *_ in found.values())
    assert found["link bandwidth"][0] > 1.05
    assert trained("8x1:h100-sxm@10gbe", tp=8)["link latency"][0] > 1


def test_links_of_cards_without_a_way_of_their_own_are_the_hosts_memory() -> None:
    found = served()
    assert found["link bandwidth"][0] > 1
    assert found["link latency"][0] > 1


def test_one_card_has_no_links() -> None:
    found = rows(farthing.train("gpt-2-124m", "1x1:rtx-4090", sensitivity=True))
    assert set(found) == {"compute rate", "memory bandwidth", "memory size", "price of the cards"}


def test_a_better_part_is_the_only_change() -> None:
    cluster = parse_cluster("1x2:rtx-4090+1x4:a100-sxm-80gb@25gbe")
    better = dict(better_clusters(cluster))
    assert tuple(better) == PARTS

    def changed(part: str) -> set[str]:
        pairs = zip(cluster.groups, better[part].groups, strict=True)
        return {
            field.name
            for old, new in pairs
            for field in dataclasses.fields(Accelerator)
            if getattr(old.accelerator, field.name) != getattr(new.accelerator, field.name)
        }

    assert changed("memory bandwidth") == {"memory_bytes_per_s"}
    assert changed("memory size") == {"memory_bytes"}
    rates = {f.name for f in dataclasses.fields(Accelerator) if f.name.endswith(("flop_per_s", "op_per_s"))}
    # A rate that there is not stays so, and the power that sets the clock rises with it.
    assert changed("compute rate") - {"tdp_w"} <= rates
    assert {"bf16_flop_per_s", "fp32_flop_per_s", "tdp_w"} <= changed("compute rate")
    for part, field, factor in (
        ("link bandwidth", "bytes_per_s", BETTER),
        ("link latency", "latency_s", 1 / BETTER),
    ):
        assert changed(part) == set()
        for old, new in zip(cluster.groups, better[part].groups, strict=True):
            assert getattr(new.intra_link, field) == pytest.approx(getattr(old.intra_link, field) * factor)
        network, faster = cluster.network, better[part].network
        assert network is not None
        assert faster is not None
        assert getattr(faster, field) == pytest.approx(getattr(network, field) * factor)


def test_the_questions_that_are_repeated() -> None:
    plain = farthing.train("llama-2-7b", "1x8:h100-sxm")
    asked: list[Cluster] = []

    def repeat(better: Cluster) -> TrainingEstimate:
        asked.append(better)
        return dataclasses.replace(plain, step_s=plain.step_s / 2, tokens_per_s=plain.tokens_per_s * 2)

    cluster = parse_cluster("1x8:h100-sxm")
    found = sensitivities(plain, cluster, repeat)
    assert asked == [better for _, better in better_clusters(cluster)]
    assert [row.part for row in found] == [*PARTS, "price of the cards"]
    assert all((row.throughput_factor, row.time_factor) == (2.0, 0.5) for row in found[:-1])


def test_without_prices_money_is_left_alone() -> None:
    plain = dataclasses.replace(farthing.train("llama-2-7b", "1x8:h100-sxm"), costs=())
    found = sensitivities(plain, parse_cluster("1x8:h100-sxm"), lambda _: plain)
    assert [row.part for row in found] == list(PARTS)
    assert all(row.usd_factor == 1.0 for row in found)
