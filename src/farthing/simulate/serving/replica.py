"""One replica: its queue, its cache and its batches in flight, scheduled pass by pass as the engine does."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from farthing.records.serving import Scheduler
from farthing.simulate.serving.blocks import Blocks
from farthing.simulate.serving.lane import Lane
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import PassTimes
from farthing.simulate.serving.request import Request

STRETCH: Final = 1 << 30
SHARED_STRETCH: Final = 8
"""Passes of a stretch, at most; where several batches share stages and memory they look up more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a replica runs on.

    Attributes
    ----------
    passes
        How long passes take.
    kv_blocks
        Of its cache.
    lanes
        Batches in flight: in its pipeline, or one on each of the ranks that share experts.
    lockstep
        Whether these begin and end their passes together: ranks that share experts wait for the slowest.
    swap_s_per_block
        Moving a block to the host's memory and back [s].
    reads_only
        It hands prompts over to workers that decode.
    """

    passes: PassTimes
    kv_blocks: int
    lanes: int = 1
    lockstep: bool = False
    swap_s_per_block: float = 0.0
    reads_only: bool = False


class Replica:
    """A queue, a cache and lanes; the service tells it when time has come to an end of a pass.

    Parameters
    ----------
    number
        Among the replicas.
    machine, scheduler
        What it runs on, and how passes are put together.
    prefix_tokens
        Tokens of a shareable block of a prompt; 0 where beginnings are not shared.
    measures
        Where it reports passes and tokens.
    ended, handed
        Called with a request that ends, and with one whose prompt is read for another worker, and the time.
    """

    def __init__(
        self,
        number: int,
        machine: Machine,
        scheduler: Scheduler,
        *,
        prefix_tokens: int,
        measures: Measures,
        ended: Callable[[Request, float, str], None],
        handed: Callable[[Request, float], None],
    ) -> None:
        self.number = number
        self.machine = machine
        self.scheduler = scheduler
        self.passes = machine.passes
        self.blocks = Blocks(machine.kv_blocks, scheduler.block_tokens, prefix_tokens)
        self.lanes = [
            Lane(scheduler.block_tokens, machine.passes.yielded_tokens) for _ in range(machine.lanes)
        ]
        self.waiting: list[tuple[int, int, Request]] = []
        self.queued = 0
        self.in_work = 0
        self.preemptions = 0
        self.pledged = 0
        self._measures = measures
        self._ended = ended
        self._handed = handed
        self._wake_s = math.inf
        self._one_lane = machine.lanes == 1
        self._lockstep = machine.lockstep and machine.lanes > 1
        # Stages hold the cache of all batches in flight; ranks each have their own.
        self._caches = machine.lanes if self._lockstep else 1
        self._most = scheduler.max_sequences * self._caches

    @property
    def outstanding(self) -> int:
        """Requests that it has not answered."""
        return self.queued + self.in_work

    @property
    def due_s(self) -> float:
        """When it next does something [s]."""
        if self._one_lane:
            end = self.lanes[0].end_s
            return end if end < self._wake_s else self._wake_s
        return min(min(lane.end_s for lane in self.lanes), self._wake_s)

    def fits(self, request: Request) -> bool:
        """Whether the cache could ever hold it, and a pass its prompt."""
        scheduler = self.scheduler
        tokens = request.prompt + (0 if self.machine.reads_only else request.output)
        room = self.blocks.total // self._caches
        if scheduler.slots:
            room //= scheduler.max_sequences
        if not scheduler.chunks and not scheduler.holds_batch and request.prompt > scheduler.token_budget:
            return False
        return self.blocks.needed(tokens) <= room

    def offer(self, request: Request, now_s: float) -> None:
        """A request joins the queue."""
        request.replica = self
        heapq.heappush(self.waiting, (request.priority, request.number, request))
        self.queued += 1
        if self._head() is request or not self._one_lane or self.scheduler.holds_batch:
            self._look_up(now_s)

    def abandon(self, request: Request, now_s: float, state: str) -> None:
        """A request is given up, wherever it is; one in a pass leaves at the end of it."""
        if request.state:
            return
        if request.lane is None:
            # Its entry in the queue is skipped when its turn comes.
            self.queued -= 1
            self._ended(request, now_s, state)
        else:
            request.state = state
            request.lane.leaving.append(request)
            self._cut(request.lane, now_s)

    def run(self, now_s: float) -> None:
        """Finish what ends now, and start what comes next."""
        if now_s >= self._wake_s:
            self._wake_s = math.inf
        if self._lockstep:
            self._run_together(now_s)
            return
        for lane in self.lanes:
            if lane.end_s <= now_s:
                self._finish(lane, now_s)
                self._start(lane, now_s)
            elif lane.end_s == math.inf:
                self._start(lane, now_s)

    def _run_together(self, now_s: float) -> None:
        """All ranks finish, and start passes that take as long as the slowest of them."""
        if any(now_s < lane.end_s < math.inf for lane in self.lanes):
            return
        for lane in self.lanes:
            if lane.end_s <= now_s:
                self._finish(lane, now_s)
        for lane in self.lanes:
            self._start(lane, now_s)
        busy = [lane for lane in self.lanes if lane.end_s < math.inf]
        if not busy:
            return
        length = min(lane.length for lane in busy)
        first = max(lane.first_s for lane in busy)
        growth = max(lane.growth_s for lane in busy) if length > 1 else 0.0
        for lane in busy:
            self._shorten(lane, length)
            lane.first_s, lane.growth_s = first, growth
            lane.end_s = now_s + lane.time_s(length)

    def _head(self) -> Request | None:
        """The request whose turn it is; those that were given up are skipped."""
        waiting = self.waiting
        while waiting and waiting[0][2].state:
            heapq.heappop(waiting)
        return waiting[0][2] if waiting else None

    # Looking up -----------------------------------------------------------------------------------------

    def _look_up(self, now_s: float) -> None:
        """The head of the queue has changed: idle lanes start, busy ones end with the pass under way."""
        busy = self._lockstep and any(lane.end_s < math.inf for lane in self.lanes)
        for lane in self.lanes:
            if lane.end_s == math.inf:
                if not busy:
                    self._wake_s = min(self._wake_s, now_s)
            elif self.in_work < self._most and not self.scheduler.holds_batch:
                self._cut(lane, now_s)

    def _cut(self, lane: Lane, now_s: float) -> None:
        """End a stretch with the pass under way, or where the engine next looks at its queue."""
        if lane.length <= 1:
            return
        done = lane.passes_done(now_s - lane.began_s) + 1
        done = min(done + -(lane.unseen + done) % self.scheduler.poll_steps, lane.length)
        if done < lane.length:
            self._shorten(lane, done)
            lane.end_s = lane.began_s + lane.time_s(done)

    def _shorten(self, lane: Lane, passes: int) -> None:
        """A stretch gets fewer passes, and gives back the blocks of the others."""
        if passes < lane.length:
            held = lane.blocks_of(lane.tokens_of(passes)) if lane.held else 0
            self.blocks.free += lane.held - held
            lane.held, lane.length = held, passes

    # The end of a pass ----------------------------------------------------------------------------------

    def _finish(self, lane: Lane, now_s: float) -> None:
        measures, count = self._measures, lane.length
        writing = lane.sequences if lane.writes else 0
        measures.passed(lane, self, writing, now_s)
        if writing:
            tokens = lane.advance(count)
            writing -= lane.padding
            self.pledged -= tokens * writing
            each_s = (now_s - lane.began_s) / tokens
            measures.wrote(writing - len(lane.fresh), tokens, each_s)
            if lane.fresh:
                # Their first tokens are counted as such.
                measures.wrote(len(lane.fresh), tokens - 1, each_s)
                for request in lane.fresh:
                    request.first_s = request.last_s = now_s
                    request.lag_s = self.scheduler.stream_s * self.in_work
                    measures.first_token(request, now_s)
                lane.fresh.clear()
            finished = lane.finished()
            if finished:
                self._write_out(lane, finished, now_s)
        lane.unseen += count
        if lane.reading:
            # Engines that look up rarely while they write do so after every pass that reads.
            lane.unseen = 0
            self._read(lane, now_s)
        if lane.leaving:
            for request in lane.leaving:
                if request.lane is lane:
                    self._drop(lane, request, now_s, request.state)
            lane.leaving.clear()
        lane.end_s = math.inf
        lane.held = 0

    def _write_out(self, lane: Lane, finished: list[Request], now_s: float) -> None:
        """Answers are complete; in a static batch their places stay taken until the longest is."""
        if not self.scheduler.holds_batch:
            for request in finished:
                if not request.state:
                    self._drop(lane, request, now_s, "finished")
            return
        for request in finished:
            request.last_s = now_s
            request.done = request.written
            self.pledged -= request.output - request.written
            request.ends = -1
            lane.padding += 1
            if not request.state:
                self._ended(request, now_s, "finished")
        self._release(lane)

    def _release(self, lane: Lane) -> None:
        """A static batch leaves when nobody in it writes any longer."""
        if lane.is_written:
            lane.padding = 0
            for request in list(lane.members):
                own = self._own_blocks(lane, request)
                lane.leave(request)
                self._free(request, own)

    def _read(self, lane: Lane, now_s: float) -> None:
        """Parts of prompts are in the cache; those that are complete have their first token."""
        remaining = []
        for request, taken in zip(lane.prompts, lane.taken, strict=True):
            request.left -= taken
            if request.left:
                remaining.append(request)
                continue
            if self.machine.reads_only:
                self._free(request, request.blocks)
                self._handed(request, now_s)
                continue
            if request.done:
                self._measures.resumed(now_s - request.last_s)
            else:
                request.first_s = now_s
                request.lag_s = self.scheduler.stream_s * self.in_work
                self._measures.first_token(request, now_s)
            request.done += 1
            self.pledged -= 1
            request.last_s = now_s
            if request.done >= request.written:
                self.pledged -= request.output - request.done
                self._free(request, request.blocks)
                self._ended(request, now_s, "finished")
            else:
                lane.join(request, request.total)
        lane.prompts = remaining

    def _drop(self, lane: Lane, request: Request, now_s: float, state: str) -> None:
        """A request in work ends."""
        own = request.blocks
        if request in lane.members:
            own = self._own_blocks(lane, request)
            lane.leave(request)
            self.pledged -= request.output - request.done
            if request.done > request.written:
                # Drafted tokens beyond the end of the answer are thrown away.
                self._measures.tokens -= request.done - request.written
                request.done = request.written
            request.last_s = now_s
        elif request in lane.prompts:
            lane.prompts.remove(request)
            self.pledged -= request.output - request.done
        request.state = ""
        self._free(request, own)
        self._ended(request, now_s, state)

    def _free(self, request: Request, own: int) -> None:
        """A request is no longer in work."""
        self.in_work -= 1
        self.blocks.release(request, own)
        request.lane = None

    def _own_blocks(self, lane: Lane, request: Request) -> int:
        """Blocks of a decoding request that it shares with none."""
        grown = self.blocks.needed(lane.cached(request)) - self.blocks.needed(request.base)
        return request.blocks + grown

    # The start of a pass --------------------------------------------------------------------------------

    def _start(self, lane: Lane, now_s: float) -> None:
        scheduler, passes = self.scheduler, self.passes
        if lane.sequences:
            self._make_room(lane, now_s)
        extra_s = 0.0
        if self.queued and (lane.unseen % scheduler.poll_steps == 0 or not lane.sequences):
            extra_s = self._admit(lane, now_s)
        sequences = lane.sequences
        if lane.prompts:
            lane.writes = sequences > 0 and (scheduler.mixes or bool(lane.fresh))
            self._start_reading(lane, now_s, extra_s)
        elif sequences:
            lane.writes, lane.reading = True, 0
            first, slope = passes.decode_s(sequences, lane.context)
            lane.began_s = now_s
            lane.first_s = first + extra_s
            lane.growth_s = slope * sequences * passes.yielded_tokens
            most = lane.passes_of(lane.steps_to_finish())
            if lane.fresh or extra_s:
                most = 1
            elif not (self._one_lane or self._lockstep):
                most = min(most, SHARED_STRETCH)
            if self.queued and scheduler.poll_steps > 1:
                most = min(most, -lane.unseen % scheduler.poll_steps or scheduler.poll_steps)
            if most > 1:
                room = lane.tokens_within(self.blocks.free, lane.tokens_of(most))
                while most > 1 and lane.tokens_of(most) > room:
                    most = max(1, min(most - 1, lane.passes_of(room)))
            lane.length = most
            lane.held = lane.blocks_of(lane.tokens_of(most))
            self.blocks.grow(lane.held)
            self._pace(lane)
            lane.end_s = now_s + lane.time_s(most)
        else:
            lane.end_s = math.inf
            lane.length = 0

    def _start_reading(self, lane: Lane, now_s: float, extra_s: float) -> None:
        """A pass that reads parts of prompts."""
        scheduler, passes = self.scheduler, self.passes
        sequences = lane.sequences if lane.writes else 0
        budget = scheduler.token_budget - sequences * passes.pass_tokens
        if scheduler.holds_batch:
            # All prompts are padded to the longest.
            longest = max(request.left for request in lane.prompts)
            lane.taken = [request.left for request in lane.prompts]
            new = longest * len(lane.prompts)
            attention = len(lane.prompts) * passes.prompt_attention_s(longest, 0)
        else:
            taken, new, attention = [], 0, 0.0
            for request in lane.prompts:
                part = min(request.left, budget - new)
                if not scheduler.chunks:
                    part = request.left
                if part > 0:
                    new += part
                    attention += passes.prompt_attention_s(part, request.total - request.left)
                else:
                    part = 0
                taken.append(part)
            lane.taken = taken
        lane.reading = new
        lane.began_s, lane.length, lane.growth_s = now_s, 1, 0.0
        if sequences:
            lane.held = lane.blocks_of(lane.tokens_of(1))
            self.blocks.grow(lane.held)
        lane.first_s = extra_s + passes.mixed_s(sequences, lane.context, new, attention)
        self._pace(lane)
        lane.end_s = now_s + lane.first_s

    def _pace(self, lane: Lane) -> None:
        """A batch comes round when it is through all stages, and when the slowest has served the others."""
        if not (self._one_lane or self._lockstep):
            lane.slowest_s = lane.first_s * self.passes.slowest_share
            turn = sum(other.slowest_s for other in self.lanes if other.end_s < math.inf or other is lane)
            lane.first_s = max(lane.first_s, turn)

    # Memory ---------------------------------------------------------------------------------------------

    def _make_room(self, lane: Lane, now_s: float) -> None:
        """Step back where the next pass finds no block for a token."""
        while lane.sequences and lane.blocks_of(lane.tokens_of(1)) > self.blocks.free:
            victim = self._victim(lane)
            own = self._own_blocks(lane, victim)
            lane.leave(victim)
            self.pledged -= victim.output - victim.done
            if victim in lane.fresh:
                lane.fresh.remove(victim)
            else:
                victim.last_s = now_s
            self._free(victim, own)
            victim.total = victim.left = victim.prompt + victim.done
            victim.swapped = self.scheduler.preemption == "swap"
            self.preemptions += 1
            victim.preempted += 1
            heapq.heappush(self.waiting, (victim.priority, victim.number, victim))
            self.queued += 1
            if lane.padding:
                self._release(lane)

    def _victim(self, lane: Lane) -> Request:
        """The least urgent request, and of those the one that came last."""
        # Who has the whole answer, and waits for a static batch, has nothing left to step back from.
        writing = (request for request in lane.members if request.ends >= 0)
        return max(writing, key=lambda request: (request.priority, request.number))

    def _admit(self, lane: Lane, now_s: float) -> float:
        """Take requests from the queue while the engine's limits allow; time that moving blocks takes [s]."""
        scheduler, blocks = self.scheduler, self.blocks
        if scheduler.holds_batch:
            self._admit_batch(lane, now_s)
            return 0.0
        budget = scheduler.token_budget
        for request in lane.prompts:
            budget -= request.left
        if scheduler.mixes:
            budget -= lane.sequences * self.passes.pass_tokens
        extra = 0.0
        room = self._most - self.in_work
        if not self._one_lane:
            # Batches in flight get even shares.
            own = lane.sequences + len(lane.prompts)
            share = min(-(-self.outstanding // len(self.lanes)), scheduler.max_sequences)
            room = min(room, share - own)
        # What those that decode will need in this pass is not to be had.
        growth = lane.blocks_of(lane.tokens_of(1)) if lane.sequences else 0
        blocks.free -= growth
        while room > 0 and budget > 0 and (head := self._head()) is not None:
            if not scheduler.chunks and head.left > budget and (lane.sequences or lane.prompts):
                break
            if not self._take(head):
                break
            self._begin(head, lane, now_s)
            room -= 1
            if head.handed or head.swapped:
                # Keys and values are there: the next pass writes.
                if head.swapped:
                    extra += self.machine.swap_s_per_block * blocks.needed(head.total)
                    self._measures.resumed(now_s - head.last_s)
                    head.done += 1
                    self.pledged -= 1
                    head.total += 1
                else:
                    lane.fresh.append(head)
                head.swapped = head.handed = False
                lane.join(head, head.total)
                budget -= self.passes.pass_tokens
                growth += 1
                blocks.free -= 1
            else:
                lane.prompts.append(head)
                budget -= head.left
        blocks.free += growth
        return extra

    def _take(self, request: Request) -> bool:
        """Give a request its blocks, where the engine would."""
        scheduler, blocks = self.scheduler, self.blocks
        if scheduler.reserved_share and self.in_work:
            tokens = self.pledged + request.output - request.done
            pledged = scheduler.reserved_share * (tokens / scheduler.block_tokens + self.in_work + 1)
            if pledged + blocks.needed(request.total) > blocks.free:
                return False
        return blocks.take(request)

    def _begin(self, request: Request, lane: Lane, now_s: float) -> None:
        """A request leaves the queue for a lane."""
        heapq.heappop(self.waiting)
        self.queued -= 1
        self.in_work += 1
        self.pledged += request.output - request.done
        request.lane = lane
        if request.started_s != request.started_s:
            request.started_s = now_s
            self._measures.began(request, now_s)

    def _admit_batch(self, lane: Lane, now_s: float) -> None:
        """Static batching: a new batch when the last one is through, and full, or has waited long enough."""
        scheduler = self.scheduler
        head = self._head()
        if lane.sequences or lane.prompts or head is None:
            return
        if self.queued < scheduler.max_sequences and scheduler.batch_wait_s:
            ready = head.arrival_s + scheduler.batch_wait_s
            if ready > now_s:
                self._wake_s = min(self._wake_s, ready)
                return
        while len(lane.prompts) < scheduler.max_sequences and (head := self._head()) is not None:
            if not self._take(head):
                break
            self._begin(head, lane, now_s)
            lane.prompts.append(head)
