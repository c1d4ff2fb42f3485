"""The search for constants."""

import math

import pytest

from farthing.calibrate.search import least, rounded


def test_it_finds_two_coupled_constants() -> None:
    def loss(values: dict[str, float]) -> float:
        return math.log(values["a"] * values["b"] / 6) ** 2 + math.log(values["a"] / 2) ** 2

    found, error = least(loss, {"a": 1.0, "b": 1.0}, {"a": (0.1, 10), "b": (0.1, 10)})
    assert (found["a"], found["b"]) == (pytest.approx(2, rel=0.02), pytest.approx(3, rel=0.02))
    assert error < 0.02


def test_it_stays_within_bounds_and_rounds() -> None:
    found, _ = least(lambda values: -values["a"], {"a": 1.0}, {"a": (0.5, 1.23456)})
    assert found == {"a": rounded(1.23456)}
    assert rounded(0.00123456) == 0.00123
