"""Percentiles of any number of values in the same little memory."""

from __future__ import annotations

import math
from typing import Final

from farthing.records.serving import Spread

_WIDTH: Final = math.log(1.005)
"""Bins are half a percent wide."""
_SCALE: Final = 1 / _WIDTH
_OFFSET: Final = 1 << 20
"""Keeps indices positive, where truncation is a floor."""


class Histogram:
    """Counts by the logarithm of the value; the mean is exact, percentiles to a quarter of a percent.

    Examples
    --------
    >>> times = Histogram()
    >>> for value in range(1, 1001):
    ...     times.add(value / 1000)
    >>> spread = times.spread()
    >>> spread.count, round(spread.mean, 4), abs(spread.p90 / 0.9 - 1) < 0.004, spread.most
    (1000, 0.5005, True, 1.0)
    """

    __slots__ = ("_bins", "_zeros", "count", "most", "total")

    def __init__(self) -> None:
        self._bins: dict[int, float] = {}
        self._zeros: float = 0
        self.count: float = 0
        self.total = 0.0
        self.most = 0.0

    def add(self, value: float, weight: float = 1) -> None:
        """Count a value, 0 or more, so many times."""
        self.count += weight
        self.total += value * weight
        if value > self.most:
            self.most = value
        if value > 1e-12:
            index = int(math.log(value) * _SCALE + _OFFSET)
            bins = self._bins
            bins[index] = bins.get(index, 0) + weight
        else:
            self._zeros += weight

    def include(self, other: Histogram) -> None:
        """Count all that another has counted."""
        for index, weight in other._bins.items():
            self._bins[index] = self._bins.get(index, 0) + weight
        self._zeros += other._zeros
        self.count += other.count
        self.total += other.total
        self.most = max(self.most, other.most)

    def percentile(self, share: float) -> float:
        """The value below which such a share of all lies; NaN where there are none."""
        if not self.count:
            return math.nan
        rank = share * self.count
        seen = self._zeros
        if rank <= seen:
            return 0.0
        for index in sorted(self._bins):
            here = self._bins[index]
            if seen + here >= rank:
                # The middle: passes of equal time fill bins at one place, which may be either end.
                return min(math.exp((index - _OFFSET + 0.5) * _WIDTH), self.most)
            seen += here
        return self.most

    def spread(self) -> Spread:
        """Mean and percentiles."""
        if not self.count:
            return Spread(count=0, mean=0.0, p50=0.0, p90=0.0, p99=0.0, most=0.0)
        return Spread(
            count=round(self.count),
            mean=self.total / self.count,
            p50=self.percentile(0.5),
            p90=self.percentile(0.9),
            p99=self.percentile(0.99),
            most=self.most,
        )
