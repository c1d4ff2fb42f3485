"""When a given amount of work is done."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from farthing.records.fault_run import FaultRun
from farthing.simulate.faults.dynamics import simulate
from farthing.simulate.faults.lifetimes import Column
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import studied
from farthing.simulate.faults.timeline import MOST_EVENTS, expected_events, timeline

ROOM: Final = 1.1
"""The horizon is that much longer than what a run of mean luck takes, at first."""

TRIES: Final = 5
"""So often the horizon is doubled for runs that have not finished, where some have."""

LONG: Final = 20.0
"""A run that takes so many times its work is given up."""


def finish_times(
    run: FaultRun, work_s: float, goodput: float, interval_s: float, seed: int, runs: int
) -> Column:
    """Wall-clock time until some work is done [s], of each run; infinite where it was given up.

    Parameters
    ----------
    run
        What is simulated.
    work_s
        Ideal training time of the work [s].
    goodput
        Mean share of the time that is progress, to guess how long it takes.
    interval_s
        Between two checkpoints on storage [s].
    seed, runs
        Which runs, at most a batch.

    Returns
    -------
    ndarray
        Exact for runs that end within the simulated time.
    """
    found = np.full(runs, np.inf)
    if goodput <= 1 / LONG:
        return found
    horizon = work_s / goodput * ROOM
    repairs = run.recovery.spare_hosts is not None
    for attempt in range(TRIES):
        longer = dataclasses.replace(run, duration_s=min(horizon, LONG * work_s))
        if sum(expected_events(longer).values()) > MOST_EVENTS:
            return found
        events = studied(timeline(longer, seed, 0, repairs=repairs), runs)
        found = simulate(events, policy(longer, interval_s), work_s=work_s).finish_s
        hopeless = attempt and not np.isfinite(found).any()
        if np.isfinite(found).all() or hopeless or horizon >= LONG * work_s:
            return found
        horizon *= 2
    return found
