"""Ticks are round, span the values, and read differently."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.records.chart import LARGEST
from farthing.report.ticks import figure, tick_texts, ticks

ANY = st.floats(-LARGEST, LARGEST)
ABOVE = st.floats(1 / LARGEST, LARGEST)


@given(st.lists(ANY, max_size=5), st.booleans())
def test_linear_ticks_span_the_values(values: list[float], zero: bool) -> None:
    found = ticks(values, "linear", zero=zero)
    assert found.low < found.high
    assert 2 <= len(found.values) <= 12
    assert list(found.values) == sorted(set(found.values))
    for value in values:
        assert -1e-6 <= found.share(value) <= 1 + 1e-6


@given(st.lists(ABOVE, max_size=5))
def test_log_ticks_span_the_values(values: list[float]) -> None:
    found = ticks(values, "log")
    assert 0 < found.low < found.high < math.inf
    assert len(found.values) <= 14
    for value in values:
        assert -1e-6 <= found.share(value) <= 1 + 1e-6


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=4), st.floats(0, 1))
def test_a_share_is_the_inverse_of_its_value(values: list[float], share: float) -> None:
    for found in (ticks(values, "linear"), ticks([abs(v) + 1e-3 for v in values], "log")):
        assert found.share(found.value(share)) == pytest.approx(share, abs=1e-6)


def test_an_axis_that_begins_near_zero_begins_there() -> None:
    assert ticks([1.0, 10.0], "linear").low == 0
    assert ticks([90.0, 100.0], "linear").low > 0
    assert ticks([90.0, 100.0], "linear", zero=True).low == 0


@given(st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=4, unique=True))
def test_ticks_read_differently(values: list[float]) -> None:
    found = ticks(values, "linear").values
    if max(values) - min(values) > 1e-9 * max(values):
        assert len(set(tick_texts(found))) == len(found)


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (-1500, "-1,500"),
        (9999.9, "10k"),
        (999_999, "1M"),
        (0.00001, "1e-05"),
        (1e14, "100T"),
        (12.345, "12.3"),
    ],
)
def test_figures(value: float, short: str) -> None:
    assert figure(value) == short
