"""A batch in flight on a replica: the sequences that decode in it, and how their passes run.

Between two events nothing changes but the lengths of the answers, so that many passes are one stretch, whose
time is a closed form: passes lengthen evenly with the context.
"""

from __future__ import annotations

import heapq
import math
from typing import Final

from farthing.simulate.serving.blocks import Blocks
from farthing.simulate.serving.request import Request

PARTS: Final = 1 << 20
"""Of a token: what passes yield is counted in these, so that a stretch yields what its passes do."""


class Lane:
    """Sequences that decode together, prompts that are read beside them, and the stretch of passes under way.

    Parameters
    ----------
    blocks
        Of the cache that holds its requests.
    yielded_tokens
        That a sequence gets out of a pass on average.

    Attributes
    ----------
    sequences, context
        That decode, and their tokens in the cache in all.
    padding
        Of these, how many have their answers and wait for the longest of a static batch.
    steps
        Tokens that each sequence of the lane has written since the simulation began.
    members
        Those that decode, in the order in which they joined.
    fresh
        Of these, those whose keys and values were brought here and whose next token is their first here.
    recent
        When others joined since the last pass that wrote [s].
    prompts, taken
        Requests whose prompts are being read, and the tokens of each that the pass reads.
    leaving
        Requests that are given up, and leave at the end of the pass.
    began_s, end_s
        Of the stretch under way; ``end_s`` is infinite where the lane is idle [s].
    length, held
        Passes of the stretch, and the blocks that it takes.
    first_s, growth_s
        Its first pass, and by how much each takes longer than the one before [s].
    reading
        Tokens of prompts that the pass reads.
    writes
        Whether the pass decodes too.
    wrote_s
        End of the last pass that wrote [s].
    unseen
        Passes since it last read a prompt: engines count by them when to look at the queue.
    slowest_s
        Of its passes, on the slowest pipeline stage [s].
    """

    __slots__ = (
        "_block_tokens",
        "_credit",
        "_finishing",
        "_parts",
        "_residues",
        "began_s",
        "blocks",
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
        "recent",
        "sequences",
        "slowest_s",
        "steps",
        "taken",
        "unseen",
        "writes",
        "wrote_s",
    )

    def __init__(self, blocks: Blocks, yielded_tokens: float = 1.0) -> None:
        self.blocks = blocks
        self.sequences = self.context = self.steps = self.padding = 0
        self.members: dict[Request, None] = {}
        self.prompts: list[Request] = []
        self.fresh: list[Request] = []
        self.recent: list[float] = []
        self.leaving: list[Request] = []
        self.taken: list[int] = []
        self.began_s, self.end_s, self.wrote_s = 0.0, math.inf, 0.0
        self.length = self.reading = self.held = self.unseen = 0
        self.first_s = self.growth_s = self.slowest_s = 0.0
        self.writes = False
        self._block_tokens = blocks.block_tokens
        self._residues = [0] * blocks.block_tokens
        self._finishing: list[tuple[int, int, Request]] = []
        self._parts = round(yielded_tokens * PARTS)
        self._credit = 0

    # Members --------------------------------------------------------------------------------------------

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
        """A decoding request stops; what was drafted beyond the end of its answer is thrown away."""
        del self.members[request]
        self.sequences -= 1
        self.context -= self.cached(request)
        self._residues[(request.base - request.joined) % self._block_tokens] -= 1
        if request.ends < 0:
            self.padding -= 1
        else:
            request.done = min(request.done + self.steps - request.joined, request.written)
            request.ends = -1

    def pad(self, request: Request) -> None:
        """A request of a static batch has its answer, or is given up: its place stays taken."""
        request.done = min(request.done + self.steps - request.joined, request.written)
        request.ends = -1
        self.padding += 1

    def finished(self) -> list[Request]:
        """Those that have written their answers; they are still members."""
        found: list[Request] = []
        heap = self._finishing
        while heap and heap[0][0] <= self.steps:
            ends, _, request = heapq.heappop(heap)
            # Who stepped back and came back at once stands there twice, one behind the other.
            again = bool(found) and found[-1] is request
            if request.ends == ends and request.lane is self and not again:
                found.append(request)
        return found

    def steps_to_finish(self) -> int:
        """Tokens until the first answer is complete."""
        heap, steps = self._finishing, self.steps
        while True:
            ends, _, request = heap[0]
            # Those that stepped back left an entry behind, which no longer is theirs.
            if request.ends == ends and request.lane is self:
                return ends - steps
            heapq.heappop(heap)

    def steps_alike(self) -> int:
        """Tokens until the mean context leaves its octave, in which each token of it takes as long."""
        mean = self.context // self.sequences
        return (1 << mean.bit_length()) - mean

    # Passes ---------------------------------------------------------------------------------------------

    def tokens_of(self, passes: int) -> int:
        """Tokens that each sequence writes in the next passes."""
        if self._parts == PARTS:
            return passes
        return (self._credit + passes * self._parts) // PARTS

    def passes_of(self, tokens: int) -> int:
        """Passes until so many tokens are written, at least one."""
        if self._parts == PARTS:
            return max(1, tokens)
        return max(1, -((self._credit - tokens * PARTS) // self._parts))

    def advance(self, passes: int) -> int:
        """All members write the tokens of so many passes; how many each."""
        if self._parts == PARTS:
            tokens = passes
        else:
            tokens, self._credit = divmod(self._credit + passes * self._parts, PARTS)
        self.steps += tokens
        self.context += tokens * self.sequences
        return tokens

    def blocks_of(self, tokens: int) -> int:
        """Blocks that the members need for so many further tokens each."""
        size, residues = self._block_tokens, self._residues
        last = -self.steps % size
        if tokens == 1:
            return residues[last]
        whole, part = divmod(tokens, size)
        count = whole * self.sequences
        if part:
            # Those whose blocks are full after 0, 1, 2 ... tokens: backwards, and round the end of the list.
            first = last - part + 1
            count += sum(residues[max(first, 0) : last + 1])
            if first < 0:
                count += sum(residues[first:])
        return count

    def tokens_within(self, blocks: int, most: int) -> int:
        """Tokens that all members can write with so many further blocks, at most ``most``."""
        if self.blocks_of(most) <= blocks:
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
        # The root of time_s(n) = elapsed, in the form that loses no digits where passes hardly grow.
        half = self.first_s - self.growth_s / 2
        root = half + math.sqrt(half * half + 2 * self.growth_s * elapsed_s)
        if root <= 0.0:
            return self.length
        return min(int(2 * elapsed_s / root), self.length)

    def shorten(self, passes: int) -> None:
        """The stretch gets fewer passes, and gives back the blocks of the others."""
        if passes < self.length:
            held = self.blocks_of(self.tokens_of(passes)) if self.held else 0
            self.blocks.free += self.held - held
            self.held, self.length = held, passes
