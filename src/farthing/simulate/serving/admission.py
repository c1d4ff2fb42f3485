"""Who is in work on a replica: its queue, what the engine's limits let in, and who steps back for memory."""

from __future__ import annotations

import heapq
import math

from farthing.records.serving import Scheduler
from farthing.simulate.serving.blocks import Blocks
from farthing.simulate.serving.lane import Lane
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.request import Request


class Admission:
    """The queue of a replica, and the rules by which its requests get memory and lose it again.

    Parameters
    ----------
    machine, scheduler
        What the replica runs on, and the engine's limits.
    pool
        Blocks that a request can be given: of the cache, or of a rank's part of it.
    most
        Requests in work at a time, on all lanes.
    measures
        Told of requests that begin.

    Attributes
    ----------
    queued, in_work
        Requests that wait, and that have left the queue and not ended.
    promised
        Blocks that those in work may need beyond what they hold, if all write their whole answers.
    preemptions
        Times that a request had to step back.
    """

    def __init__(
        self, machine: Machine, scheduler: Scheduler, pool: Blocks, most: int, measures: Measures
    ) -> None:
        self.queued = self.in_work = self.promised = self.preemptions = 0
        self._waiting: list[tuple[int, int, Request]] = []
        self._machine = machine
        self._scheduler = scheduler
        self._passes = machine.passes
        self._pool = pool
        self._most = most
        self._measures = measures
        # Drafted tokens that are thrown away need room too.
        self._most_yielded = math.ceil(machine.passes.yielded_tokens)

    @property
    def is_full(self) -> bool:
        """Whether as many are in work as may be."""
        return self.in_work >= self._most

    def fits(self, request: Request) -> bool:
        """Whether the cache could ever hold a request, and a pass its prompt."""
        scheduler = self._scheduler
        if not scheduler.chunks and not scheduler.holds_batch and request.prompt > scheduler.token_budget:
            return False
        tokens = request.prompt
        if not self._machine.reads_only:
            tokens += request.output + self._most_yielded - 1
        room = self._pool.total // scheduler.max_sequences if scheduler.slots else self._pool.total
        return self._pool.needed(tokens) <= room

    # The queue ------------------------------------------------------------------------------------------

    def enqueue(self, request: Request) -> None:
        """A request waits, behind those that are as urgent and came before."""
        heapq.heappush(self._waiting, (request.priority, request.number, request))
        self.queued += 1

    def head(self) -> Request | None:
        """The request whose turn it is; those that were given up are skipped."""
        waiting = self._waiting
        while waiting and waiting[0][2].state:
            heapq.heappop(waiting)
        return waiting[0][2] if waiting else None

    def full_s(self, now_s: float) -> float:
        """When a static batch of those that wait begins, if nobody else comes [s]."""
        scheduler = self._scheduler
        if self.queued >= scheduler.max_sequences:
            return now_s
        first_s = min(request.arrival_s for _, _, request in self._waiting if not request.state)
        return max(first_s + scheduler.batch_wait_s, now_s)

    # Memory ---------------------------------------------------------------------------------------------

    def make_room(self, lane: Lane) -> bool:
        """Step back where the next pass finds no block for a token; whether somebody did."""
        before = self.preemptions
        while lane.sequences > lane.padding and lane.blocks_of(lane.tokens_of(1)) > lane.blocks.free:
            self._step_back(self._victim(lane), lane)
        return self.preemptions > before

    def _step_back(self, victim: Request, lane: Lane) -> None:
        tokens = lane.cached(victim)
        lane.leave(victim)
        self.release(victim, lane, tokens)
        if victim in lane.fresh:
            lane.fresh.remove(victim)
        elif victim.last_s > lane.wrote_s:
            lane.recent.remove(victim.last_s)
        else:
            victim.last_s = lane.wrote_s
        victim.swapped = self._scheduler.preemption == "swap"
        # Recomputed, the pass that reads its last token writes the next one; brought back, it decodes.
        victim.total = victim.left = tokens if victim.swapped else victim.prompt + victim.done
        victim.preempted += 1
        self.preemptions += 1
        self.enqueue(victim)

    def _victim(self, lane: Lane) -> Request:
        """The least urgent request, and of those the one that came last."""
        # Those who have their answers, and wait for a static batch, have nothing to come back for.
        writing = (request for request in lane.members if request.ends >= 0)
        return max(writing, key=lambda request: (request.priority, request.number))

    def release(self, request: Request, lane: Lane, tokens: int) -> None:
        """A request with so many tokens in the cache is no longer in work."""
        self.in_work -= 1
        self.promised -= self._final(request) - lane.blocks.needed(tokens)
        lane.blocks.release(request, tokens)
        request.lane = None

    def _final(self, request: Request) -> int:
        """Blocks that a request needs at the end of its answer."""
        return self._pool.needed(request.prompt + (0 if self._machine.reads_only else request.output))

    # Admission ------------------------------------------------------------------------------------------

    def admit(self, lane: Lane, now_s: float, room: int) -> float:
        """Take up to so many requests from the queue, while limits allow; time of moving their blocks [s]."""
        scheduler = self._scheduler
        budget = scheduler.token_budget
        for request in lane.prompts:
            budget -= request.left
        # Where prompts go first, those that decode are not in the pass that reads.
        decoding = self._passes.pass_tokens if scheduler.mixes else 0
        budget -= lane.sequences * decoding
        room = min(room, self._most - self.in_work)
        # What those that decode will need in the next pass is not to be had.
        growth = lane.blocks_of(lane.tokens_of(1)) if lane.sequences else 0
        extra_s = 0.0
        while room > 0 and (budget > 0 or scheduler.holds_batch) and (head := self.head()) is not None:
            brought = head.handed or head.swapped
            if not (scheduler.chunks or scheduler.holds_batch or brought or head.total <= budget):
                alone = not (lane.sequences or lane.prompts)
                if not alone and lane.blocks.unread(head) > budget:
                    break
            ahead = self._ahead(head) if brought else 0
            if not self._take(head, lane, growth + ahead):
                break
            self._begin(head, lane, now_s)
            room -= 1
            if brought:
                if head.swapped:
                    extra_s += self._machine.swap_s_per_block * lane.blocks.needed(head.total)
                head.swapped = head.handed = False
                lane.join(head, head.total)
                lane.fresh.append(head)
                budget -= decoding
                growth += ahead
            else:
                lane.prompts.append(head)
                budget -= head.left
        return extra_s

    def _ahead(self, request: Request) -> int:
        """Blocks beyond those of its tokens that a decoding request needs in a pass."""
        needed = self._pool.needed
        return needed(request.total + self._most_yielded) - needed(request.total)

    def _take(self, request: Request, lane: Lane, spare: float) -> bool:
        """Give a request its blocks, where the engine would."""
        share = self._scheduler.reserved_share
        if share:
            own = self._final(request) - lane.blocks.needed(request.total)
            spare = max(spare, share * (self.promised + own))
        return lane.blocks.take(request, spare)

    def _begin(self, request: Request, lane: Lane, now_s: float) -> None:
        """A request leaves the queue for a lane."""
        heapq.heappop(self._waiting)
        self.queued -= 1
        self.in_work += 1
        self.promised += self._final(request) - lane.blocks.needed(request.total)
        request.lane = lane
        if request.started_s != request.started_s:
            request.started_s = now_s
            self._measures.began(request, now_s)
        elif request.handed:
            self._measures.timeline.lifted(now_s, -1)
