"""Goodput if one figure were other than it is: what the result is most sensitive to, and what would help."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from farthing.records.fault_run import FaultRun
from farthing.records.faults import WhatIf
from farthing.simulate.faults.dynamics import simulate
from farthing.simulate.faults.intervals import default_interval_s
from farthing.simulate.faults.lifetimes import Column, failing_often
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import changed, standard_error
from farthing.simulate.faults.timeline import MOST_EVENTS, Timeline, expected_events, timeline
from farthing.units import format_bytes_per_s, format_seconds

FACTORS: Final = (0.5, 2.0)


def alternatives(
    run: FaultRun, events: Timeline, seed: int, mtbf_s: float, interval_s: float
) -> tuple[WhatIf, ...]:
    """Goodput with halved and doubled figures, each with the same seed.

    Parameters
    ----------
    run
        What is simulated.
    events
        What happens to the first runs.
    seed
        Which runs those are.
    mtbf_s
        Between failures that need a checkpoint on storage [s].
    interval_s
        Between two checkpoints on storage [s]; where the run takes the default, so do the others.
    """
    usual = _goodput(run, events, interval_s)
    found = []
    for what, amount, other, factor in _others(run):
        best = default_interval_s(other, mtbf_s * factor) if not run.checkpointing.interval_s else interval_s
        few = run.recovery.spare_hosts is not None
        drawn = (
            events
            if _meets_the_same(run, other)
            else timeline(other, seed, 0, repairs=few).first(events.runs)
        )
        gain = _goodput(other, drawn, best) - usual
        found.append(
            WhatIf(
                what=what,
                amount=amount,
                goodput=float((usual + gain).mean()),
                goodput_gain=float(gain.mean()),
                gain_error=standard_error(gain),
            )
        )
    return tuple(found)


def _meets_the_same(run: FaultRun, other: FaultRun) -> bool:
    """Whether nothing is changed that `timeline` looks at."""
    return run.causes == other.causes and other.recovery == dataclasses.replace(
        run.recovery, restart_s=other.recovery.restart_s
    )


def _goodput(run: FaultRun, events: Timeline, interval_s: float) -> Column:
    return simulate(events, policy(run, interval_s)).done_s / events.duration_s


def _others(run: FaultRun) -> Iterator[tuple[str, float, FaultRun, float]]:
    """What is changed, to what, the run, and the factor on its MTBF."""
    recovery, saved = run.recovery, run.checkpointing
    for factor in FACTORS:
        name = "half" if factor < 1 else "twice"
        changes = {"detection_s": recovery.detection_s * factor}
        if recovery.detection_s:
            words = f"detection takes {name} the time, {format_seconds(changes['detection_s'])}"
            yield words, changes["detection_s"], changed(run, **changes), 1.0
    for factor in FACTORS:
        name = "half" if factor < 1 else "twice"
        if recovery.restart_s:
            restart = recovery.restart_s * factor
            words = f"a restart takes {name} the time, {format_seconds(restart)}"
            yield words, restart, changed(run, restart_s=restart), 1.0
    for factor in FACTORS:
        other = dataclasses.replace(run, causes=tuple(failing_often(one, factor) for one in run.causes))
        if sum(expected_events(other).values()) <= MOST_EVENTS:
            words = f"parts fail {'half' if factor < 1 else 'twice'} as often"
            yield words, factor, other, 1 / factor
    for factor in FACTORS:
        rate = saved.write_bytes_per_s * factor
        words = f"storage is {'half' if factor < 1 else 'twice'} as fast, {format_bytes_per_s(rate)}"
        other = changed(run, write_bytes_per_s=rate, read_bytes_per_s=saved.read_bytes_per_s * factor)
        yield words, rate, other, 1.0
    if recovery.manual_share:
        words = "no failure needs a person"
        yield words, 0.0, changed(run, manual_share=0.0), 1.0
