"""The closed forms of failures against drawn failures and numeric minima."""

import numpy as np
import pytest

from farthing.predict import reliability


def _drawn_share(interval, checkpoint, restart, mtbf, segments, seed):
    """Kept share of the time of a job whose failures are drawn; they strike restarts and checkpoints too."""
    draw = np.random.default_rng(seed)
    total = 0.0
    for _ in range(segments):
        needed = interval + checkpoint
        while (failure := draw.exponential(mtbf)) < needed:
            total += failure
            # After a failure the restart and the segment must both go through; each failure starts over.
            needed = restart + interval + checkpoint
        total += needed
    return segments * interval / total


@pytest.mark.parametrize(
    ("interval", "checkpoint", "restart", "mtbf"),
    [(100, 5, 20, 1000), (300, 30, 60, 500), (50, 40, 10, 120), (20, 1, 150, 200)],
)
def test_lost_share_equals_drawn_failures(interval, checkpoint, restart, mtbf):
    drawn = _drawn_share(interval, checkpoint, restart, mtbf, segments=300_000, seed=3)
    exact = reliability.effective_time_share(interval, checkpoint, restart, mtbf)
    assert exact == pytest.approx(drawn, rel=0.01)
    assert 1 - reliability.lost_time_share(interval, checkpoint, restart, mtbf) == pytest.approx(exact)


@pytest.mark.parametrize("checkpoint", [1.0, 10.0, 100.0, 500.0])
def test_daly_interval_is_near_the_true_minimum(checkpoint):
    mtbf = 1000.0
    intervals = np.geomspace(1, 5000, 200_000)
    lost = reliability.lost_time_share(intervals, checkpoint, 50, mtbf)
    best = intervals[np.argmin(lost)]
    daly = reliability.daly_interval_s(checkpoint, mtbf)
    assert daly == pytest.approx(best, rel=0.01)
    young = reliability.young_interval_s(checkpoint, mtbf)
    assert abs(daly - best) < abs(young - best)
    assert reliability.lost_time_share(daly, checkpoint, 50, mtbf) == pytest.approx(lost.min(), rel=1e-3)


def test_young_interval_minimises_the_first_order_loss():
    intervals = np.geomspace(1, 1e5, 400_000)
    lost = reliability.first_order_lost_time_share(intervals, 30, 100, 1e6)
    assert reliability.young_interval_s(30, 1e6) == pytest.approx(intervals[np.argmin(lost)], rel=1e-3)


def test_best_interval_does_not_depend_on_the_restart():
    intervals = np.linspace(50, 600, 50_000)
    best = [np.argmin(reliability.lost_time_share(intervals, 20, restart, 1000)) for restart in (0, 100, 900)]
    assert len(set(best)) == 1


def test_spares_cover_drawn_repairs():
    draw = np.random.default_rng(5)
    mtbf, repair, horizon = 100.0, 900.0, 2_000_000.0
    starts = np.cumsum(draw.exponential(mtbf, int(1.2 * horizon / mtbf)))
    starts = starts[starts < horizon]
    times = draw.uniform(10 * repair, horizon, 200_000)
    under_repair = np.searchsorted(starts, times) - np.searchsorted(starts, times - repair)
    spares = reliability.spares_needed(mtbf, repair, confidence=0.95)
    assert np.mean(under_repair <= spares) > 0.94
    assert np.mean(under_repair <= spares - 1) < 0.96
    assert np.mean(under_repair <= spares - 2) < 0.94
