"""What is measured while a service runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from farthing.records.serving import Objectives
from farthing.simulate.serving.histogram import Histogram
from farthing.simulate.serving.lane import Lane
from farthing.simulate.serving.latency_line import LatencyLine
from farthing.simulate.serving.request import Request
from farthing.simulate.serving.timeline import Timeline

if TYPE_CHECKING:
    from farthing.simulate.serving.replica import Replica


class Watcher(Protocol):
    """Somebody who sees every pass and every request, such as a trace for a viewer."""

    def passed(self, lane: Lane, replica: Replica, writing: int, now_s: float) -> None:
        """A stretch of passes ends."""

    def ended(self, request: Request, now_s: float) -> None:
        """A request ends."""


class Measures:
    """Sums and histograms; memory does not grow with the requests.

    Parameters
    ----------
    objectives
        What a good request keeps.
    warm_up
        Requests at the beginning that count in no latency.
    watchers
        Told of every pass and request.
    """

    def __init__(
        self, objectives: Objectives, *, warm_up: int = 0, watchers: tuple[Watcher, ...] = ()
    ) -> None:
        self.ttft, self.tpot, self.itl = Histogram(), Histogram(), Histogram()
        self.e2e, self.queue = Histogram(), Histogram()
        self.timeline = Timeline()
        self.latencies = LatencyLine()
        self.passes = self.steps = self.tokens = 0
        self.busy_s = self.passing_s = self.sequences_s = self.held_s = 0.0
        self.held_peak = 0
        self.read_tokens = self.prompt_tokens = 0
        self.good = self.judged = 0
        self.missed = {name: 0 for name in ("ttft", "tpot", "e2e") if getattr(objectives, f"{name}_s")}
        self._warm_up = warm_up
        self._limits = (
            objectives.ttft_s or float("inf"),
            objectives.tpot_s or float("inf"),
            objectives.e2e_s or float("inf"),
        )
        self._watchers = watchers

    def began(self, request: Request, now_s: float) -> None:
        """A request leaves the queue for the first time."""
        self.prompt_tokens += request.total
        self.read_tokens += request.left
        self.timeline.lifted(now_s, -1)
        if request.number >= self._warm_up:
            self.queue.add(now_s - request.arrival_s)

    def first_token(self, request: Request, now_s: float) -> None:
        """A request has its first token."""
        ttft = now_s + request.lag_s - request.arrival_s
        self.tokens += 1
        self.timeline.first_token(now_s, ttft)
        self.latencies.first_token(now_s, ttft)
        if request.number >= self._warm_up:
            self.ttft.add(ttft)

    def wrote(self, count: int, gap_s: float) -> None:
        """So many tokens were written, each so long after the one before it."""
        if count:
            self.tokens += count
            self.itl.add(gap_s, count)

    def resumed(self, request: Request, now_s: float) -> None:
        """A token came after its request had stepped back."""
        self.wrote(1, now_s - request.last_s)
        self.timeline.wrote(now_s, 1)

    def passed(self, lane: Lane, replica: Replica, writing: int, now_s: float) -> None:
        """A stretch of passes ends."""
        count = lane.length
        start = lane.began_s
        busy = now_s - start
        blocks = replica.blocks
        # Workers that only read hold prompts for a moment: the cache that fills up is that of the others.
        held = 0 if replica.machine.reads_only else blocks.total - blocks.free
        if held > self.held_peak:
            self.held_peak = held
        sequences = writing + len(lane.prompts)
        self.passes += count
        self.steps += writing * count + len(lane.prompts)
        share = 1 if replica.machine.lanes == 1 else 1 / replica.machine.lanes
        self.busy_s += busy * share
        if not replica.machine.reads_only:
            self.sequences_s += sequences * busy
            self.passing_s += busy
        self.held_s += held * busy * share
        # First tokens are told by themselves, and so are those after a step back.
        written = lane.tokens_of(count) * (writing - lane.padding) - len(lane.fresh) if writing else 0
        self.timeline.passed(start, now_s, sequences, held, written, share)
        for watcher in self._watchers:
            watcher.passed(lane, replica, writing, now_s)

    def ended(self, request: Request, now_s: float) -> None:
        """A request ends, one way or another."""
        if request.started_s != request.started_s or request.handed:
            # It waited until the end, for its first pass or for a place among those that decode.
            self.timeline.lifted(now_s, -1)
        if request.state == "finished" and request.tpot_s == request.tpot_s:
            self.latencies.finished(now_s, request.tpot_s)
        if request.number >= self._warm_up:
            self.judged += 1
            # Who gives up while the answer is written was served well or badly until then.
            if request.state in ("finished", "cancelled"):
                tpot, e2e = request.tpot_s, now_s + request.lag_s - request.arrival_s
                if request.state == "finished":
                    self.e2e.add(e2e)
                    if tpot == tpot:
                        self.tpot.add(tpot)
                ttft_limit, tpot_limit, e2e_limit = self._limits
                late = request.first_s + request.lag_s - request.arrival_s > ttft_limit
                if not (late or tpot > tpot_limit or e2e > e2e_limit):
                    self.good += 1
                else:
                    missed = self.missed
                    if late:
                        missed["ttft"] += 1
                    if tpot > tpot_limit:
                        missed["tpot"] += 1
                    if e2e > e2e_limit:
                        missed["e2e"] += 1
        for watcher in self._watchers:
            watcher.ended(request, now_s)
