"""Costs of chips: the article's rows, a bill worked by hand, and what others estimate."""

from __future__ import annotations

import math

import pytest

from farthing import catalog
from farthing.article import rows
from farthing.estimate.chip import chip_cost
from farthing.predict.chip import (
    harvested_yield,
    margin_share,
    murphy_yield,
    negative_binomial_yield,
    poisson_yield,
)
from farthing.units import GIB

ROWS = {row.id: row for row in rows()}


def test_the_bills_of_the_article_come_out() -> None:
    h100, rtx4090 = chip_cost("h100-sxm", article=True), chip_cost("rtx-4090", article=True)
    assert h100.total_usd == ROWS["bom-h100"].recomputed == 2100
    assert h100.die_usd == ROWS["die-h100"].recomputed == ROWS["die-h100"].printed == 300
    assert h100.yield_share == pytest.approx(5 / 6)
    assert rtx4090.total_usd == ROWS["bom-4090"].recomputed == 890
    assert rtx4090.die_usd == 250


def test_the_article_has_no_margin_below_nine_tenths() -> None:
    # 2,100 of 30,000 USD, the price that it gives.
    assert margin_share(chip_cost("h100-sxm", article=True).total_usd, 30_000) == pytest.approx(0.93)


def test_h100_by_hand() -> None:
    found = chip_cost(
        "h100-sxm",
        yield_model="poisson",
        harvest=False,
        wafer_usd=15_000,
        defects_per_cm2=0.1,
        memory_usd_per_gb=15,
        package_usd=300,
        board_usd=300,
    )
    # π 150² / 814 = 86.84 dies by area, less π 300 / sqrt(1628) = 23.36 at the edge; e^-0.814 = 0.4431.
    assert found.dies_per_wafer == 63
    assert found.yield_share == pytest.approx(0.44308, rel=1e-4)
    assert found.good_dies == pytest.approx(27.914, rel=1e-4)
    assert found.die_usd == pytest.approx(537.4, rel=1e-3)
    assert found.total_usd == pytest.approx(537.4 + 1200 + 600, rel=1e-3)
    assert found.low_total_usd == found.total_usd == found.high_total_usd


def test_mi300x_counts_all_its_dies() -> None:
    found = chip_cost(
        "mi300x", yield_model="poisson", harvest=False, defects_per_cm2=0.1, wafer_usd=16_000, package_usd=0
    )
    # Eight dies of 115 mm²: 552 on a wafer, e^-0.115 good; four of 370 mm² in N6: 156, e^-0.333 good.
    compute = 16_000 / (552 * math.exp(-0.115))
    other = 9_346 / (156 * math.exp(-0.333))
    assert found.die_usd == pytest.approx(compute)
    assert found.side_dies_usd == pytest.approx(4 * other)
    memory = 192 * catalog.memory_prices()["hbm3"].usd_per_byte * GIB
    assert found.total_usd == pytest.approx(8 * compute + 4 * other + memory + 300)


def test_harvest_by_hand() -> None:
    # Poisson, mean 1, two units on half of the die, one spare: e^-0.5 for the rest of the die, and each unit
    # is whole with e^-0.25: both, or either.
    whole = math.exp(-0.25)
    expected = math.exp(-0.5) * (whole**2 + 2 * whole * (1 - whole))
    found = harvested_yield(1.0, units=2, enabled_units=1, unit_area_share=0.5, yield_model="poisson")
    assert found == pytest.approx(expected, rel=1e-12)


def test_harvest_is_the_binomial_over_units() -> None:
    mean, units, enabled, share = 0.814, 144, 132, 0.6
    bad = -math.expm1(-mean * share / units)
    good = sum(
        math.comb(units, k) * bad**k * (1 - bad) ** (units - k) for k in range(units - enabled + 1)
    ) * math.exp(-mean * (1 - share))
    found = harvested_yield(
        mean, units=units, enabled_units=enabled, unit_area_share=share, yield_model="poisson"
    )
    assert found == pytest.approx(good, rel=1e-12)


@pytest.mark.parametrize("mean", [1e-9, 0.05, 0.8, 5.0, 30.0])
def test_without_spares_harvest_is_the_plain_yield(mean: float) -> None:
    def all_units(model: str) -> float:
        return float(
            harvested_yield(
                mean, units=10, enabled_units=10, unit_area_share=0.5, yield_model=model, clustering=2.5
            )
        )

    assert all_units("poisson") == pytest.approx(poisson_yield(100, mean))
    assert all_units("murphy") == pytest.approx(murphy_yield(100, mean))
    assert all_units("negative-binomial") == pytest.approx(negative_binomial_yield(100, mean, clustering=2.5))


def test_negative_binomial_harvest_is_a_mixture_of_densities() -> None:
    # A gamma mixture of Poisson yields, summed over a fine grid of its densities.
    alpha, mean, step = 3.0, 0.8, 1e-3
    total = 0.0
    for i in range(40_000):
        x = (i + 0.5) * step
        weight = alpha**alpha * x ** (alpha - 1) * math.exp(-alpha * x) / math.gamma(alpha) * step
        total += (
            weight
            * float(
                harvested_yield(
                    mean * x, units=4, enabled_units=3, unit_area_share=0.7, yield_model="poisson"
                )
            )
            if weight > 1e-15
            else 0.0
        )
    found = harvested_yield(
        mean, units=4, enabled_units=3, unit_area_share=0.7, yield_model="negative-binomial", clustering=alpha
    )
    assert found == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "part", "usd"),
    [
        # siliconanalysts.com, cost bridge, February 2026; the B200's dies Epoch AI by 91haoming.cn.
        ("h100-sxm", "dies", 300),
        ("mi300x", "dies", 600),
        ("b200-sxm", "dies", 900),
        ("mi300x", "total", 5300),
        ("b200-sxm", "total", 6400),
    ],
)
def test_others_estimate_the_like(name: str, part: str, usd: float) -> None:
    found = chip_cost(name)
    dies = found.die_usd * found.dies + found.side_dies_usd
    # They count losses in packaging and test; farthing does not.
    assert usd / 1.35 < (dies if part == "dies" else found.total_usd) < 1.25 * usd
