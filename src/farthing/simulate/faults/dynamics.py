"""What a run makes of what happens to it: all runs step from event to event together, in columns.

Between two events everything is a closed form: a job drains (writes a checkpoint before a planned stop), is
down (a failure is not noticed yet, or maintenance is going on), waits for a host, restarts, and runs cycles
of work and checkpoints. Work is counted in seconds at full pace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.simulate.faults.lifetimes import Column
from farthing.simulate.faults.policy import Policy, stacked
from farthing.simulate.faults.timeline import FOLLOWING, MAINTENANCE, REMOVAL, REPAIR, SLOWING, Timeline

KINDS: Final = (
    "checkpoints",
    "lost work",
    "detection",
    "restart",
    "waiting for spares",
    "slow parts",
    "fewer replicas",
    "maintenance",
)
"""Kinds of lost time, in the order of the rows of `Outcome.lost_s`."""

CHECKPOINTS, LOST, DETECTION, RESTART, WAITING, SLOW, FEWER, MAINTAINED = range(len(KINDS))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of many runs.

    ``done_s``: lasting work of each at full pace [s]. ``lost_s``: a row for each of `KINDS`, a column for
    each run [s]. ``by_cause_s``: all runs' loss by cause, regular checkpoints last [s]. ``planned``: planned
    stops of each. ``finish_s``: when each had done the work asked for, infinite where never [s].
    """

    done_s: Column
    lost_s: Column
    by_cause_s: Column
    planned: NDArray[np.int64]
    finish_s: Column


def simulate(events: Timeline, how: Policy, *, work_s: float = np.inf) -> Outcome:
    """Runs under given events.

    Parameters
    ----------
    events
        What happens.
    how
        What the runs do about it.
    work_s
        Work whose end is looked for, at full pace [s].

    Returns
    -------
    Outcome

    Notes
    -----
    A failure while the job is down, waits or restarts begins the recovery anew. The work in hand at the
    horizon counts as done.
    """
    state = _Runs(events.runs, how, work_s)
    for row in range(len(events.time_s)):
        time_s, kind, cause = events.time_s[row], events.kind[row], events.cause[row]
        state.advance(time_s)
        if kind.any():
            state.apply(kind, cause, events.detection_s[row])
    return Outcome(state.done, state.lost, state.by_cause, state.planned, state.finish)


def goodputs(events: Timeline, policies: Sequence[Policy]) -> list[Column]:
    """Goodput of each run under several policies, all simulated at once.

    Parameters
    ----------
    events
        What happens.
    policies
        Alike but for what `farthing.simulate.faults.policy.stacked` lets differ.
    """
    done = simulate(events.repeated(len(policies)), stacked(policies, events.runs)).done_s
    return list(done.reshape(len(policies), events.runs) / events.duration_s)


class _Runs:
    """The state of all runs, a column for each variable."""

    def __init__(self, runs: int, how: Policy, work_s: float) -> None:
        self.how, self.work_s = how, work_s
        self.few = bool(np.min(how.spares) < np.inf)
        self.hosts_out = np.array(how.hosts_out)
        self.memory_lost = np.array(how.memory_lost)
        self.causes = len(how.hosts_out)
        zeros = np.zeros(runs)
        self.now = zeros.copy()
        # Ends of what comes before the next step: the checkpoint before a stop, the time down, the restart.
        self.drained, self.ready, self.up = zeros.copy(), zeros.copy(), zeros.copy()
        self.restart = zeros + how.restart_s
        self.draining = np.zeros(runs, dtype=bool)
        self.maintained = np.zeros(runs, dtype=bool)
        self.from_storage = np.zeros(runs, dtype=bool)
        # Place in the cycle: time since its beginning, and work done in it.
        self.place, self.worked = zeros.copy(), zeros.copy()
        # Work: in hand, in memory, in the last checkpoint and when that counts, in the one before.
        self.done, self.kept = zeros.copy(), zeros.copy()
        self.saved, self.counts, self.before = zeros.copy(), zeros.copy(), zeros.copy()
        self.out = zeros.copy()
        self.slow = zeros.copy()
        self.full = np.ones(runs)  # share of the replicas that work
        self.cause = np.zeros(runs, dtype=np.int64)
        self.lost = np.zeros((len(KINDS), runs))
        self.by_cause = np.zeros(self.causes + 1)
        self.planned = np.zeros(runs, dtype=np.int64)
        self.finish = np.full(runs, np.inf)

    def advance(self, time_s: Column) -> None:
        """To a time at which something happens [s]."""
        since = np.maximum(self.up, self.now)
        if (self.up > self.now).any():
            self._recover(time_s)
        self._work(np.maximum(time_s - since, 0.0), since)
        self.now = time_s

    def _recover(self, time_s: Column) -> None:
        now, begin = self.now, self.up - self.restart
        drain = np.maximum(np.minimum(self.drained, time_s) - now, 0.0)
        down = np.maximum(np.minimum(self.ready, time_s) - np.maximum(self.drained, now), 0.0)
        waiting = np.maximum(np.minimum(begin, time_s) - np.maximum(self.ready, now), 0.0)
        restart = np.maximum(np.minimum(self.up, time_s) - np.maximum(begin, now), 0.0)
        lost = self.lost
        lost[CHECKPOINTS] += drain
        lost[DETECTION] += np.where(self.maintained, 0.0, down)
        lost[MAINTAINED] += np.where(self.maintained, down, 0.0)
        lost[WAITING] += waiting
        lost[RESTART] += restart
        self._blame(drain + down + waiting + restart)
        ended = self.draining & (self.drained <= time_s)
        if ended.any():
            for name in ("saved", "before", "kept"):
                setattr(self, name, np.where(ended, self.done, getattr(self, name)))
            self.counts = np.where(ended, self.drained, self.counts)
            self.draining = self.draining & ~ended

    def _blame(self, seconds: Column) -> None:
        """Time that the cause of the last stop took."""
        self.by_cause[: self.causes] += np.bincount(self.cause, weights=seconds, minlength=self.causes)

    def _work(self, running: Column, since: Column) -> None:
        """Cycles of work and checkpoints, for a time that the job runs."""
        cycle = self.how.cycle
        reached = self.place + running
        rounds = np.floor(reached / cycle.whole_s)
        place = reached - rounds * cycle.whole_s
        if not self.how.in_memory:
            worked = np.minimum(place, cycle.work_s)
        else:
            pieces = np.minimum(np.floor(place / cycle.piece_s), cycle.pieces)
            in_piece = np.minimum(place - pieces * cycle.piece_s, cycle.work_s)
            worked = np.minimum(pieces * cycle.work_s + in_piece, cycle.all_work_s)
        gross = rounds * cycle.all_work_s + worked - self.worked
        pace = self.full * np.where(self.slow > 0, self.how.slow_pace, 1.0)
        if np.isfinite(self.work_s):
            self._finish(gross, pace, since)
        closed = rounds >= 1
        at_last = self.done + (rounds * cycle.all_work_s - self.worked) * pace
        last = np.where(rounds >= 2, at_last - cycle.all_work_s * pace, self.saved)
        self.before = np.where(closed, last, self.before)
        self.saved = np.where(closed, at_last, self.saved)
        counts = since - self.place + rounds * cycle.whole_s + cycle.write_s
        self.counts = np.where(closed, counts, self.counts)
        if self.how.in_memory:
            self._keep(rounds, place, pace)
        stall = running - gross
        self.lost[CHECKPOINTS] += stall
        self.by_cause[-1] += stall.sum()
        if self.how.replicas:
            shrunk = gross * (1 - self.full)
            self.lost[FEWER] += shrunk
            self._blame(shrunk)
        if self.how.slow_pace < 1:
            slowed = gross * self.full - gross * pace
            self.lost[SLOW] += slowed
            self.by_cause[-3] += slowed.sum()
        self.done = self.done + gross * pace
        self.place, self.worked = place, worked

    def _keep(self, rounds: Column, place: Column, pace: Column) -> None:
        """The last checkpoint in memory."""
        cycle = self.how.cycle
        earlier = np.minimum(np.floor(self.place / cycle.piece_s), cycle.pieces)
        pieces = np.minimum(np.floor(place / cycle.piece_s), cycle.pieces)
        at_last = self.done + (rounds * cycle.all_work_s + pieces * cycle.work_s - self.worked) * pace
        self.kept = np.where((rounds >= 1) | (pieces > earlier), at_last, self.kept)

    def _finish(self, gross: Column, pace: Column, since: Column) -> None:
        """When the work asked for is done, where that is now."""
        there = np.isinf(self.finish) & (self.done + gross * pace >= self.work_s)
        if not there.any():
            return
        cycle = self.how.cycle
        needed = self.worked + np.maximum(self.work_s - self.done, 0.0) / np.where(pace > 0, pace, 1.0)
        rounds = np.maximum(np.ceil(needed / cycle.all_work_s) - 1, 0.0)
        rest = needed - rounds * cycle.all_work_s
        stops = np.maximum(np.ceil(rest / cycle.work_s) - 1, 0.0) * cycle.piece_stall_s
        end = since - self.place + rounds * cycle.whole_s + rest + stops
        self.finish = np.where(there, end, self.finish)

    def apply(self, kind: NDArray[np.int8], cause: NDArray[np.int16], detection_s: Column) -> None:
        """What happens now."""
        failing = (kind > 0) & (kind <= FOLLOWING)
        recovering = self.up > self.now
        if failing.any():
            self._fail(failing, kind == FOLLOWING, recovering, cause, detection_s)
        stops = kind == MAINTENANCE
        if self.how.slow_pace < 1:
            removal = kind == REMOVAL
            self.slow += (kind == SLOWING).astype(float) - removal
            stops = stops | removal
        few = self.few
        back = np.zeros_like(failing)
        if few:
            repaired = kind == REPAIR
            missing = np.maximum(self.out - self.how.spares, 0.0)
            self.out -= np.where(repaired, self.hosts_out[cause], 0)
            back = repaired & (np.maximum(self.out - self.how.spares, 0.0) < missing)
            if self.how.replicas:
                # One host more is one replica more, which the job takes in at a restart.
                stops = stops | (back & (self._working() > self.full))
            back = back & np.isinf(self.up)
        if stops.any():
            self._stop(stops & ~recovering, kind, cause)
        again = (stops & recovering) | (back & recovering)
        if again.any():
            held = np.where(kind == MAINTENANCE, self.now + self.how.maintenance_s, self.now)
            begin = np.maximum(self.ready, held)
            maintained = again & (kind == MAINTENANCE)
            self.ready = np.where(maintained, begin, self.ready)
            self.maintained = self.maintained | maintained
            self._start(again, begin)

    def _working(self) -> Column:
        """Share of the replicas that have all their hosts."""
        replicas = self.how.replicas
        if not replicas:
            return np.ones_like(self.out)
        missing: Column = np.maximum(self.out - self.how.spares, 0.0)
        return 1 - np.minimum(missing, replicas) / replicas

    def _start(self, which: NDArray[np.bool_], begin: Column) -> None:
        """A restart from a time on [s], or as soon as there are hosts."""
        if self.how.replicas:
            self.full = np.where(which, self._working(), self.full)
            possible = self.full > 0
        else:
            possible = self.out <= self.how.spares
        self.up = np.where(which, np.where(possible, begin + self.restart, np.inf), self.up)

    def _fail(
        self,
        failing: NDArray[np.bool_],
        follows: NDArray[np.bool_],
        recovering: NDArray[np.bool_],
        cause: NDArray[np.int16],
        detection_s: Column,
    ) -> None:
        on_storage = np.where(self.counts <= self.now, self.saved, self.before)
        target, restart = on_storage, self.how.restart_s
        if self.how.in_memory:
            # A second failure at the same place, before the job is up again, takes the other copy as well.
            wiped = self.memory_lost[cause] | (follows & recovering)
            target = np.where(wiped, on_storage, np.maximum(self.kept, on_storage))
            self.from_storage = np.where(failing, wiped | (self.from_storage & recovering), self.from_storage)
            self.restart = np.where(
                failing, np.where(self.from_storage, restart, self.how.memory_restart_s), self.restart
            )
            self.kept = np.where(failing, target, self.kept)
        lost = np.where(failing, self.done - target, 0.0)
        self.lost[LOST] += lost
        self.by_cause[: self.causes] += np.bincount(cause, weights=lost, minlength=self.causes)
        self.done = np.where(failing, target, self.done)
        # What was being written is gone with the job.
        self.saved = np.where(failing, on_storage, self.saved)
        self.before = np.where(failing, on_storage, self.before)
        self.counts = np.where(failing, -np.inf, self.counts)
        self.place = np.where(failing, 0.0, self.place)
        self.worked = np.where(failing, 0.0, self.worked)
        self.draining = self.draining & ~failing
        self.drained = np.where(failing, self.now, self.drained)
        noticed = self.now + detection_s
        noticed = np.where(recovering, np.maximum(noticed, self.ready), noticed)
        self.ready = np.where(failing, noticed, self.ready)
        self.maintained = self.maintained & ~failing
        self.cause = np.where(failing, cause, self.cause)
        if self.few:
            self.out += np.where(failing, self.hosts_out[cause], 0)
        self._start(failing, self.ready)

    def _stop(self, stopping: NDArray[np.bool_], kind: NDArray[np.int8], cause: NDArray[np.int16]) -> None:
        """A planned stop of a job that runs: a checkpoint first."""
        how = self.how
        self.planned += stopping
        self.draining = self.draining | stopping
        self.drained = np.where(stopping, self.now + how.drain_s, self.drained)
        maintained = stopping & (kind == MAINTENANCE)
        self.maintained = np.where(stopping, maintained, self.maintained)
        self.ready = np.where(
            stopping, self.drained + np.where(maintained, how.maintenance_s, 0.0), self.ready
        )
        self.from_storage = np.where(stopping, True, self.from_storage)
        self.restart = np.where(stopping, how.restart_s, self.restart)
        self.place = np.where(stopping, 0.0, self.place)
        self.worked = np.where(stopping, 0.0, self.worked)
        self.cause = np.where(stopping, cause, self.cause)
        self._start(stopping, self.ready)
