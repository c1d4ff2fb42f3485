"""What a run does about its checkpoints and failures, as the numbers that the simulation steps with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from farthing.records.fault_run import FaultRun


@dataclass(frozen=True, slots=True)
class Cycle:
    """The round of work and checkpoints that a running job repeats.

    ``pieces`` pieces of ``work_s`` [s], behind each a stop of ``piece_stall_s`` for a checkpoint in memory
    [s], and behind the last one a stop of ``stall_s`` for storage [s]; the checkpoint on storage counts
    ``write_s`` after that [s].
    """

    work_s: float
    pieces: int
    piece_stall_s: float
    stall_s: float
    write_s: float

    @property
    def piece_s(self) -> float:
        """Work and stop of one piece [s]."""
        return self.work_s + self.piece_stall_s

    @property
    def all_work_s(self) -> float:
        """Work of the whole cycle [s]."""
        return self.pieces * self.work_s

    @property
    def whole_s(self) -> float:
        """The whole cycle [s]."""
        return self.pieces * self.piece_s + self.stall_s


@dataclass(frozen=True, slots=True)
class Policy:
    """A run's behaviour.

    ``in_memory``: whether hosts keep checkpoints of each other. ``restart_s``, ``memory_restart_s``: with a
    checkpoint from storage, from memory [s]. ``drain_s``: a checkpoint before a planned stop [s].
    ``maintenance_s``: length of one [s]. ``spares``: infinite where one is always there. ``replicas``: 0
    where the job waits for spares. ``slow_pace``: progress with a slow part over that without.
    ``hosts_out``, ``memory_lost``: by cause.
    """

    cycle: Cycle
    in_memory: bool
    restart_s: float
    memory_restart_s: float
    drain_s: float
    maintenance_s: float
    spares: float
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
    >>> from farthing.simulate.faults.presets import preset_run
    >>> cycle(preset_run("llama-3-405b"), 600.0).work_s
    600.0
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
