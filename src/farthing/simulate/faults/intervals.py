"""How often to checkpoint: the interval with the best goodput under the same failures, beside formulas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from farthing.predict.reliability import daly_interval_s, young_interval_s
from farthing.records.fault_run import FaultRun
from farthing.records.faults import BestInterval, WhatIf
from farthing.simulate.faults.dynamics import goodputs
from farthing.simulate.faults.lifetimes import Column
from farthing.simulate.faults.policy import cycle, policy
from farthing.simulate.faults.sample import standard_error
from farthing.simulate.faults.timeline import FAILURE, FOLLOWING, Timeline
from farthing.units import HOUR, format_seconds

COARSE: Final = 2.0**0.5
"""Factor between two intervals that are tried at first."""

EACH_WAY: Final = 5
"""So many of them on each side of Daly's."""

FURTHER: Final = 4
"""So often two more on the side on which goodput still rises."""

FINE: Final = 3
"""Intervals that are tried between the best and its neighbours, on each side; then once more as closely."""

NEAR: Final = 1e-3
"""Goodput that nobody would change an interval for."""


LONGEST_S: Final = 3 * HOUR
"""Where checkpoints are kept in memory, storage still gets one so often; an assumption."""


def needed_mtbf_s(run: FaultRun, events: Timeline) -> float:
    """Mean time between failures after which a checkpoint on storage is needed [s], as drawn.

    All failures; where checkpoints are kept in the memory of hosts, those alone that take them away.
    """
    needed = np.isin(events.kind, (FAILURE, FOLLOWING))
    if run.checkpointing.memory_interval_s:
        wiping = np.array([*(not cause.memory_survives for cause in run.causes), False, False])
        needed = needed & (wiping[events.cause] | (events.kind == FOLLOWING))
    count = int(needed.sum())
    return events.runs * events.duration_s / count if count else float("inf")


def default_interval_s(run: FaultRun, mtbf_s: float) -> float:
    """Daly's best interval [s], at most the whole run; with checkpoints in memory at most `LONGEST_S`.

    Parameters
    ----------
    run
        What is simulated.
    mtbf_s
        Between failures that need a checkpoint on storage [s].
    """
    longest = LONGEST_S if run.checkpointing.memory_interval_s else run.duration_s
    return min(formula_intervals_s(run, mtbf_s)[1], longest)


def formula_intervals_s(run: FaultRun, mtbf_s: float) -> tuple[float, float]:
    """Young's and Daly's best intervals for the time that a checkpoint stops the job [s].

    At most the whole run; a checkpoint that takes no time is made as often as its write allows.
    """
    stall = run.checkpointing.stall_s
    if not np.isfinite(mtbf_s):
        return run.duration_s, run.duration_s
    if stall <= 0:
        often = min(max(run.checkpointing.write_s, 1e-3 * mtbf_s), run.duration_s)
        return often, often
    young, daly = (float(formula(stall, mtbf_s)) for formula in (young_interval_s, daly_interval_s))
    return min(young, run.duration_s), min(daly, run.duration_s)


def best_interval(run: FaultRun, events: Timeline, mtbf_s: float, used_s: float) -> BestInterval:
    """The best of many intervals, all tried under the same failures.

    Parameters
    ----------
    run
        What is simulated.
    events
        What happens to some runs.
    mtbf_s
        Between failures that need a checkpoint on storage [s].
    used_s
        The interval of the run itself [s].

    Returns
    -------
    BestInterval
    """
    tried: dict[float, Column] = {}

    def real(interval_s: float) -> float:
        """The interval that can be had, nearest to one."""
        return float(cycle(run, min(interval_s, run.duration_s)).all_work_s)

    def attempt(intervals: Iterable[float]) -> None:
        new = [interval for interval in dict.fromkeys(map(real, intervals)) if interval not in tried]
        if new:
            policies = [policy(run, interval) for interval in new]
            tried.update(zip(new, goodputs(events, policies), strict=True))

    def best() -> float:
        return max(tried, key=lambda interval: float(tried[interval].mean()))

    young, daly = formula_intervals_s(run, mtbf_s)
    start = default_interval_s(run, mtbf_s)
    attempt([used_s, young, daly, *(start * COARSE**step for step in range(-EACH_WAY, EACH_WAY + 1))])
    for _ in range(FURTHER):
        top = best()
        if top == min(tried):
            attempt(top / COARSE**step for step in (1, 2))
        elif top == max(tried):
            attempt(top * COARSE**step for step in (1, 2))
        else:
            break
    for spacing in (COARSE ** (1 / (FINE + 1)), COARSE ** (1 / (FINE + 1) ** 2)):
        middle = best()
        attempt(middle * spacing**step for step in range(-FINE, FINE + 1))
    top = best()
    flat = [one for one in tried if _as_good(tried[top] - tried[one])]
    near = [one for one in tried if float((tried[top] - tried[one]).mean()) <= NEAR]
    used = tried[real(used_s)]
    return BestInterval(
        best_interval_s=top,
        flat_low_s=min(flat),
        flat_high_s=max(flat),
        near_low_s=min(near),
        near_high_s=max(near),
        best_goodput=float(tried[top].mean()),
        interval_used_s=used_s,
        young_s=young,
        daly_s=daly,
        young_goodput=float(tried[real(young)].mean()),
        daly_goodput=float(tried[real(daly)].mean()),
        intervals=tuple(
            WhatIf(
                what=f"a checkpoint every {format_seconds(interval)}",
                amount=interval,
                goodput=float(tried[interval].mean()),
                goodput_gain=float((tried[interval] - used).mean()),
                gain_error=standard_error(tried[interval] - used),
            )
            for interval in sorted(tried)
        ),
    )


def _as_good(less: Column) -> bool:
    """Whether what is lost against the best could be chance."""
    error = standard_error(less)
    return float(less.mean()) <= (2 * error if np.isfinite(error) else 0.0)
