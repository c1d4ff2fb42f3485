"""Yields are shares, fall with area and defects, and order as their models do."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farthing import catalog
from farthing.estimate.chip import chip_cost
from farthing.predict.chip import (
    defects_per_die,
    dies_per_wafer,
    harvested_yield,
    murphy_yield,
    negative_binomial_yield,
    poisson_yield,
)

SLACK = 1e-9
areas = st.floats(1, 858)
densities = st.floats(0, 2)
clusterings = st.floats(0.1, 100)
models = st.sampled_from(("murphy", "poisson", "negative-binomial"))


def plain(area: float, density: float, model: str, clustering: float) -> float:
    if model == "negative-binomial":
        return float(negative_binomial_yield(area, density, clustering=clustering))
    return float((murphy_yield if model == "murphy" else poisson_yield)(area, density))


@given(areas, areas, densities, models, clusterings)
def test_larger_dies_never_yield_better(
    one: float, other: float, density: float, model: str, clustering: float
) -> None:
    small, large = sorted((one, other))
    best, worst = plain(small, density, model, clustering), plain(large, density, model, clustering)
    assert 0 <= worst <= best + SLACK
    assert best <= 1 + SLACK
    assert dies_per_wafer(300, large) <= dies_per_wafer(300, small)


@given(areas, densities, clusterings)
def test_clustered_defects_spare_more_dies(area: float, density: float, clustering: float) -> None:
    least = poisson_yield(area, density) * (1 - SLACK)
    assert least <= murphy_yield(area, density)
    assert least <= negative_binomial_yield(area, density, clustering=clustering)


@given(areas, densities, models, clusterings, st.integers(1, 200), st.data())
def test_harvest_lies_between_the_yields_of_a_die_and_of_its_core(
    area: float, density: float, model: str, clustering: float, units: int, data: Any
) -> None:
    enabled = data.draw(st.integers(1, units))
    share = data.draw(st.floats(0, 1))

    def harvested(on: int) -> float:
        return float(
            harvested_yield(
                defects_per_die(area, density),
                units=units,
                enabled_units=on,
                unit_area_share=share,
                yield_model=model,
                clustering=clustering,
            )
        )

    found = harvested(enabled)
    assert 0 <= found <= 1
    assert found >= plain(area, density, model, clustering) - SLACK
    assert found <= plain(area * (1 - share), density, model, clustering) + SLACK
    assert found <= harvested(max(enabled - 1, 1)) + SLACK


@given(st.sampled_from(sorted(catalog.chips())), models, st.floats(0, 1), st.floats(1, 1e5))
def test_a_cost_is_the_sum_of_its_parts(name: str, model: Any, density: float, wafer_usd: float) -> None:
    found = chip_cost(name, yield_model=model, defects_per_cm2=density, wafer_usd=wafer_usd)
    parts = found.memory_usd + found.package_usd + found.board_usd + found.side_dies_usd
    assert abs(found.total_usd - parts - found.dies * found.die_usd) < 1e-9 * found.total_usd
    assert found.low_total_usd <= found.total_usd * (1 + SLACK)
    assert found.total_usd <= found.high_total_usd * (1 + SLACK)
    assert found.die_usd >= wafer_usd / found.dies_per_wafer * (1 - SLACK)
