"""Lifetimes and failures of fleets against scipy's distributions and renewal theory."""

import math

import numpy as np
import pytest
from scipy import stats

from farthing.records.fault_run import FaultCause
from farthing.simulate.faults.lifetimes import (
    Hazard,
    expected_failures,
    failing_often,
    failures,
    hazard_of,
)

RUNS = 4000


def cause(**fields):
    return FaultCause(**{"name": "part", "strikes": "card", "fault_parts": 1, "part_mtbf_s": 100.0, **fields})


BATHTUB = {
    "lifetime": "bathtub",
    "early_failures": 0.3,
    "early_s": 20.0,
    "early_shape": 0.5,
    "wear_s": 150.0,
    "wear_shape": 4.0,
}


def first_of_each(found, runs=RUNS):
    """The first failure of each run; infinite where nothing failed."""
    first = np.full(runs, np.inf)
    np.minimum.at(first, found.run, found.time_s)
    return first


def survival(fields, age):
    """Of a part, by the definition of the hazards."""
    one = cause(**fields)
    if one.lifetime == "exponential":
        return math.exp(-age / 100.0)
    if one.lifetime == "weibull":
        return float(stats.weibull_min.sf(age, one.shape, scale=100.0 / math.gamma(1 + 1 / one.shape)))
    early = one.early_failures * (age / one.early_s) ** one.early_shape
    return math.exp(-(age / 100.0 + early + (age / one.wear_s) ** one.wear_shape))


@pytest.mark.parametrize("parts", [1, 40])
@pytest.mark.parametrize("age", [0.0, 60.0])
@pytest.mark.parametrize(
    "fields",
    [{}, {"lifetime": "weibull", "shape": 0.7}, {"lifetime": "weibull", "shape": 3.0}, BATHTUB],
    ids=["exponential", "weibull-0.7", "weibull-3", "bathtub"],
)
def test_first_failure_of_a_fleet_is_the_least_of_its_lives(fields, age, parts):
    horizon = 80.0
    one = cause(fault_parts=parts, age_s=age, **fields)
    first = first_of_each(failures(one, horizon, RUNS, np.random.default_rng(7)))
    left = survival(fields, age + horizon) / survival(fields, age)
    none = left**parts
    assert np.mean(np.isinf(first)) == pytest.approx(none, abs=4 * math.sqrt(none * (1 - none) / RUNS) + 1e-9)
    # Given that something failed, the truncated distribution of the least.
    seen = first[np.isfinite(first)]

    def cdf(times):
        share = [(survival(fields, age + t) / survival(fields, age)) ** parts for t in times]
        return (1 - np.array(share)) / (1 - none)

    assert stats.kstest(seen, cdf).pvalue > 1e-3


def test_third_failure_of_twenty_is_an_order_statistic():
    # So narrow a distribution that no replacement fails within the horizon.
    shape, parts, third = 12.0, 20, 3
    one = cause(fault_parts=parts, lifetime="weibull", shape=shape)
    found = failures(one, 110.0, RUNS, np.random.default_rng(3))
    order = np.lexsort((found.time_s, found.run))
    starts = np.searchsorted(found.run[order], np.arange(RUNS))
    times = found.time_s[order][starts + third - 1]
    scale = 100.0 / math.gamma(1 + 1 / shape)
    below = stats.weibull_min.cdf(times, shape, scale=scale)
    assert stats.kstest(below, stats.beta(third, parts - third + 1).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.5])
def test_renewals_are_counted_as_renewal_theory_says(shape):
    lives = 60.0
    fields = {"lifetime": "weibull", "shape": shape} if shape != 1 else {}
    counts = np.bincount(
        failures(cause(**fields), lives * 100.0, RUNS, np.random.default_rng(5)).run, minlength=RUNS
    )
    scale = 1 / math.gamma(1 + 1 / shape)
    spread = float(stats.weibull_min.var(shape, scale=scale))  # of a life of mean 1
    error = 4 * math.sqrt(spread * lives / RUNS)
    assert counts.mean() == pytest.approx(lives + (spread - 1) / 2, abs=error + 0.02 * lives**0.5)
    assert counts.var() == pytest.approx(spread * lives, rel=0.15)


def test_new_parts_of_a_bathtub_live_as_its_hazard_says():
    hazard = hazard_of(cause(**BATHTUB))
    lives = hazard.lifetimes(np.random.default_rng(2), 5000)
    assert stats.kstest(hazard.cumulative(lives), "expon").pvalue > 1e-3


def test_ages_invert_the_cumulative_hazard():
    hazard = hazard_of(cause(**BATHTUB))
    wanted = np.geomspace(1e-9, hazard.cumulative(500.0), 1000)
    assert hazard.cumulative(hazard.ages(wanted, 0.0, 500.0)) == pytest.approx(wanted, rel=1e-9)
    simple = Hazard(((50.0, 2.0),))
    assert simple.ages(np.array([4.0]), 0.0, 1e9) == pytest.approx([100.0])


def test_ages_of_old_parts_stay_between_their_ends():
    hazard = hazard_of(cause(**BATHTUB))
    low, high = hazard.cumulative(100.0), hazard.cumulative(130.0)
    ages = hazard.ages(np.linspace(low, high, 50), 100.0, 130.0)
    assert ages.min() >= 100.0
    assert ages.max() <= 130.0
    assert hazard.cumulative(ages) == pytest.approx(np.linspace(low, high, 50), rel=1e-9)


def test_failures_that_follow_are_a_geometric_cascade():
    one = cause(fault_parts=50, followed_share=0.4, follow_s=1.0)
    found = failures(one, 1000.0, 500, np.random.default_rng(9))
    led = found.follows.sum()
    assert led / (~found.follows).sum() == pytest.approx(0.4 / 0.6, rel=0.03)
    assert found.time_s.max() < 1000.0


def test_old_parts_wear_out_sooner():
    new, old = (
        len(
            failures(
                cause(lifetime="weibull", shape=4.0, age_s=age), 30.0, RUNS, np.random.default_rng(1)
            ).run
        )
        for age in (0.0, 90.0)
    )
    assert old > 20 * new


@pytest.mark.parametrize("fields", [{}, {"lifetime": "weibull", "shape": 2.0}, BATHTUB])
def test_failing_twice_as_often_halves_lives(fields):
    one = cause(**fields)
    twice = failing_often(one, 2.0)
    assert twice.part_mtbf_s == one.part_mtbf_s / 2
    count, more = (len(failures(each, 60.0, RUNS, np.random.default_rng(4)).run) for each in (one, twice))
    assert more > 1.5 * count


@pytest.mark.parametrize(
    "fields", [{}, {"lifetime": "weibull", "shape": 0.7}, {"lifetime": "weibull", "shape": 3.0}, BATHTUB]
)
def test_expectation_is_near_what_is_drawn(fields):
    one = cause(fault_parts=20, followed_share=0.2, follow_s=1.0, **fields)
    drawn = len(failures(one, 150.0, 500, np.random.default_rng(4)).run) / 500
    expected = expected_failures(one, 150.0)
    tolerance = 0.05 if not fields else 0.6
    assert expected == pytest.approx(drawn, rel=tolerance)
