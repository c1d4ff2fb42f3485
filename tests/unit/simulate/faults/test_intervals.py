"""Intervals between checkpoints: all tried under the same failures, the best found wherever it lies."""

import math

import pytest
from tests.unit.simulate.faults.runs import SOFTWARE, small_run

from farthing.predict.reliability import daly_interval_s, young_interval_s
from farthing.simulate.faults.ask import answered
from farthing.simulate.faults.intervals import LONGEST_S, best_interval, default_interval_s, needed_mtbf_s
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
