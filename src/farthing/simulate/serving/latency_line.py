"""Percentiles of latencies over time, in a few dozen stretches however long it lasts."""

from __future__ import annotations

from typing import Final

from farthing.records.serving import LatencyMoment
from farthing.simulate.serving.histogram import Histogram

MOST: Final = 64
"""Stretches; where there would be more, each two become one. Fewer than levels have: a percentile of few
requests says little."""


class LatencyLine:
    """Histograms over stretches of time: of first tokens when they come, of answers when they end.

    Parameters
    ----------
    width_s
        Of a stretch at the beginning [s].

    Examples
    --------
    >>> line = LatencyLine()
    >>> for second in range(100):
    ...     line.first_token(float(second), 0.1 + second / 100)
    >>> moments = line.moments(100.0)
    >>> len(moments) <= 64, round(moments[-1].ttft_p50_s, 1), moments[0].tpot_p50_s
    (True, 1.1, None)
    """

    __slots__ = ("_firsts", "_tokens", "width_s")

    def __init__(self, width_s: float = 0.05) -> None:
        self.width_s = width_s
        self._firsts: dict[int, Histogram] = {}
        self._tokens: dict[int, Histogram] = {}

    def first_token(self, time_s: float, ttft_s: float) -> None:
        """A request has its first token."""
        index = self._at(time_s)
        self._firsts.setdefault(index, Histogram()).add(ttft_s)

    def finished(self, time_s: float, tpot_s: float) -> None:
        """A request is answered."""
        index = self._at(time_s)
        self._tokens.setdefault(index, Histogram()).add(tpot_s)

    def _at(self, time_s: float) -> int:
        while time_s >= MOST * self.width_s:
            self._firsts = _halved(self._firsts)
            self._tokens = _halved(self._tokens)
            self.width_s *= 2
        return int(time_s / self.width_s)

    def moments(self, end_s: float) -> tuple[LatencyMoment, ...]:
        """The stretches until an end."""
        found = []
        last = max((*self._firsts, *self._tokens), default=-1)
        for index in range(last + 1):
            firsts, tokens = self._firsts.get(index), self._tokens.get(index)
            found.append(
                LatencyMoment(
                    start_s=index * self.width_s,
                    end_s=max(min((index + 1) * self.width_s, end_s), index * self.width_s),
                    ttft_p50_s=firsts.percentile(0.5) if firsts else None,
                    ttft_p99_s=firsts.percentile(0.99) if firsts else None,
                    tpot_p50_s=tokens.percentile(0.5) if tokens else None,
                    tpot_p99_s=tokens.percentile(0.99) if tokens else None,
                )
            )
        return tuple(found)


def _halved(stretches: dict[int, Histogram]) -> dict[int, Histogram]:
    """Each two stretches as one."""
    found: dict[int, Histogram] = {}
    for index, histogram in stretches.items():
        if index // 2 in found:
            found[index // 2].include(histogram)
        else:
            found[index // 2] = histogram
    return found
