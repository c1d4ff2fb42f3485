"""What a cluster draws and costs."""

import dataclasses

import pytest

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, costs, power_w
from farthing.units import HOUR


def test_own_is_capital_and_electricity() -> None:
    cluster = parse_cluster("1x8:rtx-4090")
    basis = CostBasis(usd_per_accelerator=5000, years=3, usd_per_kwh=0.1, usd_per_accelerator_hour=0.5)
    own, rent = costs(cluster, 5200.0, 1000.0, basis)
    assert own.usd_per_s * HOUR == pytest.approx(40_000 / 26_280 + 0.52)
    assert own.hardware_usd_per_s * HOUR == pytest.approx(40_000 / 26_280)
    assert rent.usd_per_s * HOUR == pytest.approx(4.0)
    assert own.usd_per_million_tokens * own.tokens_per_usd == pytest.approx(1e6)


def test_the_users_own_price_of_a_cluster_counts_first() -> None:
    cluster = dataclasses.replace(parse_cluster("1x8:rtx-4090"), usd=100_000, usd_per_s=1.0)
    own, rent = costs(cluster, 0.0, 1.0, CostBasis())
    assert own.usd_per_s * 3 * 8760 * HOUR == pytest.approx(100_000)
    assert rent.usd_per_s == 1.0


def test_power_lies_between_rest_and_limit() -> None:
    cluster = parse_cluster("1x8:rtx-4090")
    rest = power_w(cluster, compute_share=0, memory_share=0, pue=1)
    decode = power_w(cluster, compute_share=0.05, memory_share=0.8, pue=1)
    full = power_w(cluster, compute_share=1, memory_share=1, pue=1)
    assert 0 < rest < decode < full
    assert full < 8 * 450 + 1000
    assert power_w(cluster, compute_share=1, memory_share=1, pue=1.5) == pytest.approx(1.5 * full)


def test_an_old_price_is_marked() -> None:
    found = farthing.infer("llama-2-7b", "a100-sxm-80gb")
    assert any(cost.stale for cost in found.costs)


@pytest.mark.parametrize(
    "wrong", [{"usd_per_kwh": -1}, {"years": 0}, {"pue": 0.5}, {"usd_per_accelerator": float("nan")}]
)
def test_money_that_makes_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        CostBasis(**wrong)
