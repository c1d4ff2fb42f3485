"""Samples of runs: the same however they are cut, told as they come, and better where more is spent."""

import math

import numpy as np
import pytest
from tests.unit.simulate.faults.runs import RACK, SLOW, small_run

from farthing.simulate.faults.dynamics import KINDS
from farthing.simulate.faults.sample import changed, distribution, sample, standard_error
from farthing.simulate.faults.timeline import BATCH


def test_runs_do_not_depend_on_how_many_follow():
    run = small_run(stragglers=SLOW, maintenance_per_day=3.0)
    few, many = sample(run, 500.0, 4, 30), sample(run, 500.0, 4, BATCH + 40)
    assert np.array_equal(few.goodput, many.goodput[:30])
    assert np.array_equal(few.lost_s, many.lost_s[:, :30])
    assert many.runs == BATCH + 40
    assert not np.array_equal(many.goodput[:40], many.goodput[BATCH:])


def test_another_seed_gives_other_runs_of_the_same_kind():
    one, other = (sample(small_run(), 500.0, seed, 400) for seed in (1, 2))
    assert not np.array_equal(one.goodput, other.goodput)
    error = math.hypot(standard_error(one.goodput), standard_error(other.goodput))
    assert abs(one.goodput.mean() - other.goodput.mean()) < 4 * error


def test_batches_are_told_as_they_come():
    told, done = [], []
    found = sample(small_run(), 500.0, 0, BATCH + 10, told=told.append, progress=done.append)
    assert done == [BATCH, BATCH + 10]
    assert [len(batch["run"]) for batch in told] == [BATCH, 10]
    assert np.array_equal(np.concatenate([batch["run"] for batch in told]), np.arange(BATCH + 10))
    assert np.array_equal(np.concatenate([batch["goodput"] for batch in told]), found.goodput)
    assert list(told[0])[4:] == [f"{kind.replace(' ', '_')}_s" for kind in KINDS]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"restart_s": 50.0}, {"restart_s": 400.0}),
        ({"detection_s": 10.0}, {"detection_s": 300.0}),
        ({"spare_hosts": 4}, {"spare_hosts": 1}),
        ({"spare_hosts": None}, {"spare_hosts": 6}),
        ({"write_bytes_per_s": 3.0}, {"write_bytes_per_s": 1.0}),
        ({"read_bytes_per_s": 3.0}, {"read_bytes_per_s": 0.1}),
    ],
)
def test_no_run_is_worse_for_what_helps(better, worse):
    """Under the same failures, run by run: not on average alone."""
    base = small_run(spare_hosts=3, detection_spread="constant")
    good, bad = (sample(changed(base, **fields), 500.0, 2, 200) for fields in (better, worse))
    assert (good.goodput >= bad.goodput - 1e-9).all()
    assert good.goodput.mean() > bad.goodput.mean()


def test_more_failures_cost_more():
    rare, usual = (
        sample(small_run(causes=(RACK,), duration_s=seconds), 500.0, 0, 50).failures.mean()
        for seconds in (1e5, 2e5)
    )
    assert usual > 1.5 * rare


def test_a_distribution_is_in_order():
    found = distribution(np.random.default_rng(1).normal(5, 2, 10_000))
    assert found.p5 < found.p25 < found.p50 < found.p75 < found.p95
    assert found.mean == pytest.approx(5, abs=4 * found.standard_error)
    assert found.standard_error == pytest.approx(0.02, rel=0.05)
    assert distribution(np.array([3.0])).standard_error == math.inf
