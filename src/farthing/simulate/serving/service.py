"""The whole service over time: arrivals, routing, passes, hand-overs and people who give up."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from farthing.errors import FarthingError
from farthing.records.serving import STATES, Front, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.replica import Replica
from farthing.simulate.serving.request import Request
from farthing.simulate.serving.router import router
from farthing.simulate.serving.stream import Ask

RETRY_S: Final = 1.0
"""Pause of a user whose request was refused, at least: without one it would come again at the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Replicas and what joins them.

    Attributes
    ----------
    machine, replicas
        That decode (and, without ``reader``, read), and how many there are.
    scheduler
        How they put passes together.
    reader, readers, reading
        Workers that only read prompts, how many, and their scheduler.
    transfer_s
        Handing over the keys and values of a prompt of so many tokens [s]; one at a time from each worker.
    request_s
        Host time between a request's arrival and the queue [s].
    prefix_tokens
        Tokens of a shareable block of a prompt.
    """

    machine: Machine
    replicas: int
    scheduler: Scheduler
    reader: Machine | None = None
    readers: int = 0
    reading: Scheduler | None = None
    transfer_s: Callable[[int], float] = lambda tokens: 0.0
    request_s: float = 0.0
    prefix_tokens: int = 0


@dataclass(slots=True)
class Outcome:
    """Counts of a run; see `farthing.records.serving.ServingResult`.

    ``left_waiting`` are the requests that wait in queues when the last one has come.
    """

    offered: int
    ended: dict[str, int]
    span_s: float
    in_system: float
    in_system_by_little: float
    preemptions: int
    left_waiting: int = 0


class Service:
    """Plays requests against a deployment.

    Parameters
    ----------
    deployment, front
        What serves, and what stands before it.
    measures
        Where it is told.
    users, think_s, until_s
        Of a closed loop: how many, how long each pauses on average [s], and when they stop asking [s];
        without users requests come when they say.
    seed
        Of routing by lot.

    Examples
    --------
    >>> from farthing.records.serving import Objectives
    >>> from farthing.simulate.serving.passes import fixed_times
    >>> machine = Machine(passes=fixed_times(0.01), kv_blocks=1000)
    >>> measures = Measures(Objectives())
    >>> service = Service(Deployment(machine=machine, replicas=1, scheduler=Scheduler()), Front(), measures)
    >>> outcome = service.run(iter([Ask(0.0, 100, 11, 11, 0, ())]))
    >>> outcome.ended["finished"], round(measures.ttft.total, 6), round(measures.e2e.total, 6)
    (1, 0.01, 0.11)
    """

    def __init__(
        self,
        deployment: Deployment,
        front: Front,
        measures: Measures,
        *,
        users: int = 0,
        think_s: float = 0.0,
        until_s: float = math.inf,
        seed: int = 0,
    ) -> None:
        self.deployment = deployment
        self.front = front
        self.measures = measures
        self._users, self._think_s, self._until_s = users, think_s, until_s
        self._thinking = random.Random(seed)
        self.replicas = [
            self._replica(number, deployment.machine, deployment.scheduler)
            for number in range(deployment.replicas)
        ]
        self._decoders = self.replicas
        self._readers: list[Replica] = []
        if deployment.reader is not None:
            scheduler = deployment.reading or deployment.scheduler
            self._readers = [
                self._replica(deployment.replicas + number, deployment.reader, scheduler)
                for number in range(deployment.readers)
            ]
        entrance = self._readers or self._decoders
        self._route = router(front.routing, entrance, seed)
        # Hand-overs go where the fewest wait: the prompt's beginning is of no use there.
        self._route_on = router("least-outstanding", self._decoders, seed)
        self._all = [*self._decoders, *self._readers]
        self._due: list[tuple[float, int]] = []
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._link_free_s = [0.0] * len(self._all)
        self._asks: Iterator[Ask] = iter(())
        self._offered = 0
        self._ended = dict.fromkeys(STATES, 0)
        self._present = 0
        self._left = 0
        self._area = self._sojourns = self._last_s = 0.0

    def _replica(self, number: int, machine: Machine, scheduler: Scheduler) -> Replica:
        return Replica(
            number,
            machine,
            scheduler,
            prefix_tokens=self.deployment.prefix_tokens if scheduler.prefix_caching else 0,
            measures=self.measures,
            ended=self._finish,
            handed=self._hand_over,
        )

    def run(self, asks: Iterator[Ask]) -> Outcome:
        """Play all requests to their ends.

        Raises
        ------
        FarthingError
            Where a rule of the simulation itself is broken: a request that ends twice or never, blocks that
            are lost.
        """
        self._asks = asks
        for user in range(self._users):
            self._send(self._pause_s(), user)
        upcoming = None if self._users else next(asks, None)
        shift = self.deployment.request_s
        replicas, due, events = self._all, self._due, self._events
        infinity = math.inf
        while True:
            arrival = infinity if upcoming is None else upcoming.arrival_s + shift
            while due and replicas[due[0][1]].due_s != due[0][0]:
                heapq.heappop(due)
            passes = due[0][0] if due else infinity
            happens = events[0][0] if events else infinity
            if arrival <= passes and arrival <= happens:
                if upcoming is None:
                    break
                self._arrive(upcoming, upcoming.arrival_s, -1, arrival)
                upcoming = next(asks, None)
                if upcoming is None:
                    self._left = sum(replica.queued for replica in replicas)
            elif happens <= passes:
                _, _, event = heapq.heappop(events)
                event(happens)
            else:
                number = heapq.heappop(due)[1]
                replica = replicas[number]
                replica.run(passes)
                again = replica.due_s
                if again < infinity:
                    heapq.heappush(due, (again, number))
        return self._outcome()

    # Requests -------------------------------------------------------------------------------------------

    def _send(self, time_s: float, user: int) -> None:
        """A user of a closed loop asks, where there is something left to ask and time to do so."""
        ask = next(self._asks, None) if time_s < self._until_s else None
        if ask is None:
            return
        found = ask

        def arrive(now_s: float) -> None:
            self._arrive(found, time_s, user, now_s)

        self._at(time_s + self.deployment.request_s, arrive)

    def _pause_s(self) -> float:
        """How long a user thinks: of even pauses all would stay in step."""
        return self._thinking.expovariate(1 / self._think_s) if self._think_s else 0.0

    def _at(self, time_s: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._order), event))

    def _arrive(self, ask: Ask, arrival_s: float, user: int, now_s: float) -> None:
        """A request reaches the service, its host time later than it was sent."""
        _, prompt, output, written, priority, prefix = ask
        request = Request(self._offered, arrival_s, prompt, output, written, priority, prefix, user)
        self._offered += 1
        self._count(now_s, 1)
        self.measures.timeline.arrived(now_s)
        self.measures.timeline.lifted(now_s, 1)
        front = self.front
        replica = self._route(request)
        if not (
            replica.admission.fits(request)
            and (not self._readers or self._decoders[0].admission.fits(request))
        ):
            self._finish(request, now_s, "too-long")
            return
        if front.queue_limit and replica.queued >= front.queue_limit:
            self._finish(request, now_s, "rejected")
            return
        for wait_s, begun in ((front.queue_timeout_s, False), (front.timeout_s, True)):
            if wait_s:
                give_up = partial(self._give_up, request, begun=begun)
                self._at(max(arrival_s + wait_s, now_s), give_up)
        self._offer(replica, request, now_s)

    def _offer(self, replica: Replica, request: Request, now_s: float) -> None:
        before = replica.due_s
        replica.offer(request, now_s)
        if replica.due_s != before:
            heapq.heappush(self._due, (replica.due_s, replica.number))

    def _give_up(self, request: Request, now_s: float, *, begun: bool) -> None:
        """Somebody waits no longer."""
        if request.state or (not begun and request.started_s == request.started_s):
            return
        replica: Replica | None = request.replica
        if replica is None:
            # On its way from one worker to another.
            self._finish(request, now_s, "timed-out")
            return
        before = replica.due_s
        replica.abandon(request, now_s, "timed-out")
        if replica.due_s != before:
            heapq.heappush(self._due, (replica.due_s, replica.number))

    def _hand_over(self, request: Request, now_s: float) -> None:
        """A prompt has been read: its keys and values go to a worker that decodes."""
        reader: Replica = request.replica
        start = max(now_s, self._link_free_s[reader.number])
        end = start + self.deployment.transfer_s(request.prompt)
        self._link_free_s[reader.number] = end
        request.replica = None

        def arrive(at_s: float) -> None:
            if not request.state:
                request.handed = True
                self.measures.timeline.lifted(at_s, 1)
                # The last token of the prompt is computed there, and starts the answer.
                request.total = request.prompt - 1
                self._offer(self._route_on(request), request, at_s)

        self._at(end, arrive)

    def _finish(self, request: Request, now_s: float, state: str) -> None:
        """A request ends."""
        if request.state:
            raise FarthingError(f"simulation: request {request.number} ended as {request.state} and {state}")
        if state == "finished" and request.written < request.output:
            state = "cancelled"
        request.state = state
        self._ended[state] += 1
        self._count(now_s, -1)
        self._sojourns += now_s - request.arrival_s
        self.measures.ended(request, now_s)
        if request.user >= 0:
            refused = state in ("too-long", "rejected")
            pause_s = max(self._pause_s(), RETRY_S) if refused else self._pause_s()
            self._send(now_s + request.lag_s + pause_s, request.user)

    # Counting -------------------------------------------------------------------------------------------

    def _count(self, now_s: float, change: int) -> None:
        """Requests in the service over time."""
        self._area += self._present * (now_s - self._last_s)
        self._last_s = now_s
        self._present += change

    def _outcome(self) -> Outcome:
        if sum(self._ended.values()) != self._offered or self._present:
            raise FarthingError(f"simulation: {self._present} of {self._offered} requests never ended")
        for replica in self._all:
            if replica.blocks.free != replica.blocks.total:
                lost = replica.blocks.total - replica.blocks.free
                raise FarthingError(f"simulation: {lost} blocks of replica {replica.number} were not freed")
        span = self._last_s
        # Requests are in the service from the moment they were sent, before the host has looked at them.
        area = self._area + self._offered * self.deployment.request_s
        return Outcome(
            offered=self._offered,
            ended={state: count for state, count in self._ended.items() if count},
            span_s=span,
            in_system=area / span if span else 0.0,
            in_system_by_little=self._sojourns / span if span else 0.0,
            preemptions=sum(replica.admission.preemptions for replica in self._all),
            left_waiting=self._left,
        )
