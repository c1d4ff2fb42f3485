"""Events of a batch: in order, complete, repeatable, and independent of what else is simulated."""

import dataclasses

import numpy as np
import pytest
from tests.unit.simulate.faults.runs import GPU, RACK, SLOW, SOFTWARE, small_run

from farthing.errors import InvalidInput
from farthing.simulate.faults.timeline import (
    BATCH,
    END,
    FAILURE,
    FOLLOWING,
    MAINTENANCE,
    REMOVAL,
    REPAIR,
    SLOWING,
    timeline,
)


def drawn(seed=1, batch=0, repairs=True, **fields):
    return timeline(small_run(**fields), seed, batch, repairs=repairs)


def test_times_rise_and_end_at_the_horizon():
    events = drawn(stragglers=SLOW, maintenance_per_day=5.0)
    assert (np.diff(events.time_s, axis=0) >= 0).all()
    assert (events.time_s[-1] == events.duration_s).all()
    assert (events.kind[-1] == END).all()
    assert (events.time_s[events.kind == END] == events.duration_s).all()


def test_every_failure_that_takes_a_host_has_its_repair():
    events = drawn()
    for row in range(3):
        for place, cause in enumerate((GPU, RACK, SOFTWARE)):
            mine = events.cause[:, row] == place
            failed = events.time_s[mine & (events.kind[:, row] == FAILURE), row]
            back = events.time_s[mine & (events.kind[:, row] == REPAIR), row]
            expected = failed + cause.repair_s if cause.hosts_out else np.array([])
            assert back == pytest.approx(np.sort(expected[expected < events.duration_s]))


def test_seed_and_batch_say_what_happens():
    again, other, next_batch = drawn(), drawn(seed=2), drawn(batch=1)
    assert np.array_equal(drawn().time_s, again.time_s)
    assert not np.array_equal(again.time_s[:10], other.time_s[:10])
    assert not np.array_equal(again.time_s[:10], next_batch.time_s[:10])


def test_causes_have_streams_of_their_own():
    """What one cause does changes nothing in the failures of another."""
    rare = dataclasses.replace(RACK, part_mtbf_s=1e9)
    usual, other = drawn(), drawn(causes=(GPU, rare, SOFTWARE))
    for place in (0, 2):
        times = [
            np.sort(events.time_s[(events.cause == place) & (events.kind == FAILURE)])
            for events in (usual, other)
        ]
        assert np.array_equal(*times)


def test_slow_parts_and_maintenance_come_as_often_as_said():
    events = drawn(stragglers=SLOW, maintenance_per_day=5.0)
    begun, taken, planned = (events.count(kind) for kind in (SLOWING, REMOVAL, MAINTENANCE))
    assert (begun >= taken).all()
    assert begun.mean() == pytest.approx(10 * 200_000 / 1e5, rel=0.05)
    assert planned.mean() == pytest.approx(5 * 200_000 / 86_400, rel=0.05)


def test_manual_failures_take_longer_to_look_into():
    quick = drawn(detection_spread="constant").detection_s
    slow = drawn(detection_spread="constant", manual_share=0.25, manual_s=1000.0)
    failed = slow.kind == FAILURE
    assert set(np.round(quick[failed])) == {100.0}
    assert set(np.round(slow.detection_s[failed])) == {100.0, 1100.0}
    assert np.mean(slow.detection_s[failed] > 500) == pytest.approx(0.25, abs=0.02)


def test_detection_spreads_around_its_mean():
    events = drawn()
    assert events.detection_s[events.kind == FAILURE].mean() == pytest.approx(100.0, rel=0.03)


def test_first_runs_are_those_of_the_batch():
    events = drawn()
    assert events.runs == BATCH
    assert np.array_equal(events.first(7).time_s, events.time_s[:, :7])
    assert events.first(10_000) is events


def test_following_failures_are_marked():
    events = drawn(causes=(dataclasses.replace(GPU, followed_share=0.5),))
    assert events.count(FOLLOWING).mean() == pytest.approx(events.count(FAILURE).mean(), rel=0.1)


def test_whole_numbers_of_seconds_do_not_round_failures():
    whole, real = (drawn(duration_s=seconds) for seconds in (200_000, 200_000.0))
    assert np.array_equal(whole.time_s, real.time_s)
    assert (whole.time_s % 1 > 0).any()


def test_too_many_failures_are_refused_before_they_are_drawn():
    with pytest.raises(InvalidInput, match=r"more of them from 'gpu' than .*longer MTBF"):
        drawn(causes=(dataclasses.replace(GPU, part_mtbf_s=0.001), SOFTWARE))
