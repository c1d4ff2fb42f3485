"""Resale: the curve goes through what it was fitted on, and bad observations are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InvalidInput
from farthing.predict.resale import residual_share, yearly_decline

DECLINES = st.floats(0, 0.9)
AGES = st.floats(0, 15)


@given(AGES, AGES, DECLINES)
def test_older_is_worth_less(one: float, other: float, decline: float) -> None:
    younger, older = sorted((one, other))
    assert residual_share(older, decline) <= residual_share(younger, decline) <= 1


@given(AGES, DECLINES, DECLINES)
def test_a_faster_decline_leaves_less(age: float, one: float, other: float) -> None:
    slower, faster = sorted((one, other))
    assert residual_share(age, faster) <= residual_share(age, slower)


def test_new_is_worth_its_price() -> None:
    assert residual_share(0, 0.3) == 1
    assert residual_share(np.array([0.0, 1.0, 2.0]), 0.5).tolist() == [1.0, 0.5, 0.25]


@given(st.lists(st.floats(0.5, 15), min_size=1, max_size=20), st.floats(0, 0.8))
def test_the_decline_of_a_curve_is_found_again(ages: list[float], decline: float) -> None:
    shares = [residual_share(age, decline) for age in ages]
    assert yearly_decline(ages, shares) == pytest.approx(decline, abs=1e-9)


def test_one_bargain_decides_nothing() -> None:
    assert yearly_decline([1, 1, 1], [0.8, 0.8, 0.01]) == pytest.approx(0.2)


def test_a_shortage_is_a_negative_decline() -> None:
    assert yearly_decline([2], [1.44]) == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("ages", "shares"),
    [
        ([], []),
        ([1.0], []),
        ([1.0, 2.0], [0.5]),
        ([0.0], [0.5]),
        ([-1.0], [0.5]),
        ([1.0], [0.0]),
        ([1.0], [math.nan]),
        ([math.inf], [0.5]),
        ([[1.0]], [[0.5]]),
    ],
)
def test_bad_sales_are_refused(ages: list[float], shares: list[float]) -> None:
    with pytest.raises(InvalidInput, match="launch price"):
        yearly_decline(ages, shares)
