"""When some work is done."""

import numpy as np
import pytest
from tests.unit.simulate.faults.runs import GPU, RACK, small_run

from farthing.simulate.faults.completion import finish_times


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
