"""A serving engine written out plainly: one pass at a time, lists, sums over all requests, no closed forms.

It knows one replica with one batch in flight, and follows the words of `farthing.records.serving.Scheduler`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from farthing.records.serving import Front, Scheduler
from farthing.simulate.serving.passes import PassTimes
from farthing.simulate.serving.stream import Ask


@dataclass(eq=False)
class Plain:
    """A request; ``tokens`` of it are in the cache, or are to be read first, of which ``unread`` are left."""

    number: int
    ask: Ask
    tokens: int = 0
    unread: int = 0
    done: int = 0
    pieces: list[tuple[int, ...]] = field(default_factory=list)
    started: bool = False
    swapped: bool = False
    given_up: bool = False
    state: str = ""
    first_s: float = math.nan
    end_s: float = math.nan

    @property
    def rank(self) -> tuple[int, int]:
        return self.ask.priority, self.number


class PlainService:
    """Plays requests, given in order of arrival, and keeps them with what became of them."""

    def __init__(
        self,
        scheduler: Scheduler,
        passes: PassTimes,
        blocks: int,
        *,
        front: Front | None = None,
        prefix_tokens: int = 0,
        swap_s_per_block: float = 0.0,
    ) -> None:
        self.scheduler, self.passes, self.total = scheduler, passes, blocks
        self.front = front or Front()
        self.swap_s_per_block = swap_s_per_block
        self.piece_tokens = 0
        if prefix_tokens and scheduler.prefix_caching:
            self.piece_tokens = math.lcm(prefix_tokens, scheduler.block_tokens)
            self.ids_a_piece = self.piece_tokens // prefix_tokens
        self.now_s = 0.0
        self.requests: list[Plain] = []
        self.queue: list[Plain] = []
        self.prompts: list[Plain] = []
        self.writers: list[Plain] = []
        self.leaving: list[Plain] = []
        self.kept: list[tuple[int, ...]] = []
        self.unseen = 0
        self.credit = 0.0
        self.preemptions = 0

    # Memory: a piece of a prompt that several hold is there once --------------------------------------------

    def blocks(self, tokens: int) -> int:
        return math.ceil(tokens / self.scheduler.block_tokens)

    @property
    def blocks_a_piece(self) -> int:
        return self.piece_tokens // self.scheduler.block_tokens

    def held_pieces(self) -> set[tuple[int, ...]]:
        return {piece for one in self.prompts + self.writers for piece in one.pieces}

    @property
    def free(self) -> int:
        own = sum(
            self.blocks(one.tokens) - len(one.pieces) * self.blocks_a_piece
            for one in self.prompts + self.writers
        )
        return self.total - own - len(self.held_pieces()) * self.blocks_a_piece

    def forget(self) -> None:
        """Kept beginnings give way, those unused for longest first."""
        while len(self.kept) * self.blocks_a_piece > self.free:
            self.kept.pop(0)

    def pieces_of(self, one: Plain) -> list[tuple[int, ...]]:
        """Beginnings of the prompt that end with a piece; each is the whole beginning."""
        if not self.piece_tokens or not one.ask.prefix:
            return []
        named = min(one.ask.prompt // self.piece_tokens, len(one.ask.prefix) // self.ids_a_piece)
        return [one.ask.prefix[: (index + 1) * self.ids_a_piece] for index in range(named)]

    def release(self, one: Plain) -> None:
        (self.prompts if one in self.prompts else self.writers).remove(one)
        held = self.held_pieces()
        self.kept += [piece for piece in reversed(one.pieces) if piece not in held]
        one.pieces = []

    # Time -----------------------------------------------------------------------------------------------

    def play(self, asks: list[Ask]) -> list[Plain]:
        self.requests = [Plain(number, ask) for number, ask in enumerate(asks)]
        happens: list[tuple[float, int, str, Plain]] = []
        for one in self.requests:
            at = one.ask.arrival_s
            happens.append((at, 0, "comes", one))
            if self.front.queue_timeout_s:
                happens.append((at + self.front.queue_timeout_s, 1, "tires", one))
            if self.front.timeout_s:
                happens.append((at + self.front.timeout_s, 1, "leaves", one))
        happens.sort(key=lambda event: (event[0], event[1], event[3].number))
        while happens or self.queue or self.prompts or self.writers:
            while happens and happens[0][0] <= self.now_s:
                self.happen(*happens.pop(0))
            took_s = self.one_pass()
            end_s = self.now_s + took_s
            if not took_s:
                self.sleep(happens[0][0] if happens else math.inf)
                continue
            while happens and happens[0][0] <= end_s:
                self.happen(*happens.pop(0))
            self.now_s = end_s
            self.end_pass()
        return self.requests

    def sleep(self, until_s: float) -> None:
        """Nothing to do until something happens, or a static batch has waited for long enough."""
        for one in self.queue:
            until_s = min(until_s, one.ask.arrival_s + self.scheduler.batch_wait_s)
        assert self.now_s < until_s < math.inf or not self.queue, "requests wait for ever"
        self.now_s = until_s

    def happen(self, at_s: float, _: int, what: str, one: Plain) -> None:
        if what == "comes":
            scheduler = self.scheduler
            room = self.total // scheduler.max_sequences if scheduler.slots else self.total
            extra = math.ceil(self.passes.yielded_tokens) - 1
            whole = scheduler.chunks or scheduler.holds_batch or one.ask.prompt <= scheduler.token_budget
            if self.blocks(one.ask.prompt + one.ask.output + extra) > room or not whole:
                one.state, one.end_s = "too-long", at_s
            else:
                one.tokens = one.unread = one.ask.prompt
                self.queue.append(one)
        elif one.state or one.given_up or (what == "tires" and one.started):
            pass
        elif one in self.queue:
            self.queue.remove(one)
            one.state, one.end_s = "timed-out", at_s
        else:
            one.given_up = True
            self.leaving.append(one)

    # A pass ---------------------------------------------------------------------------------------------

    def one_pass(self) -> float:
        """Put the next pass together; how long it takes, 0 where there is nothing to do."""
        scheduler, passes = self.scheduler, self.passes
        self.tokens_written = int(self.credit + passes.yielded_tokens)
        stepped_back = False
        if scheduler.mixes or not self.prompts:
            stepped_back = self.make_room()
        self.moved_s = 0.0
        looks = not self.writers or self.unseen % scheduler.poll_steps == 0
        if looks and not (stepped_back and self.writers):
            self.admit()
        self.writes = bool(self.writers) and (scheduler.mixes or not self.prompts)
        context = sum(one.tokens for one in self.writers)
        count = len(self.writers) if self.writes else 0
        self.read: list[tuple[Plain, int]] = []
        if not self.prompts:
            return self.moved_s + passes.decode_s(count, context)[0] if count else 0.0
        if scheduler.holds_batch:
            longest = max(one.unread for one in self.prompts)
            self.read = [(one, one.unread) for one in self.prompts]
            new = longest * len(self.prompts)
            attention_s = len(self.prompts) * passes.prompt_attention_s(longest, 0)
        else:
            budget = scheduler.token_budget - count * passes.pass_tokens
            attention_s, new = 0.0, 0
            for one in self.prompts:
                part = min(one.unread, max(budget - new, 0)) if scheduler.chunks else one.unread
                self.read.append((one, part))
                new += part
                if part:
                    attention_s += passes.prompt_attention_s(part, one.tokens - one.unread)
        return self.moved_s + passes.mixed_s(count, context, new, attention_s)

    def growth(self, tokens: int) -> int:
        return sum(self.blocks(one.tokens + tokens) - self.blocks(one.tokens) for one in self.writers)

    def make_room(self) -> bool:
        """The least urgent, last come of those that write step back until the next tokens find blocks."""
        stepped_back = False
        while self.growth(self.tokens_written) > self.free:
            writing = [one for one in self.writers if not one.state]
            if not writing:
                break
            victim = max(writing, key=lambda one: one.rank)
            self.release(victim)
            victim.swapped = self.scheduler.preemption == "swap"
            if not victim.swapped:
                victim.tokens = victim.ask.prompt + victim.done
            self.queue.append(victim)
            self.preemptions += 1
            stepped_back = True
            self.clear_batch()
        return stepped_back

    def admit(self) -> None:
        scheduler = self.scheduler
        self.queue.sort(key=lambda one: one.rank)
        if scheduler.holds_batch:
            if self.writers or self.prompts or not self.queue:
                return
            first_s = min(one.ask.arrival_s for one in self.queue)
            full = len(self.queue) >= scheduler.max_sequences
            if not full and first_s + scheduler.batch_wait_s > self.now_s:
                return
        growth = self.growth(self.tokens_written)
        while self.queue and len(self.prompts) + len(self.writers) < scheduler.max_sequences:
            head = self.queue[0]
            budget = scheduler.token_budget - sum(one.unread for one in self.prompts)
            if scheduler.mixes:
                budget -= len(self.writers) * self.passes.pass_tokens
            pieces = self.pieces_of(head)
            found = 0
            while found < len(pieces) and pieces[found] in self.held_pieces() | set(self.kept):
                found += 1
            unread = head.tokens - min(found * self.piece_tokens, head.tokens - 1)
            if not scheduler.holds_batch:
                if budget <= 0:
                    return
                whole = scheduler.chunks or head.swapped or unread <= budget
                if not whole and (self.writers or self.prompts):
                    return
            in_use = sum(1 for piece in pieces if piece in self.held_pieces())
            need = self.blocks(head.tokens) - in_use * self.blocks_a_piece
            most = math.ceil(self.passes.yielded_tokens)
            own = self.blocks(head.tokens + most) - self.blocks(head.tokens) if head.swapped else 0
            spare: float = growth + own
            if scheduler.reserved_share:
                rest = sum(
                    self.blocks(one.ask.prompt + one.ask.output) - self.blocks(one.tokens)
                    for one in [*self.prompts, *self.writers, head]
                )
                spare = max(spare, scheduler.reserved_share * rest)
            if need + spare > self.free:
                return
            self.queue.pop(0)
            self.kept = [piece for piece in self.kept if piece not in pieces]
            head.pieces, head.started = pieces, True
            if head.swapped:
                self.moved_s += self.swap_s_per_block * self.blocks(head.tokens)
                head.swapped = False
                growth += own
                self.writers.append(head)
            else:
                head.unread = unread
                self.prompts.append(head)
            self.forget()

    def end_pass(self) -> None:
        self.unseen += 1
        if self.writes:
            self.credit += self.passes.yielded_tokens - self.tokens_written
            for one in self.writers:
                one.tokens += self.tokens_written
                if not one.state:
                    one.done = min(one.done + self.tokens_written, one.ask.written)
                    if one.first_s != one.first_s:
                        one.first_s = self.now_s
            self.forget()
        if any(part for _, part in self.read):
            self.unseen = 0
        for one, part in self.read:
            one.unread -= part
            if one.unread or one.given_up:
                continue
            one.done += 1
            if one.first_s != one.first_s:
                one.first_s = self.now_s
            if one.done == one.ask.written:
                self.release(one)
                one.state = "finished" if one.ask.written == one.ask.output else "cancelled"
                one.end_s = self.now_s
            else:
                self.prompts.remove(one)
                self.writers.append(one)
        through = [one for one in self.writers if one.done == one.ask.written]
        # Who was through first within the pass leaves first: it decides whose beginning is forgotten first.
        through.sort(key=lambda one: (one.ask.prompt + one.ask.written - one.tokens, one.number))
        for one in through:
            if not one.given_up and not one.state:
                self.end(one, "finished" if one.ask.written == one.ask.output else "cancelled")
        for one in self.leaving:
            self.end(one, "timed-out")
        self.leaving.clear()
        self.clear_batch()

    def end(self, one: Plain, state: str) -> None:
        """It is told; its place in a static batch stays taken."""
        if one in self.prompts or not self.scheduler.holds_batch:
            self.release(one)
        one.state, one.end_s = state, self.now_s

    def clear_batch(self) -> None:
        if all(one.state for one in self.writers):
            for one in list(self.writers):
                self.release(one)
