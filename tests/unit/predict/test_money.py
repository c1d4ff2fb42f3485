"""Money and chips: the article's bills, limits of the formulas, columns, and derivations."""

import numpy as np
import pytest

from farthing.predict import chip, money
from farthing.predict.trace import term_of, tracing
from farthing.units import HOUR, MONTH, YEAR


def test_bills_of_the_article():
    h100 = chip.chip_cost_usd(chip.die_cost_usd(15_000, 50), 80, 15, package_usd=300, board_usd=300)
    assert h100 == 2100
    assert chip.chip_cost_usd(250, 24, 10, package_usd=300, board_usd=100) == 890
    assert money.bill_usd([8, 8, 1, 8], [1600, 150, 750, 700]) == 20_350
    assert money.bill_usd([8, 8, 1, 8], [1600, 1000, 4000, 700]) == 30_400
    assert money.bill_usd([8, 2, 2], [1600, 300, 3000]) == 19_400
    assert money.bill_usd([500_000], [40_000]) == 2e10


@pytest.mark.parametrize(
    ("price", "usd_per_hour"), [(40_000, 1.52207), (300_000, 11.4155), (20_000, 0.761035)]
)
def test_three_years_of_a_server(price, usd_per_hour):
    assert money.capital_usd_per_s(price, 3) * HOUR == pytest.approx(usd_per_hour, rel=1e-5)


def test_tokens_a_dollar_of_the_article():
    assert money.tokens_per_usd(407e6 / HOUR, 12.4 / HOUR) == pytest.approx(3.28226e7, rel=1e-5)
    assert money.tokens_per_usd(44e6 / HOUR, 1.26 / HOUR) == pytest.approx(3.49206e7, rel=1e-5)
    price = money.usd_per_million_tokens(2 / HOUR, 44e6 / HOUR)
    assert price * money.tokens_per_usd(44e6 / HOUR, 2 / HOUR) == pytest.approx(1e6)


def test_idle_hardware_costs_all_the_same():
    assert money.tokens_per_usd(100, 0.01, utilisation=0.25) == 0.25 * money.tokens_per_usd(100, 0.01)
    assert money.usd_per_million_tokens(0.01, 100, utilisation=0.25) == 400


def test_a_sale_at_the_end_lowers_the_cost():
    assert money.capital_usd_per_s(1000, 2, residual_share=0.3) * 2 * YEAR == pytest.approx(700)


def test_payback():
    assert money.payback_s(30_000, 6 / HOUR) / MONTH == pytest.approx(6.849, rel=1e-3)
    paid = money.payback_s(np.array([100.0, 100.0, 100.0]), np.array([2.0, 1.0, 0.5]), 1.0)
    assert paid.tolist() == [100.0, np.inf, np.inf]


def test_annuity_pays_off_the_loan():
    yearly = money.financed_usd_per_s(1000, 0.08, 5) * YEAR
    debt = 1000.0
    for _ in range(5):
        debt = debt * 1.08 - yearly
    assert debt == pytest.approx(0, abs=1e-9)


def test_annuity_without_interest_is_depreciation():
    rates = np.array([0.0, 1e-7, 0.05])
    costs = money.financed_usd_per_s(1000, rates, 4)
    assert costs[:2] == pytest.approx(money.capital_usd_per_s(1000, 4), rel=1e-6)
    assert costs[2] > costs[0]


def test_sum_of_costs():
    hosting = money.hosting_usd_per_s(2_000, 150)
    assert hosting * MONTH == pytest.approx(300)
    rent = money.rental_usd_per_s(2.5, 8)
    assert (
        money.cost_usd_per_s(1.0, 2.0, hosting_usd_per_s=hosting, rental_usd_per_s=rent) == 3 + hosting + rent
    )


def test_die_count_of_the_article():
    assert 55 <= chip.dies_per_wafer(300, 814) <= 65
    assert chip.dies_per_wafer(300, np.array([100.0, 80_000.0])).tolist() == [640, 0]


def test_yield_models_agree_without_defects_and_order_with_them():
    area = np.array([0.0, 50.0, 400.0, 800.0])
    poisson = chip.poisson_yield(area, 0.1)
    murphy = chip.murphy_yield(area, 0.1)
    clustered = chip.negative_binomial_yield(area, 0.1, clustering=2)
    for share in (poisson, murphy, clustered):
        assert share[0] == pytest.approx(1)
        assert np.all(np.diff(share) < 0)
    assert np.all(poisson[1:] < murphy[1:])
    assert np.all(poisson[1:] < clustered[1:])
    assert chip.negative_binomial_yield(area, 0.1, clustering=1e7) == pytest.approx(poisson, rel=1e-5)


def test_murphy_yield_is_the_mean_over_a_triangle_of_densities():
    mean = 0.8
    density = (np.arange(200_000) + 0.5) / 200_000 * 2 * mean
    weight = 1 - np.abs(density - mean) / mean
    expected = np.sum(weight * np.exp(-density)) / np.sum(weight)
    assert chip.murphy_yield(800, 0.1) == pytest.approx(expected, rel=1e-6)


def test_good_dies_carry_the_wafer():
    assert chip.die_cost_usd(15_000, chip.good_dies(60, 0.5)) == 500


def test_rows_must_match():
    with pytest.raises(ValueError, match="zip"):
        money.bill_usd([1, 2], [3])
    assert money.bill_usd([], []) == 0


def test_a_bill_of_columns():
    assert money.bill_usd([np.array([1, 2]), 3], [10, np.array([1, 2])]).tolist() == [13, 26]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (money.capital_usd_per_s, (40_000, 3)),
        (money.financed_usd_per_s, (40_000, 0.1, 3)),
        (money.tokens_per_usd, (100.0, 0.01)),
        (money.payback_s, (100, 3.0, 1.0)),
        (money.payback_s, (100, 1.0, 3.0)),
        (chip.dies_per_wafer, (300, 814)),
        (chip.murphy_yield, (814, 0.1)),
        (chip.chip_cost_usd, (300, 80, 15)),
    ],
)
def test_derivation_has_the_value(function, arguments):
    with tracing():
        term = term_of(function(*arguments))
    assert term.value == pytest.approx(float(function(*arguments)))
    assert term.formula
    assert term.numbers != term.formula
