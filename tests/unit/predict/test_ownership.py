"""Ownership: cash flows by hand, limits without interest, monotone in each argument, columns, derivations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InvalidInput
from farthing.predict import money, ownership
from farthing.predict.trace import term_of, tracing
from farthing.units import HOUR, MONTH, YEAR

PRICES = st.floats(1, 1e9)
YEARS = st.integers(1, 20)
RATES = st.floats(0, 0.5)
SHARES = st.floats(0, 1)
COSTS = st.floats(0, 1e3)

SPANS: dict[str, tuple[float, float]] = {
    "price_usd": (1, 1e9),
    "years": (1, 20),
    "annual_interest": (0, 0.5),
    "residual_share": (0, 0.999),
    "running_usd_per_s": (0, 1e3),
    "owned_running_usd_per_s": (0, 1e3),
    "alternative_usd_per_s": (0, 1e3),
    "trough_share": (0, 1),
    "busy_w": (500, 1e6),
    "idle_w": (0, 500),
    "load": (0, 1),
    "volts": (100, 480),
    "amperes": (1, 100),
    "continuous_share": (0, 1),
}
"""Where each argument may lie."""

DIRECTIONS: list[tuple[Callable[..., Any], dict[str, int]]] = [
    # A longer time spreads the price and the interest over more payments.
    (ownership.owned_usd_per_s, {"price_usd": 1, "years": -1, "annual_interest": 1, "residual_share": -1}),
    (ownership.net_present_cost_usd, {"price_usd": 1, "running_usd_per_s": 1, "residual_share": -1}),
    (
        ownership.break_even_s,
        {"price_usd": 1, "owned_running_usd_per_s": 1, "alternative_usd_per_s": -1},
    ),
    (ownership.mean_load, {"trough_share": 1}),
    (ownership.average_power_w, {"busy_w": 1, "idle_w": 1, "load": 1}),
    (ownership.circuit_w, {"volts": 1, "amperes": 1, "continuous_share": 1}),
]


@pytest.mark.parametrize(
    ("function", "argument", "direction", "names"),
    [
        (function, argument, direction, tuple(directions))
        for function, directions in DIRECTIONS
        for argument, direction in directions.items()
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
@given(data=st.data())
def test_monotone_in_each_argument(
    function: Callable[..., Any], argument: str, direction: int, names: tuple[str, ...], data: st.DataObject
) -> None:
    values = {name: data.draw(st.floats(*SPANS[name]), name) for name in names}
    if function is ownership.net_present_cost_usd:
        values |= {"years": data.draw(YEARS), "annual_interest": data.draw(RATES)}
    less, more = sorted(data.draw(st.tuples(*[st.floats(*SPANS[argument])] * 2)))
    before, after = (float(function(**values | {argument: value})) for value in (less, more))
    slack = 1e-6 * (1 + abs(before)) if math.isfinite(before) else 0
    assert direction * (after - before) >= -slack or before == after


@given(PRICES, YEARS, SHARES)
def test_without_interest_owning_is_depreciation(price: float, years: int, share: float) -> None:
    owned = ownership.owned_usd_per_s(price, years, 0, share)
    exact = money.capital_usd_per_s(price, years, residual_share=share)
    assert owned == pytest.approx(exact, rel=1e-6, abs=1e-15 * price)


@given(PRICES, YEARS, RATES)
def test_without_a_sale_owning_is_the_annuity(price: float, years: int, rate: float) -> None:
    assert ownership.owned_usd_per_s(price, years, rate) == money.financed_usd_per_s(price, rate, years)


@given(PRICES, COSTS, YEARS, SHARES)
def test_without_interest_the_present_cost_is_the_sum(
    price: float, running: float, years: int, share: float
) -> None:
    cost = ownership.net_present_cost_usd(price, running, years, 0, share)
    assert cost == pytest.approx(price * (1 - share) + running * years * YEAR, rel=1e-6, abs=1e-9 * price)


@given(PRICES, COSTS, YEARS, st.floats(0.001, 0.5), SHARES)
def test_present_cost_discounts_every_payment(
    price: float, running: float, years: int, rate: float, share: float
) -> None:
    paid = price - share * price / (1 + rate) ** years
    paid += sum(running * YEAR / (1 + rate) ** year for year in range(1, years + 1))
    assert ownership.net_present_cost_usd(price, running, years, rate, share) == pytest.approx(paid, rel=1e-9)


@given(PRICES, COSTS, YEARS, st.floats(0.001, 0.5), SHARES)
def test_cost_a_second_and_present_cost_agree(
    price: float, running: float, years: int, rate: float, share: float
) -> None:
    a_second = ownership.owned_usd_per_s(price, years, rate, share) + running
    spread = money.financed_usd_per_s(
        ownership.net_present_cost_usd(price, running, years, rate, share), rate, years
    )
    assert spread == pytest.approx(a_second, rel=1e-9)


def test_a_loan_and_a_sale_by_hand() -> None:
    yearly = ownership.owned_usd_per_s(1000, 2, 0.1, 0.5) * YEAR
    debt = (1000 * 1.1 - yearly) * 1.1 - yearly
    assert debt == pytest.approx(500)


def test_break_even() -> None:
    months = ownership.break_even_s(7300, 1 / HOUR, 11 / HOUR) / MONTH
    assert months == pytest.approx(1)
    times = ownership.break_even_s(100.0, np.array([0.0, 1.0, 2.0]), 1.0)
    assert times.tolist() == [100.0, math.inf, math.inf]


@given(st.floats(0, 1), st.floats(0.1, 1e6), st.sampled_from(sorted(ownership.SWING)))
def test_mean_load_lies_between_trough_and_peak(trough: float, peak: float, shape: str) -> None:
    load = ownership.mean_load(trough * peak, peak, shape)
    assert trough - 1e-12 <= load <= 1 + 1e-12
    assert load == pytest.approx(ownership.mean_load(trough, shape=shape))


@given(st.floats(0, 1), st.integers(1, 30), st.sampled_from(sorted(ownership.SWING)))
def test_curve_has_the_mean_load(trough: float, days: int, shape: str) -> None:
    curve = ownership.load_curve(trough, 24 * days, shape)
    assert curve.shape == (24 * days,)
    assert curve.mean() == pytest.approx(ownership.mean_load(trough, shape=shape))
    assert curve.min() == pytest.approx(trough)
    assert curve.max() == pytest.approx(1)
    assert np.array_equal(curve[:24], curve[-24:])


def test_curve_of_an_hour_is_that_of_midnight() -> None:
    assert ownership.load_curve(0.5, 1).tolist() == ownership.load_curve(0.5)[:1].tolist()


@pytest.mark.parametrize("hours", [0, -1, 1.5, math.nan, math.inf, 10**9])
def test_odd_hours_are_refused(hours: float) -> None:
    with pytest.raises(InvalidInput, match="whole number from 1 to 8784"):
        ownership.load_curve(0.5, hours)


@pytest.mark.parametrize("function", [ownership.mean_load, ownership.load_curve])
def test_unknown_shapes_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInput, match="use one of sine, office-hours"):
        function(0.5, shape="sawtooth")


def test_power_at_rest_and_at_work() -> None:
    assert ownership.average_power_w(700, 100, np.array([0.0, 0.5, 1.0])).tolist() == [100, 400, 700]


def test_circuits_of_the_world() -> None:
    watts = ownership.circuit_w(np.array([120, 230, 230]), np.array([15, 13, 16]))
    assert watts.tolist() == pytest.approx([1440, 2392, 2944])
    # The rule as the code writes it: a breaker of 125% of the continuous load.
    assert 1.25 * ownership.circuit_w(240, 20) == pytest.approx(240 * 20)


def test_columns_are_their_scalars() -> None:
    years, rates = np.array([1, 3, 5]), np.array([0.0, 0.05, 0.2])
    column = ownership.owned_usd_per_s(1000.0, years, rates, 0.3)
    each = [ownership.owned_usd_per_s(1000.0, y, r, 0.3) for y, r in zip(years, rates, strict=True)]
    assert column.tolist() == pytest.approx(each)
    column = ownership.net_present_cost_usd(1000.0, 0.01, years, rates, 0.3)
    each = [
        ownership.net_present_cost_usd(1000.0, 0.01, y, r, 0.3) for y, r in zip(years, rates, strict=True)
    ]
    assert column.tolist() == pytest.approx(each)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (ownership.owned_usd_per_s, (40_000, 3, 0.08, 0.4)),
        (ownership.net_present_cost_usd, (40_000, 0.001, 3, 0.08, 0.4)),
        (ownership.break_even_s, (40_000, 0.001, 0.002)),
        (ownership.mean_load, (0.2, 0.8)),
        (ownership.average_power_w, (2000, 400, 0.5)),
        (ownership.circuit_w, (120, 15)),
    ],
)
def test_derivation_has_the_value(function: Callable[..., Any], arguments: tuple[float, ...]) -> None:
    with tracing():
        term = term_of(function(*arguments))
    assert term.value == pytest.approx(float(function(*arguments)))
    assert term.formula
    assert term.numbers != term.formula
