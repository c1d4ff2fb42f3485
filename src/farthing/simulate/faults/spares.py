"""How many spare hosts a run needs: what is under repair at a time, and goodput over spares."""

from __future__ import annotations

import numpy as np

from farthing.predict.reliability import spares_needed
from farthing.records.fault_run import FaultRun
from farthing.records.faults import SpareNeed, WhatIf
from farthing.simulate.faults.dynamics import goodputs, simulate
from farthing.simulate.faults.lifetimes import Column
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import changed, distribution, standard_error
from farthing.simulate.faults.timeline import FAILURE, FOLLOWING, REPAIR, Timeline

POINTS = 7
"""Numbers of spares that are tried, at most."""


def peak_out(run: FaultRun, events: Timeline) -> Column:
    """Most hosts under repair at a time, of each run."""
    hosts = np.array([*(cause.hosts_out for cause in run.causes), 0, 0])
    change = np.where(np.isin(events.kind, (FAILURE, FOLLOWING)), 1, 0) - (events.kind == REPAIR)
    most: Column = np.cumsum(change * hosts[events.cause], axis=0).max(axis=0).astype(float)
    return np.maximum(most, 0.0)


def spare_need(run: FaultRun, events: Timeline, interval_s: float) -> SpareNeed | None:
    """Spares that avoid waiting, and what fewer cost; None where no failure takes a host away.

    Parameters
    ----------
    run
        What is simulated.
    events
        What happens to some runs, repairs among it.
    interval_s
        Between two checkpoints on storage [s].
    """
    taking = [cause for cause in run.causes if cause.hosts_out and cause.repair_s]
    if not taking:
        return None
    peaks = peak_out(run, events)
    # Hosts under repair at a random moment: Little's law.
    out = np.array([cause.hosts_out * cause.repair_s for cause in run.causes])
    counts = [
        np.sum((events.cause == place) & np.isin(events.kind, (FAILURE, FOLLOWING)))
        for place in range(len(run.causes))
    ]
    mean_out = float(np.dot(out, counts)) / (events.runs * events.duration_s)
    poisson = float(spares_needed(1.0, mean_out)) if 0 < mean_out < 1e7 else 0.0
    numbers = _numbers(int(peaks.max()))
    policies = [
        policy(changed(run, spare_hosts=spares, elastic_replicas=0), interval_s) for spares in numbers
    ]
    tried = dict(zip(numbers, goodputs(events, policies), strict=True))
    used = run.recovery.spare_hosts
    base = tried[max(tried)]
    if used is not None:
        base = simulate(events, policy(run, interval_s)).done_s / events.duration_s
    return SpareNeed(
        peak_out=distribution(peaks),
        poisson_spares=poisson,
        curve=tuple(
            WhatIf(
                what=f"{spares:,} spare host{'' if spares == 1 else 's'}",
                amount=float(spares),
                goodput=float(goodput.mean()),
                goodput_gain=float((goodput - base).mean()),
                gain_error=standard_error(goodput - base),
            )
            for spares, goodput in tried.items()
        ),
    )


def _numbers(most: int) -> list[int]:
    """Numbers of spares from none to those that avoid all waiting, evenly spread.

    Examples
    --------
    >>> _numbers(3), _numbers(60)
    ([0, 1, 2, 3], [0, 10, 20, 30, 40, 50, 60])
    """
    return sorted({round(place * most / (POINTS - 1)) for place in range(POINTS)})
