"""When requests come: renewal processes, a day's swing, and users who wait for their answers."""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.records.serving import Traffic

Floats = NDArray[np.float64]

MOST_STEPS: Final = 64
"""Of Newton's method with bisection; a handful do, but where the rate falls to nothing."""
TOLERANCE: Final = 1e-14
"""Of an angle [rad]: a nanosecond is 7e-14 of a day."""


class Arrivals(Protocol):
    """A point process, drawn in chunks: however it is cut, the same times come."""

    def times_s(self, count: int) -> Floats:
        """The next ``count`` arrivals, at least one [s]."""
        ...


class Renewal:
    """Gaps that are drawn independently from one gamma distribution.

    The first gap is what remains of one that began before the load did (a gap that a random moment falls
    into, cut at a random place), so that the mean rate holds from the start, however bursty the gaps are.

    Parameters
    ----------
    requests_per_s
        Mean rate. Another rate scales the same gaps.
    burstiness
        Coefficient of variation of the gaps; 1 is a Poisson process.
    generator
        Of random numbers.
    """

    def __init__(self, requests_per_s: float, burstiness: float, generator: Generator) -> None:
        self._rate = requests_per_s
        self._shape = burstiness**-2
        self._generator = generator
        self._last = 0.0
        self._begun = False

    def times_s(self, count: int) -> Floats:
        gaps = self._gaps(count)
        # The sum so far goes into the first gap: rounding is then the same in chunks of any size.
        gaps[0] += self._last
        times = np.cumsum(gaps)
        self._last = float(times[-1])
        return times / self._rate

    def _gaps(self, count: int) -> Floats:
        """Gaps of mean one."""
        if self._shape == 1:
            return self._generator.standard_exponential(count)
        if self._begun:
            return self._generator.standard_gamma(self._shape, count) / self._shape
        self._begun = True
        # The gap around a random moment is drawn in proportion to its length, which adds one to the shape.
        first = self._generator.standard_gamma(self._shape + 1) * self._generator.random()
        rest = self._generator.standard_gamma(self._shape, count - 1)
        return np.concatenate(([first], rest)) / self._shape


class Diurnal:
    """A Poisson process of rate ``mean (1 + swing sin(2 pi t / day))``, by inversion of the integrated rate.

    Parameters
    ----------
    requests_per_s
        Mean rate over a day.
    swing
        By which share of the mean the rate rises and falls, 0..1.
    day_s
        Period [s]; the load starts at the mean rate, rising.
    generator
        Of random numbers.
    """

    def __init__(self, requests_per_s: float, swing: float, day_s: float, generator: Generator) -> None:
        self._even = Renewal(requests_per_s, 1.0, generator)
        self._swing = swing
        self._day_s = day_s
        self._last = 0.0

    def times_s(self, count: int) -> Floats:
        # Times at which an even process of the mean rate would have come as far.
        even = self._even.times_s(count)
        days = np.floor(even / self._day_s)
        turn = 2 * math.pi / self._day_s
        angles = _angles((even - days * self._day_s) * turn, self._swing)
        times = days * self._day_s + angles / turn
        times[0] = max(times[0], self._last)
        np.maximum.accumulate(times, out=times)  # rounding may not turn two arrivals round
        self._last = float(times[-1])
        return times


def _angles(loads: Floats, swing: float) -> Floats:
    """The x of ``x + swing (1 - cos x) = load``, for loads within one turn.

    Every place stops on its own, so that its answer does not depend on its neighbours.
    """
    low, high = np.maximum(loads - 2 * swing, 0.0), loads.copy()
    angles = (low + high) / 2
    left = np.arange(loads.size)
    for _ in range(MOST_STEPS):
        here = angles[left]
        miss = here + 2 * swing * np.sin(here / 2) ** 2 - loads[left]
        low[left] = np.where(miss <= 0, here, low[left])
        high[left] = np.where(miss > 0, here, high[left])
        with np.errstate(divide="ignore", invalid="ignore"):
            following = here - miss / (1 + swing * np.sin(here))
        inside = (following >= low[left]) & (following <= high[left])
        following = np.where(inside, following, (low[left] + high[left]) / 2)
        angles[left] = following
        left = left[np.abs(following - here) > TOLERANCE]
        if not left.size:
            break
    return angles


class Closed:
    """Users who wait for their answers: the service decides when the next request comes."""

    def times_s(self, count: int) -> Floats:
        return np.zeros(count)


def arrivals(traffic: Traffic, seed: SeedSequence) -> Arrivals:
    """The arrival process of synthetic traffic.

    Parameters
    ----------
    traffic
        Of any arrivals but those of a trace.
    seed
        Of this process alone.

    Returns
    -------
    Arrivals
        Gives times in chunks [s].

    Examples
    --------
    >>> even = arrivals(Traffic(arrivals="gamma", requests_per_s=4, burstiness=0.01), SeedSequence(1))
    >>> [round(float(time), 1) for time in even.times_s(5)]
    [0.0, 0.3, 0.5, 0.8, 1.0]
    """
    generator = np.random.default_rng(seed)
    if traffic.arrivals == "poisson":
        return Renewal(traffic.requests_per_s, 1.0, generator)
    if traffic.arrivals == "gamma":
        return Renewal(traffic.requests_per_s, traffic.burstiness, generator)
    if traffic.arrivals == "diurnal":
        return Diurnal(traffic.requests_per_s, traffic.swing, traffic.day_s, generator)
    if traffic.arrivals == "closed":
        return Closed()
    raise InvalidInput(f"traffic: {traffic.arrivals} arrivals are not drawn; read a trace and give it")
