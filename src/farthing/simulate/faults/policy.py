"""What a run does about its checkpoints and failures, as the numbers that the simulation steps with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from farthing.predict.trace import Number
from farthing.records.fault_run import FaultRun


@dataclass(frozen=True, slots=True)
class Cycle:
    """The round of work and checkpoints that a running job repeats.

    ``pieces`` pieces of ``work_s`` [s], behind each a stop of ``piece_stall_s`` for a checkpoint in memory
    [s], and behind the last one a stop of ``stall_s`` for storage [s]; the checkpoint on storage counts
    ``write_s`` after that [s]. Each is a scalar, or a column with a value for each run.
    """

    work_s: Number
    pieces: Number
    piece_stall_s: Number
    stall_s: Number
    write_s: Number

    @property
    def piece_s(self) -> Number:
        """Work and stop of one piece [s]."""
        return self.work_s + self.piece_stall_s

    @property
    def all_work_s(self) -> Number:
        """Work of the whole cycle [s]."""
        return self.pieces * self.work_s

    @property
    def whole_s(self) -> Number:
        """The whole cycle [s]."""
        return self.pieces * self.piece_s + self.stall_s


@dataclass(frozen=True, slots=True)
class Policy:
    """A run's behaviour.

    ``in_memory``: whether hosts keep checkpoints of each other. ``restart_s``, ``memory_restart_s``: with a
    checkpoint from storage, from memory [s]. ``drain_s``: a checkpoint before a planned stop [s].
    ``maintenance_s``: length of one [s]. ``spares``: infinite where one is always there. ``replicas``: 0
    where the job waits for spares. ``slow_pace``: progress with a slow part over that without.
    ``hosts_out``, ``memory_lost``: by cause. Times and spares are scalars, or columns with a value for each
    run.
    """

    cycle: Cycle
    in_memory: bool
    restart_s: Number
    memory_restart_s: Number
    drain_s: Number
    maintenance_s: Number
    spares: Number
    replicas: int
    slow_pace: float
    hosts_out: tuple[int, ...]
    memory_lost: tuple[bool, ...]


def cycle(run: FaultRun, interval_s: float) -> Cycle:
    """The cycle of a run that checkpoints to storage after each interval [s].

    An asynchronous write must end before the next begins: shorter intervals are stretched. With checkpoints
    in memory the interval becomes a whole number of theirs.

    Examples
    --------
    >>> from farthing.simulate.faults.scenario import scenario
    >>> run = scenario("article-2048", "", "", duration_s=None, causes=(), options={})
    >>> cycle(run, 600.0).work_s, round(cycle(run, 600.0).whole_s, 2)
    (600.0, 601.89)
    """
    saved = run.checkpointing
    late = saved.write_s if saved.checkpoint_mode == "async" else 0.0
    interval_s = max(interval_s, late)
    pieces = 1
    if saved.memory_interval_s:
        pieces = max(1, round(interval_s / saved.memory_interval_s))
        if late:
            pieces = max(pieces, math.ceil(late / saved.memory_interval_s))
        interval_s = pieces * saved.memory_interval_s
    return Cycle(
        work_s=interval_s / pieces,
        pieces=pieces,
        piece_stall_s=saved.memory_snapshot_s if saved.memory_interval_s else 0.0,
        stall_s=saved.stall_s,
        write_s=late,
    )


def policy(run: FaultRun, interval_s: float) -> Policy:
    """What a run does, with an interval between checkpoints on storage [s]."""
    saved, recovery, slow = run.checkpointing, run.recovery, run.stragglers
    spares = math.inf if recovery.spare_hosts is None else float(recovery.spare_hosts)
    # A slow part keeps a host busy until it is replaced; nobody waits for its repair. Maintenance takes none.
    return Policy(
        cycle=cycle(run, interval_s),
        in_memory=bool(saved.memory_interval_s),
        restart_s=recovery.restart_s + saved.load_s,
        memory_restart_s=recovery.restart_s + saved.memory_load_s,
        drain_s=saved.stall_s + (saved.write_s if saved.checkpoint_mode == "async" else 0.0),
        maintenance_s=recovery.maintenance_s,
        spares=spares,
        replicas=recovery.elastic_replicas,
        slow_pace=1 / slow.slowdown if slow is not None else 1.0,
        hosts_out=(*(cause.hosts_out for cause in run.causes), 0, 0),
        memory_lost=(*(not cause.memory_survives for cause in run.causes), False, False),
    )


STACKED: Final = ("restart_s", "memory_restart_s", "drain_s", "maintenance_s", "spares")
"""Fields in which policies that are simulated together may differ, beside their cycles."""


def stacked(policies: Sequence[Policy], runs: int) -> Policy:
    """Policies as one, of columns: each holds for as many runs, one after the other.

    They may differ in their cycles and in `STACKED`.
    """

    def column(values: Sequence[Number]) -> Number:
        return np.repeat(np.asarray(values, dtype=float), runs)

    whole = Cycle(
        **{
            field.name: column([getattr(one.cycle, field.name) for one in policies])
            for field in fields(Cycle)
        }
    )
    return replace(
        policies[0],
        cycle=whole,
        **{name: column([getattr(one, name) for one in policies]) for name in STACKED},
    )
