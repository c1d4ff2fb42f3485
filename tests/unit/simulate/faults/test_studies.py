"""What a sample is asked beside its goodput: intervals, spares, alternatives, the end of some work."""

import math

import numpy as np
import pytest
from tests.unit.simulate.faults.runs import GPU, RACK, SOFTWARE, small_run

from farthing.predict.reliability import daly_interval_s, young_interval_s
from farthing.simulate.faults.alternatives import alternatives
from farthing.simulate.faults.ask import answered
from farthing.simulate.faults.completion import finish_times
from farthing.simulate.faults.dynamics import WAITING, simulate
from farthing.simulate.faults.intervals import LONGEST_S, best_interval, default_interval_s, needed_mtbf_s
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import changed
from farthing.simulate.faults.spares import peak_out, spare_need
from farthing.simulate.faults.timeline import timeline

MTBF = 2600.0


def events_of(run, runs=128):
    return timeline(run, 3, 0, repairs=True).first(runs)


def test_intervals_are_all_tried_and_the_best_is_best():
    run = small_run()
    found = best_interval(run, events_of(run), MTBF, 500.0)
    goodput = [one.goodput for one in found.intervals]
    amounts = [one.amount for one in found.intervals]
    assert amounts == sorted(amounts)
    assert found.best_goodput == max(goodput)
    assert found.flat_low_s <= found.best_interval_s <= found.flat_high_s
    assert found.near_low_s <= found.best_interval_s <= found.near_high_s
    assert found.young_s == pytest.approx(young_interval_s(30.0, MTBF))
    assert found.daly_s == pytest.approx(daly_interval_s(30.0, MTBF))
    used = next(one for one in found.intervals if one.amount == 500.0)
    assert (used.goodput_gain, used.gain_error) == (0.0, 0.0)


def test_the_search_goes_on_where_goodput_still_rises():
    """Copies in memory save all, so that storage is best left alone far longer than the formulas say."""
    run = small_run(causes=(SOFTWARE,), checkpointing={"memory_interval_s": 60.0})
    found = best_interval(run, events_of(run), 10_000.0, 600.0)
    assert found.best_interval_s > 4 * found.daly_s


def test_only_failures_that_take_the_memory_need_storage():
    events = events_of(small_run())
    memory = {"memory_interval_s": 60.0}
    everything = needed_mtbf_s(small_run(), events)
    assert everything == pytest.approx(200_000.0 / events.count(1, 2).mean())
    racks = needed_mtbf_s(small_run(checkpointing=memory), events)
    assert racks == pytest.approx(200_000.0 / ((events.cause == 1) & (events.kind == 1)).sum(axis=0).mean())
    kept = small_run(causes=(SOFTWARE,), checkpointing=memory)
    assert needed_mtbf_s(kept, events_of(kept)) == math.inf
    assert default_interval_s(kept, math.inf) == LONGEST_S
    # Far fewer checkpoints on storage, and none the worse for it.
    with_copies, without = (
        answered(small_run(checkpointing=saved), 64, 1).goodput.mean for saved in (memory, {})
    )
    assert with_copies > without


def test_intervals_of_runs_that_never_fail_or_never_stop():
    assert default_interval_s(small_run(), math.inf) == 200_000.0
    free = small_run(checkpointing={"checkpoint_mode": "async", "snapshot_s": 0.0})
    assert default_interval_s(free, MTBF) == 30.0
    found = best_interval(free, events_of(free, 32), MTBF, 30.0)
    assert found.best_interval_s == pytest.approx(30.0)


def test_peaks_are_counted_as_by_hand():
    run = small_run()
    events = events_of(run, 20)
    peaks = peak_out(run, events)
    for row in range(events.runs):
        out, most = 0, 0
        for kind, cause in zip(events.kind[:, row], events.cause[:, row], strict=True):
            hosts = run.causes[cause].hosts_out if cause < len(run.causes) else 0
            out += {1: hosts, 2: hosts, 6: -hosts}.get(int(kind), 0)
            most = max(most, out)
        assert peaks[row] == most


def test_so_many_spares_as_the_peak_avoid_all_waiting():
    run = small_run()
    events = events_of(run, 64)
    peaks = peak_out(run, events)
    most = int(peaks.max())
    waits = {
        spares: simulate(events, policy(changed(run, spare_hosts=spares), 500.0)).lost_s[WAITING]
        for spares in (most - 1, most)
    }
    assert waits[most] == pytest.approx(0, abs=1e-6)
    assert (waits[most - 1] > 1).any()
    found = spare_need(run, events, 500.0)
    goodput = [one.goodput for one in found.curve]
    assert goodput == sorted(goodput)
    assert found.curve[-1].amount == most
    assert 0 < found.poisson_spares <= most


def test_nobody_needs_spares_where_no_host_goes():
    run = small_run(causes=(SOFTWARE,))
    assert spare_need(run, events_of(run), 500.0) is None


def test_alternatives_go_the_right_way():
    run = small_run(manual_share=0.1, manual_s=1000.0)
    rows = {one.what: one for one in alternatives(run, events_of(run), 3, MTBF, 500.0)}
    better = [
        "detection takes half the time, 50.0 s",
        "a restart takes half the time, 100 s",
        "parts fail half as often",
        "storage is twice as fast, 2.00 B/s",
        "no failure needs a person",
    ]
    worse = [
        "detection takes twice the time, 200 s",
        "a restart takes twice the time, 400 s",
        "parts fail twice as often",
        "storage is half as fast, 0.5 B/s",
    ]
    assert set(rows) == {*better, *worse}
    assert all(rows[name].goodput_gain > 2 * rows[name].gain_error for name in better)
    assert all(rows[name].goodput_gain < -2 * rows[name].gain_error for name in worse)


def test_an_alternative_that_fails_too_often_is_left_out(monkeypatch):
    run = small_run()
    monkeypatch.setattr("farthing.simulate.faults.alternatives.MOST_EVENTS", 80)
    words = [one.what for one in alternatives(run, events_of(run, 8), 3, MTBF, 500.0)]
    assert "parts fail half as often" in words
    assert "parts fail twice as often" not in words


def test_work_ends_when_it_is_done():
    run = small_run()
    found = finish_times(run, 50_000.0, 0.79, 500.0, 3, 100)
    assert np.isfinite(found).all()
    assert (found > 50_000.0 * 530 / 500).all()
    # Twice the work takes about twice the time.
    twice = finish_times(run, 100_000.0, 0.79, 500.0, 3, 100)
    assert twice.mean() / found.mean() == pytest.approx(2, rel=0.05)


def test_a_poor_guess_of_goodput_only_costs_another_try():
    run = small_run()
    assert np.isfinite(finish_times(run, 50_000.0, 1.0, 500.0, 3, 50)).all()


def test_work_that_never_ends_is_given_up():
    hopeless = small_run(causes=(RACK, GPU), spare_hosts=0, restart_s=50_000.0)
    assert np.isinf(finish_times(hopeless, 50_000.0, 0.001, 500.0, 3, 10)).all()
