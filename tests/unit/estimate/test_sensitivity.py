"""What a 10% better part gives."""

import pytest

import farthing


def table(**options: object) -> dict[str, tuple[float, float, float]]:
    found = farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8, sensitivity=True, **options)
    return {r.part: (r.throughput_factor, r.time_factor, r.usd_factor) for r in found.sensitivity}


def test_a_bound_part_pays_and_an_idle_one_does_not() -> None:
    rows = table()
    assert rows["memory bandwidth"][0] > 1.05
    assert rows["compute rate"] == (1.0, 1.0, pytest.approx(1.0, abs=1e-2))
    for throughput, time, _ in rows.values():
        assert throughput == pytest.approx(1 / time)


def test_cheaper_cards_change_money_alone() -> None:
    paid = table(usd_per_accelerator=1600, usd_per_kwh=0)["price of the cards"]
    assert paid == (1.0, 1.0, pytest.approx(1 / 1.1))
    free_power = table(usd_per_accelerator=1600, usd_per_kwh=1)["price of the cards"]
    assert paid[2] < free_power[2] < 1
