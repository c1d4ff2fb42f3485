"""One replica over time: when passes begin and end, what they do, and when it looks at its queue."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from farthing.records.serving import Scheduler
from farthing.simulate.serving.admission import Admission
from farthing.simulate.serving.blocks import Blocks, Pools
from farthing.simulate.serving.lane import Lane
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.request import Request

SHARED_STRETCH: Final = 8
"""Passes of a stretch, at most; where several batches share stages and memory they look up more often."""


class Replica:
    """A queue, a cache and lanes; the service tells it when time has come to an end of a pass.

    Parameters
    ----------
    number
        Among the replicas.
    machine, scheduler
        What it runs on, and how passes are put together.
    prefix_tokens
        Tokens that an id of a request's prefix stands for; 0 where beginnings are not shared.
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
        self._one_lane = machine.lanes == 1
        self._drafts = machine.passes.yielded_tokens > 1
        self._lockstep = machine.lockstep and machine.lanes > 1
        # Stages hold the cache of all batches in flight; ranks each have their own.
        caches = machine.lanes if self._lockstep else 1
        pools = [
            Blocks(machine.kv_blocks // caches, scheduler.block_tokens, prefix_tokens) for _ in range(caches)
        ]
        self.blocks: Blocks | Pools = pools[0] if caches == 1 else Pools(pools)
        self.lanes = [
            Lane(pools[lane % caches], machine.passes.yielded_tokens) for lane in range(machine.lanes)
        ]
        self.admission = Admission(machine, scheduler, pools[0], scheduler.max_sequences * caches, measures)
        self._measures = measures
        self._ended = ended
        self._handed = handed
        self._wake_s = math.inf

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return self.admission.queued

    @property
    def in_work(self) -> int:
        """Requests that are read or written."""
        return self.admission.in_work

    @property
    def outstanding(self) -> int:
        """Requests that it has not answered."""
        return self.admission.queued + self.admission.in_work

    @property
    def due_s(self) -> float:
        """When it next does something [s]."""
        if self._one_lane:
            end = self.lanes[0].end_s
            return end if end < self._wake_s else self._wake_s
        return min(min(lane.end_s for lane in self.lanes), self._wake_s)

    # What comes from outside ----------------------------------------------------------------------------

    def offer(self, request: Request, now_s: float) -> None:
        """A request joins the queue."""
        request.replica = self
        self.admission.enqueue(request)
        if not self._one_lane or self.scheduler.holds_batch or self.admission.head() is request:
            self._look_up(now_s)

    def abandon(self, request: Request, now_s: float, state: str) -> None:
        """A request is given up, wherever it is; one in a pass leaves at the end of it."""
        if request.state:
            return
        if request.lane is None:
            # Its entry in the queue is skipped when its turn comes; who stood behind it may find room now.
            was_head = self.admission.head() is request
            self.admission.queued -= 1
            self._ended(request, now_s, state)
            if was_head and self.admission.queued:
                self._look_up(now_s)
        else:
            request.state = state
            request.lane.leaving.append(request)
            self._cut(request.lane, now_s)

    def _look_up(self, now_s: float) -> None:
        """The head of the queue has changed: idle lanes start, busy ones end with the pass under way."""
        if self._one_lane:
            lane = self.lanes[0]
            if lane.end_s == math.inf:
                self._wake_s = now_s
            elif not (self.admission.is_full or self.scheduler.holds_batch):
                self._cut(lane, now_s)
            return
        idle = [lane for lane in self.lanes if lane.end_s == math.inf]
        if idle and not (self._lockstep and len(idle) < len(self.lanes)):
            self._wake_s = min(self._wake_s, now_s)
        if self.admission.is_full or (self.scheduler.holds_batch and not (self._lockstep and idle)):
            return
        for lane in self.lanes:
            if lane.end_s < math.inf:
                self._cut(lane, now_s)

    def _cut(self, lane: Lane, now_s: float) -> None:
        """End a stretch with the pass under way."""
        if lane.length <= 1:
            return
        done = lane.passes_done(now_s - lane.began_s) + 1
        if done < lane.length:
            # Ranks keep in step.
            for one in self.lanes if self._lockstep else (lane,):
                if done < one.length and one.end_s < math.inf:
                    one.shorten(done)
                    one.end_s = max(one.began_s + one.time_s(done), now_s)

    def run(self, now_s: float) -> None:
        """Finish what ends now, and start what comes next."""
        if now_s >= self._wake_s:
            self._wake_s = math.inf
        if self._one_lane:
            lane = self.lanes[0]
            if lane.end_s <= now_s:
                self._finish(lane, now_s)
            if lane.end_s == math.inf:
                self._start(lane, now_s)
            return
        if self._lockstep and any(now_s < lane.end_s < math.inf for lane in self.lanes):
            return
        for lane in self.lanes:
            if lane.end_s <= now_s:
                self._finish(lane, now_s)
        for lane in self.lanes:
            if lane.end_s == math.inf:
                self._start(lane, now_s)
        if self._lockstep:
            self._keep_step(now_s)

    def _keep_step(self, now_s: float) -> None:
        """All ranks' passes take as long as the slowest of them."""
        busy = [lane for lane in self.lanes if lane.end_s < math.inf]
        if not busy:
            return
        length = min(lane.length for lane in busy)
        first = max(lane.first_s for lane in busy)
        growth = max(lane.growth_s for lane in busy) if length > 1 else 0.0
        for lane in busy:
            lane.shorten(length)
            lane.first_s, lane.growth_s = first, growth
            lane.end_s = now_s + lane.time_s(length)

    # The end of a pass ----------------------------------------------------------------------------------

    def _finish(self, lane: Lane, now_s: float) -> None:
        writes = lane.writes
        self._measures.passed(lane, self, lane.sequences if writes else 0, now_s)
        lane.unseen += lane.length
        finished = self._write(lane, now_s) if writes else []
        if lane.reading:
            # Engines that look up rarely while they write do so after every pass that reads.
            lane.unseen = 0
            self._read(lane, now_s)
        if finished or lane.leaving:
            self._release(lane, finished, now_s)
        lane.end_s = math.inf
        lane.held = lane.length = 0

    def _write(self, lane: Lane, now_s: float) -> list[Request]:
        """Each sequence has its tokens; those whose answers are complete."""
        measures = self._measures
        tokens = lane.advance(lane.length)
        self.admission.promised -= lane.held
        # Only now is it known for how many passes the stretch has gone on.
        lane.blocks.settle()
        finished = lane.finished()
        each_s = (now_s - lane.began_s) / tokens
        live = lane.sequences - lane.padding
        rest = live * (tokens - 1)
        if finished and self._drafts:
            # Drafted tokens beyond the end of an answer are thrown away.
            beyond = sum(lane.steps - request.ends for request in finished)
            measures.timeline.wrote(now_s, -beyond)
            rest -= beyond
        if lane.fresh:
            live -= len(lane.fresh)
            for request in lane.fresh:
                if request.first_s == request.first_s:
                    measures.resumed(request, now_s)
                else:
                    request.first_s = now_s
                    request.lag_s = self.scheduler.stream_s * self.in_work
                    measures.first_token(request, now_s)
                request.last_s = now_s
            lane.fresh.clear()
        paused_s = lane.began_s - lane.wrote_s
        if lane.recent:
            # These have waited since they joined, the others since the last pass that wrote.
            for joined_s in lane.recent:
                measures.wrote(1, lane.began_s - joined_s + each_s)
            live -= len(lane.recent)
            lane.recent.clear()
        if paused_s > 0:
            measures.wrote(live, paused_s + each_s)
            measures.wrote(rest, each_s)
        else:
            measures.wrote(live + rest, each_s)
        lane.wrote_s = now_s
        return finished

    def _read(self, lane: Lane, now_s: float) -> None:
        """Parts of prompts are in the cache; those that are complete have their first token."""
        remaining = []
        for request, taken in zip(lane.prompts, lane.taken, strict=True):
            request.left -= taken
            if request.left or request.state:
                remaining.append(request)
                continue
            if self.machine.reads_only:
                self.admission.release(request, lane, request.total)
                self._handed(request, now_s)
                continue
            if request.done:
                self._measures.resumed(request, now_s)
            else:
                request.first_s = now_s
                request.lag_s = self.scheduler.stream_s * self.in_work
                self._measures.first_token(request, now_s)
            request.done += 1
            request.last_s = now_s
            if request.done >= request.written:
                self.admission.release(request, lane, request.total)
                self._ended(request, now_s, "finished")
            else:
                lane.join(request, request.total)
                if now_s > lane.wrote_s:
                    lane.recent.append(now_s)
        lane.prompts = remaining

    def _release(self, lane: Lane, finished: list[Request], now_s: float) -> None:
        """Requests end: their answers are complete, or they were given up."""
        for request in finished:
            # Who was given up in the last pass has not waited for its end.
            if not request.state:
                self._end(lane, request, now_s, "finished")
        for request in lane.leaving:
            state, request.state = request.state, ""
            self._end(lane, request, now_s, state)
        lane.leaving.clear()
        if lane.padding == lane.sequences:
            self._clear(lane)

    def _end(self, lane: Lane, request: Request, now_s: float, state: str) -> None:
        """A request in work ends; in a static batch its place stays taken until the longest is written."""
        if request.ends < 0:
            lane.prompts.remove(request)
            self.admission.release(request, lane, request.total)
        else:
            if request in lane.fresh:
                lane.fresh.remove(request)
            elif request.last_s > lane.wrote_s:
                lane.recent.remove(request.last_s)
            else:
                request.last_s = lane.wrote_s
            if self.scheduler.holds_batch:
                lane.pad(request)
            else:
                tokens = lane.cached(request)
                lane.leave(request)
                self.admission.release(request, lane, tokens)
        self._ended(request, now_s, state)

    def _clear(self, lane: Lane) -> None:
        """A static batch whose answers are all written leaves."""
        for request in list(lane.members):
            tokens = lane.cached(request)
            lane.leave(request)
            self.admission.release(request, lane, tokens)

    # The start of a pass --------------------------------------------------------------------------------

    def _start(self, lane: Lane, now_s: float) -> None:
        scheduler = self.scheduler
        stepped_back = False
        # Where prompts go first, those that decode need no room while one is read.
        writes = lane.sequences and (scheduler.mixes or not lane.prompts)
        if writes and lane.blocks_of(lane.tokens_of(1)) > lane.blocks.free:
            stepped_back = self._make_room(lane, now_s)
        extra_s = 0.0
        if self.admission.queued and not (stepped_back and lane.sequences):
            extra_s = self._admit(lane, now_s)
        lane.writes = lane.sequences > 0 and (scheduler.mixes or not lane.prompts)
        if lane.prompts:
            self._read_next(lane, now_s, extra_s)
        elif lane.sequences:
            self._write_next(lane, now_s, extra_s, once=stepped_back)

    def _make_room(self, lane: Lane, now_s: float) -> bool:
        """Blocks for the tokens of the next pass; whether a request had to step back for them."""
        if not (self._one_lane or self._lockstep):
            # Other batches need theirs for the pass under way alone.
            for other in self.lanes:
                if other.end_s < math.inf:
                    self._cut(other, now_s)
        stepped_back = self.admission.make_room(lane)
        if lane.padding == lane.sequences:
            self._clear(lane)
        return stepped_back

    def _admit(self, lane: Lane, now_s: float) -> float:
        """Let requests in where the engine looks at its queue; time that moving their blocks takes [s]."""
        scheduler, admission = self.scheduler, self.admission
        own = lane.sequences + len(lane.prompts)
        room = scheduler.max_sequences
        if scheduler.holds_batch:
            # A new batch when the last one is through.
            if own:
                return 0.0
            ready_s = admission.full_s(now_s)
            if ready_s > now_s:
                self._wake_s = min(self._wake_s, ready_s)
                return 0.0
        elif lane.sequences and lane.unseen % scheduler.poll_steps:
            return 0.0
        if not self._one_lane:
            # Batches in flight get even shares.
            room = min(-(-self.outstanding // len(self.lanes)), room) - own
        return admission.admit(lane, now_s, room)

    def _write_next(self, lane: Lane, now_s: float, extra_s: float, *, once: bool) -> None:
        """A stretch of passes that only write, or one where the next differs."""
        poll, blocks = self.scheduler.poll_steps, lane.blocks
        first, slope = self.passes.decode_s(lane.sequences, lane.context)
        lane.reading = 0
        lane.began_s = now_s
        lane.first_s = first + extra_s
        lane.growth_s = slope * lane.sequences * self.passes.yielded_tokens
        most = lane.passes_of(min(lane.steps_to_finish(), lane.steps_alike()))
        if once or lane.fresh:
            most = 1
        elif not (self._one_lane or self._lockstep):
            most = min(most, SHARED_STRETCH)
        if poll > 1 and self.admission.queued:
            most = min(most, -lane.unseen % poll or poll)
        held = lane.blocks_of(lane.tokens_of(most))
        if held > blocks.free:
            room = lane.tokens_within(blocks.free, lane.tokens_of(most))
            while most > 1 and lane.tokens_of(most) > room:
                most = min(most - 1, lane.passes_of(room))
            held = lane.blocks_of(lane.tokens_of(most))
        lane.length, lane.held = most, held
        blocks.free -= held
        self._pace(lane)
        lane.end_s = now_s + lane.time_s(most)

    def _read_next(self, lane: Lane, now_s: float, extra_s: float) -> None:
        """A pass that reads parts of prompts."""
        scheduler, passes = self.scheduler, self.passes
        sequences = lane.sequences if lane.writes else 0
        if scheduler.holds_batch:
            # All prompts are padded to the longest.
            longest = max(request.left for request in lane.prompts)
            lane.taken = [request.left for request in lane.prompts]
            new = longest * len(lane.prompts)
            attention = len(lane.prompts) * passes.prompt_attention_s(longest, 0)
        else:
            budget = scheduler.token_budget - sequences * passes.pass_tokens
            taken, new, attention = [], 0, 0.0
            for request in lane.prompts:
                part = max(min(request.left, budget - new), 0) if scheduler.chunks else request.left
                if part:
                    new += part
                    attention += passes.prompt_attention_s(part, request.total - request.left)
                taken.append(part)
            lane.taken = taken
        lane.reading = new
        lane.began_s, lane.length, lane.growth_s = now_s, 1, 0.0
        if sequences:
            lane.held = lane.blocks_of(lane.tokens_of(1))
            lane.blocks.free -= lane.held
        lane.first_s = extra_s + passes.mixed_s(sequences, lane.context, new, attention)
        self._pace(lane)
        lane.end_s = now_s + lane.first_s

    def _pace(self, lane: Lane) -> None:
        """A batch comes round when it is through all stages, and when the slowest has served the others."""
        if not (self._one_lane or self._lockstep):
            lane.slowest_s = lane.first_s * self.passes.slowest_share
            turn = sum(other.slowest_s for other in self.lanes if other.end_s < math.inf or other is lane)
            lane.first_s = max(lane.first_s, turn)
