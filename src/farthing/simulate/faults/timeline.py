"""What happens to a run from outside, in wall-clock time: failures, slow parts, maintenance, repairs.

None of it depends on what the run does, so that it is drawn once, and runs that checkpoint, recover or spare
differently can be compared under the same failures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.records.fault_run import FaultRun
from farthing.simulate.faults.lifetimes import Column, Failures, expected_failures, failures
from farthing.units import DAY, format_seconds

BATCH: Final = 512
"""Runs drawn from one seed of their own: what a run meets does not depend on how many there are."""

MOST_EVENTS: Final = 20_000
"""Of one run; a batch and what is compared on it then take some two gigabytes."""

END, FAILURE, FOLLOWING, SLOWING, REMOVAL, MAINTENANCE, REPAIR = range(7)
"""Kinds of events; ``END`` fills up the columns of runs to which less happens."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events of many runs: row k holds the k-th event of each run.

    ``time_s`` [s] rises down the rows; ``kind`` is one of the constants above; ``cause`` the place of the
    cause among the run's, then stragglers, then maintenance; ``detection_s`` the time until a failure is
    noticed [s].
    """

    time_s: Column
    kind: NDArray[np.int8]
    cause: NDArray[np.int16]
    detection_s: Column
    duration_s: float

    @property
    def runs(self) -> int:
        """How many."""
        return int(self.time_s.shape[1])

    def count(self, *kinds: int) -> NDArray[np.int64]:
        """Events of some kinds, by run."""
        return np.asarray(np.isin(self.kind, kinds).sum(axis=0))

    def first(self, runs: int) -> Timeline:
        """The first runs alone."""
        if runs >= self.runs:
            return self
        return Timeline(
            self.time_s[:, :runs],
            self.kind[:, :runs],
            self.cause[:, :runs],
            self.detection_s[:, :runs],
            self.duration_s,
        )

    def repeated(self, times: int) -> Timeline:
        """All runs, so many times one after the other."""
        return Timeline(
            np.tile(self.time_s, times),
            np.tile(self.kind, times),
            np.tile(self.cause, times),
            np.tile(self.detection_s, times),
            self.duration_s,
        )


def straggler_cause(run: FaultRun) -> int:
    """Place of the stragglers among the causes."""
    return len(run.causes)


def maintenance_cause(run: FaultRun) -> int:
    """Place of the planned maintenance among the causes."""
    return len(run.causes) + 1


def expected_events(run: FaultRun) -> dict[str, float]:
    """Interruptions that a run has to expect, by what brings them."""
    by_cause = {cause.name: expected_failures(cause, run.duration_s) for cause in run.causes}
    if run.stragglers is not None:
        slow = run.stragglers
        by_cause["stragglers"] = 2 * slow.straggler_parts * run.duration_s / slow.straggler_mtbf_s
    by_cause["maintenance"] = run.recovery.maintenance_per_day * run.duration_s / DAY
    return by_cause


def check_size(run: FaultRun) -> None:
    """Refuse a run to which so much happens that nobody could train.

    Raises
    ------
    InvalidInput
        More than `MOST_EVENTS` events are expected.
    """
    by_cause = expected_events(run)
    total = sum(by_cause.values())
    if not total <= MOST_EVENTS:
        worst = max(by_cause, key=lambda name: by_cause[name])
        raise InvalidInput(
            f"{total:,.0f} interruptions are expected in {format_seconds(run.duration_s)}, more of them from "
            f"{worst!r} than from any other cause; at most {MOST_EVENTS:,} can be simulated: give fewer "
            "days, or a longer MTBF"
        )


def timeline(run: FaultRun, seed: int, batch: int, *, repairs: bool) -> Timeline:
    """What happens to the runs of one batch.

    Parameters
    ----------
    run
        What is simulated.
    seed, batch
        Which drawing; the same two give the same failures, and each cause has a stream of its own.
    repairs
        Whether hosts that come back are events too, as they are where spares are few.

    Returns
    -------
    Timeline
        Of `BATCH` runs.

    Examples
    --------
    >>> from farthing.records.fault_run import Checkpointing, FaultCause, Recovery
    >>> run = FaultRun(
    ...     name="small", hosts=1, cards=8, duration_s=100.0,
    ...     causes=(FaultCause(name="gpu", strikes="card", fault_parts=8, part_mtbf_s=80.0),),
    ...     checkpointing=Checkpointing(stored_bytes=1.0, write_bytes_per_s=1.0, read_bytes_per_s=1.0),
    ...     recovery=Recovery())
    >>> drawn = timeline(run, seed=1, batch=0, repairs=False)
    >>> drawn.runs, bool(9 < drawn.count(FAILURE).mean() < 11)
    (512, True)
    """
    check_size(run)
    streams = iter(np.random.SeedSequence((seed, batch)).spawn(2 * len(run.causes) + 2))
    pieces: list[tuple[NDArray[np.int64], Column, int | NDArray[np.int8], int, Column | float]] = []
    for place, cause in enumerate(run.causes):
        found = failures(cause, run.duration_s, BATCH, np.random.default_rng(next(streams)))
        noticed = _detection(run, found, np.random.default_rng(next(streams)))
        kinds = np.where(found.follows, FOLLOWING, FAILURE).astype(np.int8)
        pieces.append((found.run, found.time_s, kinds, place, noticed))
        if repairs and cause.hosts_out:
            pieces.append((found.run, found.time_s + cause.repair_s, REPAIR, place, 0.0))
    slow = np.random.default_rng(next(streams))
    if run.stragglers is not None:
        what = run.stragglers
        counts = slow.poisson(what.straggler_parts * run.duration_s / what.straggler_mtbf_s, BATCH)
        rows = np.repeat(np.arange(BATCH), counts)
        begins = slow.random(len(rows)) * run.duration_s
        pieces.append((rows, begins, SLOWING, straggler_cause(run), 0.0))
        ends = begins + what.notice_s * slow.standard_exponential(len(rows))
        pieces.append((rows, ends, REMOVAL, straggler_cause(run), 0.0))
    if run.recovery.maintenance_per_day:
        planned = np.random.default_rng(next(streams))
        counts = planned.poisson(run.recovery.maintenance_per_day * run.duration_s / DAY, BATCH)
        rows = np.repeat(np.arange(BATCH), counts)
        times = planned.random(len(rows)) * run.duration_s
        pieces.append((rows, times, MAINTENANCE, maintenance_cause(run), 0.0))
    return _sorted(pieces, run.duration_s)


def _detection(run: FaultRun, found: Failures, draw: np.random.Generator) -> Column:
    """Time until each failure is noticed and looked into [s]."""
    recovery = run.recovery
    count = len(found.time_s)
    # All are drawn whatever is used, so that runs that differ in one figure meet the same chance.
    spread, manual = draw.standard_exponential(count), draw.random(count) < recovery.manual_share
    if recovery.detection_spread == "constant":
        spread = np.ones(count)
    return spread * recovery.detection_s + manual * recovery.manual_s


def _sorted(
    pieces: list[tuple[NDArray[np.int64], Column, int | NDArray[np.int8], int, Column | float]],
    duration_s: float,
) -> Timeline:
    """Pieces as columns, by time."""
    run = np.concatenate([piece[0] for piece in pieces])
    time_s = np.concatenate([piece[1] for piece in pieces])
    sizes = [len(piece[0]) for piece in pieces]
    kind = np.concatenate([np.broadcast_to(np.int8(p[2]), n) for p, n in zip(pieces, sizes, strict=True)])
    cause = np.concatenate([np.full(n, p[3], np.int16) for p, n in zip(pieces, sizes, strict=True)])
    noticed = np.concatenate([np.broadcast_to(p[4], n) for p, n in zip(pieces, sizes, strict=True)])
    inside = time_s < duration_s
    run, time_s, kind, cause, noticed = (c[inside] for c in (run, time_s, kind, cause, noticed))
    # By run, then by time; of two at the same time the one that was drawn first: a failure before its repair.
    order = np.argsort(time_s, kind="stable")
    order = order[np.argsort(run[order].astype(np.int16), kind="stable")]
    run = run[order]
    counts = np.bincount(run, minlength=BATCH)
    row = np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (int(counts.max(initial=0)) + 1, BATCH)  # a last row at the horizon
    times = np.full(shape, duration_s, dtype=float)
    kinds, causes, detection = np.zeros(shape, np.int8), np.zeros(shape, np.int16), np.zeros(shape)
    times[row, run] = time_s[order]
    kinds[row, run] = kind[order]
    causes[row, run] = cause[order]
    detection[row, run] = noticed[order]
    return Timeline(times, kinds, causes, detection, duration_s)
