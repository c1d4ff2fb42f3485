"""Percentiles over time: what two stretches become is what one of both would have been."""

from __future__ import annotations

import pytest

from farthing.simulate.serving.latency_line import MOST, LatencyLine


def test_joined_stretches_count_the_same() -> None:
    coarse, fine = LatencyLine(width_s=3.2), LatencyLine(width_s=0.05)
    for number in range(1000):
        for line in (coarse, fine):
            line.first_token(number * 0.2, 0.1 + (number * 37 % 101) / 100)
            line.finished(number * 0.2, 0.02 + (number * 13 % 7) / 1000)
    assert fine.width_s == coarse.width_s == 3.2
    assert fine.moments(200.0) == coarse.moments(200.0)
    assert len(fine.moments(200.0)) <= MOST


def test_stretches_end_with_the_run() -> None:
    line = LatencyLine()
    line.first_token(7.0, 0.5)
    found = line.moments(7.01)
    assert found[-1].end_s == pytest.approx(7.01)
    assert found[-1].ttft_p99_s == pytest.approx(0.5, rel=0.01)
    assert all(one.ttft_p50_s is None for one in found[:-1])
    assert all(one.tpot_p50_s is None for one in found)


def test_nothing_is_no_stretch() -> None:
    assert LatencyLine().moments(10.0) == ()
