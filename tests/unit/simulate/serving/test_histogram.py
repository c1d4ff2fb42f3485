"""Percentiles in bins against those of all the values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.simulate.serving.histogram import Histogram

CLOSE = 0.003
"""As the record says."""


@pytest.mark.parametrize("spread", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e6])
def test_percentiles_are_close(spread: float, scale: float) -> None:
    values = np.random.default_rng(3).lognormal(math.log(scale), spread, 40_000)
    times = Histogram()
    for value in values.tolist():
        times.add(value)
    found = times.spread()
    for share, told in ((50, found.p50), (90, found.p90), (99, found.p99)):
        assert told == pytest.approx(np.percentile(values, share), rel=CLOSE)
    assert (found.count, found.most) == (40_000, values.max())
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_percentile_is_near_a_value_of_its_rank(values: list[float], share: float) -> None:
    times = Histogram()
    for value in values:
        times.add(value)
    exact = sorted(values)[math.ceil(share * len(values) * (1 - 1e-12)) - 1]
    assert times.percentile(share) == pytest.approx(exact, rel=CLOSE)


def test_weights_count_as_often() -> None:
    once, often = Histogram(), Histogram()
    for value, weight in ((1.0, 3), (2.0, 7)):
        once.add(value, weight)
        for _ in range(weight):
            often.add(value)
    assert once.spread() == often.spread()
    assert once.percentile(0.29) == pytest.approx(1.0, rel=CLOSE)
    assert once.percentile(0.31) == pytest.approx(2.0, rel=CLOSE)


def test_nothing_and_zeros() -> None:
    empty = Histogram().spread()
    assert empty.count == 0
    assert (empty.mean, empty.p50, empty.p90, empty.p99, empty.most) == (0, 0, 0, 0, 0)
    waits = Histogram()
    for value in (0.0, 0.0, 0.0, 5.0):
        waits.add(value)
    assert (waits.percentile(0.5), waits.percentile(0.75), waits.spread().mean) == (0.0, 0.0, 1.25)
    assert waits.percentile(1.0) == pytest.approx(5.0, rel=CLOSE)
    assert waits.percentile(1.0) <= waits.most
