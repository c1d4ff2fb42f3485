"""One training run under faults in plain Python, from one thing that happens to the next.

Written apart from `farthing.simulate.faults.dynamics`, to agree with it under the same failures, and to be
the unit that its speed is measured in.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from farthing.simulate.faults.policy import Policy
from farthing.simulate.faults.timeline import (
    END,
    FAILURE,
    FOLLOWING,
    MAINTENANCE,
    REMOVAL,
    REPAIR,
    SLOWING,
)

Event = tuple[float, int, int, float]
"""When, what, by which cause, and how long until it is noticed."""


@dataclass
class PlainRun:
    """A job that walks through its own timers and what comes from outside."""

    how: Policy
    work_s: float = float("inf")
    now: float = 0.0
    phase: str = "work"
    timer: float = 0.0
    """When the phase ends; infinite while the job waits for a host."""
    piece: int = 0
    done: float = 0.0
    in_memory: float = 0.0
    on_storage: float = 0.0
    writes: list[tuple[float, float]] = field(default_factory=list)
    """Asynchronous writes: when each ends, and the work in it."""
    restart: float = 0.0
    memory_gone: bool = False
    downtime: str = "detection"
    ready: float = 0.0
    out: int = 0
    slow: int = 0
    replicas: int = 0
    planned: int = 0
    finish: float = float("inf")
    lost: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.replicas = self.how.replicas
        self.timer = self.how.cycle.work_s
        self.restart = self.how.restart_s

    def play(self, events: Iterable[Event], duration_s: float) -> None:
        """The whole run."""
        queue = [event for event in events if event[1] != END]
        heapq.heapify(queue)
        while queue:
            event = heapq.heappop(queue)
            self.walk(event[0])
            self.meet(*event)
        self.walk(duration_s)

    @property
    def pace(self) -> float:
        """Progress in a second of work."""
        share = self.replicas / self.how.replicas if self.how.replicas else 1.0
        return share * (self.how.slow_pace if self.slow else 1.0)

    def book(self, kind: str, seconds: float) -> None:
        """Time that is lost."""
        self.lost[kind] = self.lost.get(kind, 0.0) + seconds

    def walk(self, until: float) -> None:
        """Time passes, and timers run out, up to the next thing from outside."""
        while self.timer <= until:
            self.spend(self.timer)
            self.turn()
        self.spend(until)

    def spend(self, until: float) -> None:
        """Time within a phase."""
        seconds, self.now = until - self.now, until
        if self.phase == "work":
            share = self.replicas / self.how.replicas if self.how.replicas else 1.0
            gain = seconds * self.pace
            if self.finish == float("inf") and self.done + gain >= self.work_s:
                self.finish = until - seconds + (self.work_s - self.done) / self.pace
            self.done += gain
            self.book("fewer replicas", seconds * (1 - share))
            self.book("slow parts", seconds * share - gain)
        else:
            kinds = {"memory stop": "checkpoints", "storage stop": "checkpoints", "drain": "checkpoints"}
            kind = self.downtime if self.phase == "down" else kinds.get(self.phase, self.phase)
            self.book(kind, seconds)

    def turn(self) -> None:
        """A phase ends by itself."""
        cycle, how = self.how.cycle, self.how
        if self.phase == "work":
            self.phase, self.timer = "memory stop", self.now + cycle.piece_stall_s
        elif self.phase == "memory stop":
            self.piece += 1
            if how.in_memory:
                self.in_memory = self.done
            if self.piece == cycle.pieces:
                self.phase, self.timer = "storage stop", self.now + cycle.stall_s
            else:
                self.phase, self.timer = "work", self.now + cycle.work_s
        elif self.phase == "storage stop":
            self.writes.append((self.now + cycle.write_s, self.done))
            self.piece = 0
            self.phase, self.timer = "work", self.now + cycle.work_s
        elif self.phase == "drain":
            self.writes.clear()
            self.on_storage = self.in_memory = self.done
            self.phase, self.timer = "down", self.ready
        elif self.phase == "down":
            self.begin()
        elif self.phase == "restart":
            self.piece = 0
            self.phase, self.timer = "work", self.now + cycle.work_s

    def whole_replicas(self) -> int:
        """Replicas that have all their hosts."""
        return self.how.replicas - min(max(self.out - int(self.how.spares), 0), self.how.replicas)

    def begin(self) -> None:
        """A restart, if there are hosts for it."""
        possible = self.out <= self.how.spares
        if self.how.replicas:
            self.replicas = self.whole_replicas() if self.how.spares < float("inf") else self.how.replicas
            possible = self.replicas > 0
        if possible:
            self.phase, self.timer = "restart", self.now + self.restart
        else:
            self.phase, self.timer = "waiting for spares", float("inf")

    def meet(self, time: float, kind: int, cause: int, detection: float) -> None:
        """Something from outside."""
        up = self.phase in ("work", "memory stop", "storage stop")
        if kind in (FAILURE, FOLLOWING):
            self.fail(cause, detection, kind == FOLLOWING, up)
        elif kind == SLOWING:
            self.slow += 1
        elif kind == REMOVAL:
            self.slow -= 1
            self.stop(up, 0.0)
        elif kind == MAINTENANCE:
            self.stop(up, self.how.maintenance_s)
        elif kind == REPAIR and self.how.spares < float("inf"):
            short = max(self.out - self.how.spares, 0)
            self.out -= self.how.hosts_out[cause]
            if max(self.out - self.how.spares, 0) < short:
                if self.how.replicas and self.whole_replicas() > self.replicas:
                    self.stop(up, 0.0)
                elif self.phase == "waiting for spares":
                    self.begin()

    def fail(self, cause: int, detection: float, follows: bool, up: bool) -> None:
        """The job dies."""
        for end, work in self.writes:
            if end <= self.now:
                self.on_storage = max(self.on_storage, work)
        self.writes.clear()
        back = self.on_storage
        if self.how.in_memory:
            wiped = self.how.memory_lost[cause] or (follows and not up)
            self.memory_gone = wiped or (self.memory_gone and not up)
            if wiped:
                self.in_memory = self.on_storage
            back = max(self.in_memory, self.on_storage)
            self.in_memory = back
            self.restart = self.how.restart_s if self.memory_gone else self.how.memory_restart_s
        else:
            self.restart = self.how.restart_s
        self.book("lost work", self.done - back)
        self.done = back
        noticed = self.now + detection
        self.ready = noticed if up else max(noticed, self.ready)
        self.phase, self.timer, self.downtime = "down", self.ready, "detection"
        if self.how.spares < float("inf"):
            self.out += self.how.hosts_out[cause]

    def stop(self, up: bool, length: float) -> None:
        """A planned stop; one that finds the job down is done then and there."""
        if up:
            self.planned += 1
            self.phase, self.timer = "drain", self.now + self.how.drain_s
            self.ready = self.timer + length
            self.downtime = "maintenance"
            self.restart, self.memory_gone = self.how.restart_s, True
            return
        if length:
            self.ready = max(self.ready, self.now + length)
            self.downtime = "maintenance"
        if self.phase == "down":
            self.timer = self.ready
        elif self.phase in ("waiting for spares", "restart"):
            self.phase, self.timer = "down", max(self.ready, self.now)


def plain_runs(events: Iterable[Iterable[Event]], duration_s: float, how: Policy) -> list[PlainRun]:
    """Runs one after the other, each with its own events."""
    found = []
    for each in events:
        run = PlainRun(how)
        run.play(each, duration_s)
        found.append(run)
    return found
