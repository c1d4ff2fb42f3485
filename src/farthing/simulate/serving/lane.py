"""A batch in flight on a replica: the sequences that decode in it, and how their passes run.

Between two events nothing changes but the lengths of the answers, so that many passes are one stretch, whose
time is a closed form: passes lengthen evenly with the context.
"""

from __future__ import annotations

import heapq
import math

from farthing.simulate.serving.request import Request


class Lane:
    """Sequences that decode together, prompts that are read beside them, and the stretch of passes under way.

    Attributes
    ----------
    sequences, context
        That decode, and their tokens in the cache in all.
    steps
        Tokens that each sequence of the lane has written since the simulation began.
    members
        Those that decode, in the order in which they joined.
    padding
        Of these, how many have written their answers and wait for the longest of a static batch.
    prompts
        Requests whose prompts are being read.
    began_s, end_s
        Of the stretch under way; ``end_s`` is infinite where the lane is idle [s].
    length
        Passes of the stretch.
    first_s, growth_s
        Its first pass, and by how much each takes longer than the one before [s].
    reading
        Tokens of prompts that the pass reads.
    writes
        Whether the pass decodes too.
    unseen
        Passes since it last read a prompt: engines count by them when to look at the queue.
    slowest_s
        Of its passes, on the slowest pipeline stage [s].
    """

    __slots__ = (
        "_block_tokens",
        "_credit",
        "_finishing",
        "_residues",
        "_yielded",
        "began_s",
        "context",
        "end_s",
        "first_s",
        "fresh",
        "growth_s",
        "held",
        "leaving",
        "length",
        "members",
        "padding",
        "prompts",
        "reading",
        "sequences",
        "slowest_s",
        "steps",
        "taken",
        "unseen",
        "writes",
    )

    def __init__(self, block_tokens: int, yielded_tokens: float = 1.0) -> None:
        self.sequences = self.context = self.steps = 0
        self.members: dict[Request, None] = {}
        self.prompts: list[Request] = []
        self.fresh: list[Request] = []
        self.leaving: list[Request] = []
        self.taken: list[int] = []
        self.began_s, self.end_s = 0.0, math.inf
        self.length = self.reading = self.held = self.unseen = self.padding = 0
        self.first_s = self.growth_s = self.slowest_s = 0.0
        self.writes = False
        self._block_tokens = block_tokens
        self._residues = [0] * block_tokens
        self._finishing: list[tuple[int, int, Request]] = []
        self._yielded = yielded_tokens
        self._credit = 0.0

    def join(self, request: Request, tokens: int) -> None:
        """A request decodes from now on, with so many tokens in the cache."""
        request.base, request.joined = tokens, self.steps
        self.members[request] = None
        self.sequences += 1
        self.context += tokens
        self._residues[(tokens - self.steps) % self._block_tokens] += 1
        request.ends = self.steps + request.written - request.done
        heapq.heappush(self._finishing, (request.ends, request.number, request))

    def cached(self, request: Request) -> int:
        """Tokens that a decoding request has in the cache."""
        return request.base + self.steps - request.joined

    def leave(self, request: Request) -> None:
        """A decoding request stops."""
        del self.members[request]
        self.sequences -= 1
        self.context -= self.cached(request)
        self._residues[(request.base - request.joined) % self._block_tokens] -= 1
        request.done += self.steps - request.joined
        request.ends = -1

    def finished(self) -> list[Request]:
        """Those that have written their answers; they are still members."""
        found = []
        heap = self._finishing
        while heap and heap[0][0] <= self.steps:
            ends, _, request = heapq.heappop(heap)
            if request.ends == ends and request.lane is self:
                found.append(request)
        return found

    def steps_to_finish(self) -> int:
        """Tokens until the first answer is complete."""
        heap, steps = self._finishing, self.steps
        # Those that stepped back left an entry behind, which no longer is theirs.
        while heap[0][2].ends != heap[0][0] or heap[0][2].lane is not self:
            heapq.heappop(heap)
        ends: int = heap[0][0]
        return ends - steps

    @property
    def is_written(self) -> bool:
        """Whether no answer is left to write."""
        return not any(ends == request.ends for ends, _, request in self._finishing)

    def tokens_of(self, passes: int) -> int:
        """Tokens that each sequence writes in the next passes."""
        if self._yielded == 1.0:
            return passes
        return int(self._credit + passes * self._yielded)

    def passes_of(self, tokens: int) -> int:
        """Passes until so many tokens are written."""
        if self._yielded == 1.0:
            return tokens
        return max(1, math.ceil((tokens - self._credit - 1e-9) / self._yielded))

    def advance(self, passes: int) -> int:
        """All members write the tokens of so many passes; how many each."""
        if self._yielded == 1.0:
            tokens = passes
        else:
            credit = self._credit + passes * self._yielded
            tokens = int(credit)
            self._credit = credit - tokens
        self.steps += tokens
        self.context += tokens * self.sequences
        return tokens

    def blocks_of(self, tokens: int) -> int:
        """Blocks that the members need for so many further tokens each."""
        size = self._block_tokens
        whole, part = divmod(tokens, size)
        count = whole * self.sequences
        residues, steps = self._residues, self.steps
        for step in range(steps, steps + part):
            count += residues[-step % size]
        return count

    def tokens_within(self, blocks: int, most: int) -> int:
        """Tokens that all members can write with so many further blocks, at most ``most``."""
        if self.sequences * (most // self._block_tokens + 1) <= blocks or self.blocks_of(most) <= blocks:
            return most
        low, high = 0, most
        while high - low > 1:
            middle = (low + high) // 2
            if self.blocks_of(middle) <= blocks:
                low = middle
            else:
                high = middle
        return low

    def time_s(self, passes: int) -> float:
        """Time of the first passes of the stretch [s]."""
        return passes * (self.first_s + self.growth_s * (passes - 1) / 2)

    def passes_done(self, elapsed_s: float) -> int:
        """Whole passes of the stretch in so much time."""
        first, growth = self.first_s, self.growth_s
        if growth * self.length <= 1e-9 * first:
            count = int(elapsed_s / first) if first else self.length
        else:
            half = first - growth / 2
            count = int((math.sqrt(half * half + 2 * growth * elapsed_s) - half) / growth)
        return min(count, self.length)
