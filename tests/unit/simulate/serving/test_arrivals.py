"""Arrival processes have the rates and variations that were asked for, however they are cut into chunks."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.random import SeedSequence
from scipy import stats

from farthing.errors import InvalidInput
from farthing.records.serving import Traffic
from farthing.simulate.serving.arrivals import Diurnal, _angles, arrivals

PROCESSES: list[dict[str, Any]] = [
    {"arrivals": "poisson"},
    {"arrivals": "gamma", "burstiness": 0.3},
    {"arrivals": "gamma", "burstiness": 4.0},
    {"arrivals": "diurnal", "swing": 0.5, "day_s": 40.0},
    {"arrivals": "diurnal", "swing": 1.0, "day_s": 40.0},
]
each = pytest.mark.parametrize("process", PROCESSES, ids=lambda p: "-".join(map(str, p.values())))


def times(count: int, seed: int = 1, chunks: tuple[int, ...] = (), **process: Any) -> Any:
    source = arrivals(Traffic(**{"requests_per_s": 5.0, **process}), SeedSequence(seed))
    cut = [*chunks, count - sum(chunks)]
    return np.concatenate([source.times_s(size) for size in cut])


def test_poisson_gaps_are_exponential() -> None:
    gaps = np.diff(times(50_000, arrivals="poisson"), prepend=0.0)
    assert stats.kstest(gaps, stats.expon(scale=1 / 5).cdf).pvalue > 0.01
    assert abs(gaps.mean() * 5 - 1) < 4 / math.sqrt(gaps.size)
    neighbours = np.corrcoef(gaps[1:], gaps[:-1])[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(gaps.size), "gaps know nothing of one another"


@pytest.mark.parametrize("burstiness", [0.2, 0.7, 2.0, 5.0])
def test_gamma_gaps_vary_as_asked(burstiness: float) -> None:
    gaps = np.diff(times(200_000, arrivals="gamma", burstiness=burstiness))
    assert abs(gaps.mean() * 5 - 1) < 4 * burstiness / math.sqrt(gaps.size)
    assert gaps.std() / gaps.mean() == pytest.approx(burstiness, rel=0.03)


@pytest.mark.parametrize("burstiness", [0.2, 0.7, 2.0])
def test_gamma_gaps_follow_the_law(burstiness: float) -> None:
    gaps = np.diff(times(20_000, arrivals="gamma", burstiness=burstiness))
    shape = burstiness**-2
    assert stats.kstest(gaps, stats.gamma(shape, scale=1 / shape / 5).cdf).pvalue > 0.01


def test_gamma_gaps_of_variation_one_are_poisson() -> None:
    same = times(1000, arrivals="gamma", burstiness=1.0)
    assert np.array_equal(same, times(1000, arrivals="poisson"))


@pytest.mark.parametrize("burstiness", [0.2, 3.0])
def test_the_rate_holds_from_the_start(burstiness: float) -> None:
    """With an ordinary first gap, loads of ten requests would have 4 too many, or half of one too few."""
    counts = [
        np.searchsorted(times(200, seed, arrivals="gamma", burstiness=burstiness), 10 / 5)
        for seed in range(4000)
    ]
    assert max(counts) < 200
    error = np.std(counts) / math.sqrt(len(counts))
    assert error < 0.2
    assert abs(np.mean(counts) - 10) < 3.5 * error


@pytest.mark.parametrize("swing", [0.0, 0.5, 1.0])
def test_the_rate_of_a_day_by_its_quarters(swing: float) -> None:
    day_s, days = 1000.0, 20
    found = times(int(5 * day_s * days * 1.1), arrivals="diurnal", swing=swing, day_s=day_s)
    quarters = np.floor((found[found < day_s * days] % day_s) / (day_s / 4)).astype(int)
    counts = np.bincount(quarters, minlength=4)
    share = swing / (2 * math.pi)
    expected = 5 * day_s * days * np.array([0.25 + share, 0.25 + share, 0.25 - share, 0.25 - share])
    assert np.all(np.abs(counts - expected) < 4 * np.sqrt(expected)), (counts, expected)


@pytest.mark.parametrize("swing", [0.3, 1.0])
def test_a_day_is_a_poisson_process_in_its_own_time(swing: float) -> None:
    day_s = 77.0
    found = times(20_000, arrivals="diurnal", swing=swing, day_s=day_s)
    turn = 2 * math.pi / day_s
    integrated = 5 * (found + swing / turn * (1 - np.cos(turn * found)))
    assert stats.kstest(np.diff(integrated, prepend=0.0), "expon").pvalue > 0.01
    # By the same random numbers as an even process, so that the inversion can be held to it exactly.
    assert integrated == pytest.approx(5 * times(20_000, arrivals="poisson"), rel=1e-11, abs=1e-9)


def test_a_day_without_swing_is_even() -> None:
    even = times(5000, arrivals="diurnal", swing=0.0, day_s=60.0)
    assert even == pytest.approx(times(5000, arrivals="poisson"), rel=1e-12)


@each
def test_times_never_go_back(process: dict[str, Any]) -> None:
    found = times(100_000, **{**process, "requests_per_s": 1e5})
    assert found[0] >= 0
    assert (np.diff(found) >= 0).all()


def test_rounding_turns_no_arrivals_round() -> None:
    """Where the rate falls to nothing, a last digit of the load is a millionth of a day."""
    day_s = 40.0
    bottom = day_s * (0.75 + 1 / (2 * math.pi))  # of the even process, where the day is at three quarters
    loads = np.sort(bottom + np.repeat(np.arange(-500, 500) * 1e-8, 3) + np.tile([0, 7e-15, 1.4e-14], 1000))
    assert (np.diff(_angles(loads * 2 * math.pi / day_s, 1.0)) < 0).any(), "or the case is no test"
    source = Diurnal(1.0, 1.0, day_s, np.random.default_rng(1))
    source._even = SimpleNamespace(times_s=lambda count: loads[:count])  # type: ignore[assignment]
    assert (np.diff(source.times_s(loads.size)) >= 0).all()


@each
def test_chunks_change_nothing(process: dict[str, Any]) -> None:
    whole = times(3000, **process)
    assert np.array_equal(times(3000, chunks=(1, 1, 7, 500, 1024), **process), whole)
    assert not np.array_equal(times(3000, seed=2, **process), whole)


@pytest.mark.parametrize("process", PROCESSES[:3])
def test_another_rate_scales_the_same_gaps(process: dict[str, Any]) -> None:
    slow, fast = (times(2000, requests_per_s=rate, **process) for rate in (2.0, 8.0))
    assert slow == pytest.approx(4 * fast, rel=1e-14)


def test_a_closed_loop_leaves_times_to_the_service() -> None:
    assert times(3, arrivals="closed", users=2).tolist() == [0.0, 0.0, 0.0]


def test_a_trace_is_not_drawn() -> None:
    with pytest.raises(InvalidInput, match="read a trace"):
        arrivals(Traffic(arrivals="trace"), SeedSequence(1))
