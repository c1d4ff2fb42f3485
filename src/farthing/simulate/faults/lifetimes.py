"""When parts fail: cumulative hazards, lifetimes, and all failures of a fleet whose parts are replaced.

Drawing is exact for every distribution. A lifetime is the least of independent ones, one for each addend of
the hazard. The first failures of a fleet within a horizon are its order statistics: their number is binomial,
and given their number they are independent draws from the truncated distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.records.fault_run import LONGEST_S, MOST_EARLY, FaultCause

Column = NDArray[np.float64]

TABLE: Final = 257
"""Points of a cumulative hazard between which an inversion starts."""

NEWTON_STEPS: Final = 5
"""Each squares the relative error, which the table leaves below a hundredth."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard as a sum of Weibull hazards: ``H(t) = sum((t / scale) ** shape)``, t the age of a part [s].

    Examples
    --------
    >>> Hazard(((100.0, 1.0), (50.0, 2.0))).cumulative(100.0)
    5.0
    """

    addends: tuple[tuple[float, float], ...]

    def cumulative(self, age_s: Any) -> Any:
        """Cumulative hazard up to an age [s], scalar or column."""
        return sum((age_s / scale) ** shape for scale, shape in self.addends)

    def ages(self, hazards: Column, youngest_s: float, oldest_s: float) -> Column:
        """Ages [s] at which the cumulative hazard takes given values between those of two ages.

        Examples
        --------
        >>> hazard = Hazard(((100.0, 1.0), (50.0, 2.0)))
        >>> hazard.ages(np.array([5.0]), 0.0, 1000.0).round(9)
        array([100.])
        """
        if len(self.addends) == 1:
            ((scale, shape),) = self.addends
            return np.clip(scale * hazards ** (1 / shape), youngest_s, oldest_s)
        # On logarithmic scales a sum of powers is almost straight, and Newton's steps stay inside.
        least = max(youngest_s, oldest_s * 1e-12)
        log_age = np.linspace(math.log(least), math.log(oldest_s), TABLE)
        log_hazard = np.log(self.cumulative(np.exp(log_age)))
        wanted = np.log(np.maximum(hazards, 1e-300))
        found = np.interp(wanted, log_hazard, log_age)
        for _ in range(NEWTON_STEPS):
            powers = [(shape, np.exp(shape * (found - math.log(scale)))) for scale, shape in self.addends]
            total = sum(power for _, power in powers)
            slope = sum(shape * power for shape, power in powers) / total
            found = found - (np.log(total) - wanted) / slope
        return np.clip(np.exp(found), youngest_s, oldest_s)

    def lifetimes(self, draw: np.random.Generator, count: int) -> Column:
        """Lifetimes of new parts [s]: the least of one draw for each addend."""
        least = np.full(count, np.inf)
        for scale, shape in self.addends:
            least = np.minimum(least, scale * draw.standard_exponential(count) ** (1 / shape))
        return least


def hazard_of(cause: FaultCause) -> Hazard:
    """The hazard of one part of a cause.

    Examples
    --------
    >>> cause = FaultCause(name="gpu", strikes="card", fault_parts=8, part_mtbf_s=100.0, lifetime="weibull",
    ...                    shape=2.0)
    >>> [(round(scale, 2), shape) for scale, shape in hazard_of(cause).addends]
    [(112.84, 2.0)]
    """
    if cause.lifetime == "exponential":
        return Hazard(((cause.part_mtbf_s, 1.0),))
    if cause.lifetime == "weibull":
        return Hazard(((cause.part_mtbf_s / math.gamma(1 + 1 / cause.shape), cause.shape),))
    addends = [(cause.part_mtbf_s, 1.0)]
    if cause.early_failures:
        # (t / scale) ** shape is early_failures at t = early_s.
        addends.append((cause.early_s / cause.early_failures ** (1 / cause.early_shape), cause.early_shape))
    if cause.wear_s:
        addends.append((cause.wear_s, cause.wear_shape))
    return Hazard(tuple(addends))


def expected_failures(cause: FaultCause, duration_s: float) -> float:
    """About so many failures are expected in a time [s]; exact where the hazard is constant.

    Examples
    --------
    >>> cause = FaultCause(name="gpu", strikes="card", fault_parts=2048, part_mtbf_s=30 * 86400.0)
    >>> round(expected_failures(cause, 86400.0), 2)
    68.27
    """
    hazard = hazard_of(cause)
    passed = hazard.cumulative(cause.age_s + duration_s) - hazard.cumulative(cause.age_s)
    if cause.lifetime != "exponential":
        # Each part at most once, and its replacements early where the young are weak; or one each mean life.
        first = -math.expm1(-passed)
        early = sum((duration_s / scale) ** shape for scale, shape in hazard.addends if shape < 1)
        passed = max(first * (1 + early), duration_s / cause.part_mtbf_s)
    return float(cause.fault_parts * passed / (1 - cause.followed_share))


def failing_often(cause: FaultCause, factor: float) -> FaultCause:
    """A cause whose parts fail so many times as often: a constant hazard times the factor, lives over it.

    What would leave the range of the record stays at its end.

    Examples
    --------
    >>> cause = FaultCause(name="gpu", strikes="card", fault_parts=8, part_mtbf_s=100.0)
    >>> failing_often(cause, 2.0).part_mtbf_s
    50.0
    """
    return replace(
        cause,
        part_mtbf_s=min(cause.part_mtbf_s / factor, LONGEST_S),
        early_failures=min(cause.early_failures * factor, MOST_EARLY),
        wear_s=min(cause.wear_s / factor, LONGEST_S),
    )


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of one cause in many runs, in no order.

    ``run`` is the row of the run, ``time_s`` the wall-clock time [s], ``follows`` whether another failure at
    the same place brought it about.
    """

    run: NDArray[np.int64]
    time_s: Column
    follows: NDArray[np.bool_]


def failures(cause: FaultCause, duration_s: float, runs: int, draw: np.random.Generator) -> Failures:
    """All failures of a cause's parts within a horizon, in many runs at once.

    Parameters
    ----------
    cause
        What fails.
    duration_s
        The horizon [s].
    runs
        How many runs.
    draw
        Where chance comes from.

    Returns
    -------
    Failures

    Notes
    -----
    Replaced parts begin at age 0; a failure that follows another one ages nothing.

    Examples
    --------
    >>> cause = FaultCause(name="gpu", strikes="card", fault_parts=100, part_mtbf_s=50.0)
    >>> found = failures(cause, 10.0, 1000, np.random.default_rng(1))
    >>> round(len(found.time_s) / 1000)
    20
    """
    hazard = hazard_of(cause)
    if cause.lifetime == "exponential":
        counts = draw.poisson(cause.fault_parts * duration_s / cause.part_mtbf_s, runs)
        run, time_s = np.repeat(np.arange(runs), counts), draw.random(int(counts.sum())) * duration_s
    else:
        run, time_s = _renewals(cause, hazard, duration_s, runs, draw)
    follows = np.zeros(len(run), dtype=bool)
    if cause.followed_share:
        led_run, led_time = run, time_s
        while len(led_run):
            more = draw.random(len(led_run)) < cause.followed_share
            led_run = led_run[more]
            led_time = led_time[more] + cause.follow_s * draw.standard_exponential(len(led_run))
            inside = led_time < duration_s
            led_run, led_time = led_run[inside], led_time[inside]
            run, time_s = np.concatenate((run, led_run)), np.concatenate((time_s, led_time))
            follows = np.concatenate((follows, np.ones(len(led_run), dtype=bool)))
    return Failures(run, time_s, follows)


def _renewals(
    cause: FaultCause, hazard: Hazard, duration_s: float, runs: int, draw: np.random.Generator
) -> tuple[NDArray[np.int64], Column]:
    """First failures of the fleet, then those of the parts that replaced them, and so on."""
    begun = hazard.cumulative(cause.age_s)
    passed = hazard.cumulative(cause.age_s + duration_s) - begun
    counts = draw.binomial(cause.fault_parts, -np.expm1(-passed), runs)
    run = np.repeat(np.arange(runs), counts)
    # Inversion of the distribution truncated at the horizon.
    spent = -np.log1p(draw.random(len(run)) * np.expm1(-passed))
    time_s = hazard.ages(begun + spent, cause.age_s, cause.age_s + duration_s) - cause.age_s
    all_runs, all_times = [run], [time_s]
    while len(run):
        time_s = time_s + hazard.lifetimes(draw, len(time_s))
        inside = time_s < duration_s
        run, time_s = run[inside], time_s[inside]
        all_runs.append(run)
        all_times.append(time_s)
    return np.concatenate(all_runs), np.concatenate(all_times)
