"""Many simulated runs, batch by batch, and what is told of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.records.fault_run import FaultRun
from farthing.records.faults import Distribution
from farthing.simulate.faults.dynamics import KINDS, Outcome, simulate
from farthing.simulate.faults.lifetimes import Column
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.timeline import (
    BATCH,
    FAILURE,
    FOLLOWING,
    MAINTENANCE,
    SLOWING,
    Timeline,
    timeline,
)

STUDIED_EVENTS: Final = 400_000
"""Comparisons of many policies look at no more events than these, so that they take seconds."""

LEAST_STUDIED: Final = 32
"""Runs that a comparison looks at, however much happens to them."""

FEW: Final = 64
"""Where few runs are asked for, comparisons look at so many all the same: one run tells nothing."""


Told = Callable[[Mapping[str, Column]], None]
"""Takes the runs of a batch as soon as they are simulated: columns by name, in the order of a table."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Simulated runs, a column for each figure.

    ``goodput``, ``failures``, ``planned``: of each run. ``lost_s``: a row for each kind of loss [s].
    ``by_cause_s``: of all runs [s], ``events``: of all runs, both by cause.
    """

    goodput: Column
    lost_s: Column
    failures: Column
    planned: Column
    by_cause_s: Column
    events: Column

    @property
    def runs(self) -> int:
        """How many."""
        return len(self.goodput)


def sample(
    run: FaultRun,
    interval_s: float,
    seed: int,
    runs: int,
    *,
    told: Told | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sample:
    """Simulated runs.

    Parameters
    ----------
    run
        What is simulated.
    interval_s
        Between two checkpoints on storage [s].
    seed, runs
        Which runs, and how many.
    told
        Takes the rows of each batch.
    progress
        Takes the number of runs that are done.

    Returns
    -------
    Sample
        The same for one seed, however many runs come after it.
    """
    how = policy(run, interval_s)
    parts: list[Sample] = []
    done = 0
    for events in timelines(run, seed, runs):
        outcome = simulate(events, how)
        parts.append(_told_of(run, events, outcome))
        if told is not None:
            told(_rows(parts[-1], done))
        done += events.runs
        if progress is not None:
            progress(done)
    return Sample(
        goodput=np.concatenate([part.goodput for part in parts]),
        lost_s=np.concatenate([part.lost_s for part in parts], axis=1),
        failures=np.concatenate([part.failures for part in parts]),
        planned=np.concatenate([part.planned for part in parts]),
        by_cause_s=np.sum([part.by_cause_s for part in parts], axis=0),
        events=np.sum([part.events for part in parts], axis=0),
    )


def timelines(run: FaultRun, seed: int, runs: int) -> Iterator[Timeline]:
    """What happens to so many runs, a batch at a time."""
    repairs = run.recovery.spare_hosts is not None
    for batch in range(-(-runs // BATCH)):
        yield timeline(run, seed, batch, repairs=repairs).first(runs - batch * BATCH)


def studied(events: Timeline, runs: int) -> Timeline:
    """As many runs of the first batch as a comparison of policies looks at."""
    room = STUDIED_EVENTS // len(events.time_s)
    return events.first(min(max(runs, FEW), max(room, LEAST_STUDIED)))


def _told_of(run: FaultRun, events: Timeline, outcome: Outcome) -> Sample:
    causes = len(run.causes) + 2
    begun = np.isin(events.kind, (FAILURE, FOLLOWING, SLOWING, MAINTENANCE))
    return Sample(
        goodput=outcome.done_s / events.duration_s,
        lost_s=outcome.lost_s,
        failures=events.count(FAILURE, FOLLOWING).astype(float),
        planned=outcome.planned.astype(float),
        by_cause_s=outcome.by_cause_s,
        events=np.bincount(events.cause[begun], minlength=causes).astype(float),
    )


def _rows(part: Sample, first: int) -> dict[str, Column]:
    columns: dict[str, Column] = {
        "run": first + np.arange(part.runs, dtype=float),
        "goodput": part.goodput,
        "failures": part.failures,
        "planned": part.planned,
    }
    for name, lost_s in zip(KINDS, part.lost_s, strict=True):
        columns[f"{name.replace(' ', '_')}_s"] = lost_s
    return columns


def distribution(values: Column) -> Distribution:
    """Mean, its standard error, and percentiles.

    Examples
    --------
    >>> distribution(np.array([1.0, 2.0, 3.0])).mean
    2.0
    """
    return Distribution(
        mean=float(np.mean(values)),
        standard_error=standard_error(values),
        **{f"p{p}": float(np.percentile(values, p)) for p in (5, 25, 50, 75, 95)},
    )


def standard_error(values: Column) -> float:
    """Of the mean of independent values; infinite for a single one, which says nothing of the spread."""
    if len(values) < 2:
        return float("inf")
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def changed(run: FaultRun, **changes: object) -> FaultRun:
    """A run with other fields of its checkpoints and recovery.

    Examples
    --------
    >>> from farthing.simulate.faults.scenario import scenario
    >>> run = scenario("article-2048", "", "", duration_s=None, causes=(), options={})
    >>> changed(run, restart_s=60.0).recovery.restart_s
    60.0
    """
    for name in ("checkpointing", "recovery"):
        record = getattr(run, name)
        mine = {
            field: value for field, value in changes.items() if field in type(record).__dataclass_fields__
        }
        run = dataclasses.replace(run, **{name: dataclasses.replace(record, **mine)})
    return run
