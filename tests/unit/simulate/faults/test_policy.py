"""Cycles of work and checkpoints: stretched where a write would not end, whole where copies are in memory."""

import math

import pytest
from tests.unit.simulate.faults.runs import SLOW, small_run

from farthing.simulate.faults.policy import cycle, policy


def test_a_synchronous_cycle_is_work_and_the_write():
    found = cycle(small_run(), 500.0)
    assert (found.work_s, found.pieces, found.stall_s, found.write_s) == (500.0, 1, 30.0, 0.0)
    assert found.whole_s == 530.0


def test_an_asynchronous_write_ends_before_the_next_begins():
    run = small_run(checkpointing={"checkpoint_mode": "async", "snapshot_s": 5.0})
    assert cycle(run, 10.0).work_s == 30.0
    assert cycle(run, 400.0).whole_s == 405.0
    assert policy(run, 400.0).drain_s == 35.0


def test_copies_in_memory_divide_the_interval():
    run = small_run(checkpointing={"memory_interval_s": 60.0, "memory_snapshot_s": 2.0})
    found = cycle(run, 500.0)
    assert (found.pieces, found.work_s, found.all_work_s) == (8, 60.0, 480.0)
    assert found.whole_s == pytest.approx(8 * 62 + 30)
    stretched = small_run(checkpointing={"memory_interval_s": 8.0, "checkpoint_mode": "async"})
    assert cycle(stretched, 1.0).all_work_s >= 30.0


def test_a_policy_says_what_each_cause_takes():
    run = small_run(stragglers=SLOW, spare_hosts=4)
    found = policy(run, 500.0)
    assert found.hosts_out == (1, 3, 0, 0, 0)
    assert found.memory_lost == (False, True, False, False, False)
    assert (found.spares, found.slow_pace) == (4.0, 1 / 1.5)
    assert policy(small_run(), 500.0).spares == math.inf
    assert (found.restart_s, found.memory_restart_s) == (215.0, 210.0)
