"""Blocks of a replica's KV cache: free ones, those in use, and beginnings of prompts that are kept."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from farthing.simulate.serving.request import Request


class Blocks:
    """A pool of blocks, of which some hold beginnings of prompts that several requests may share.

    What is shared are whole blocks whose tokens are all named: where an id stands for fewer tokens than a
    block holds, several ids make one. A kept beginning that nobody uses is given up when a block is needed,
    the least recently used one first.

    Parameters
    ----------
    total
        Blocks of the pool.
    block_tokens
        Tokens of a block.
    prefix_tokens
        Tokens that one id of a request's prefix stands for; 0 where beginnings are not shared.

    Attributes
    ----------
    free
        Blocks that hold nothing in use: kept beginnings count as free, since they give way.
    """

    __slots__ = ("_every", "_kept", "_per_id", "_shared_tokens", "_used", "block_tokens", "free", "total")

    def __init__(self, total: int, block_tokens: int, prefix_tokens: int = 0) -> None:
        self.total = self.free = total
        self.block_tokens = block_tokens
        # The shortest piece that is whole ids and whole blocks; its last id stands for it and all before.
        self._shared_tokens = math.lcm(prefix_tokens, block_tokens)
        self._every = self._shared_tokens // prefix_tokens if prefix_tokens else 0
        self._per_id = self._shared_tokens // block_tokens
        self._used: dict[int, int] = {}
        self._kept: OrderedDict[int, None] = OrderedDict()

    def needed(self, tokens: int) -> int:
        """Blocks of so many tokens.

        Examples
        --------
        >>> Blocks(100, 16).needed(17)
        2
        """
        return -(-tokens // self.block_tokens)

    def matched(self, request: Request) -> int:
        """Leading tokens of a prompt that are in the cache, whether in use or kept."""
        return self._hits(self._ids(request)) * self._shared_tokens

    def unread(self, request: Request) -> int:
        """Tokens of a request that would have to be read if it got its blocks now."""
        return self._left(request, self._hits(self._ids(request)))

    def take(self, request: Request, spare: float = 0.0) -> bool:
        """Give a request the blocks for all that it must hold, sharing what is there; False changes nothing.

        So many blocks must be spare beyond. Afterwards ``request.left`` is what has still to be read of it.
        """
        need = self.needed(request.total)
        ids = self._ids(request)
        if not ids:
            if need + spare > self.free:
                return False
            self.free -= need
            request.left = request.total
            self.settle()
            return True
        used, kept = self._used, self._kept
        hits = self._hits(ids)
        # Shared blocks are counted once, by the first that uses them.
        need -= sum(1 for id in ids if id in used) * self._per_id
        if need + spare > self.free:
            return False
        for id in ids:
            if id in used:
                used[id] += 1
            else:
                kept.pop(id, None)
                used[id] = 1
        request.shared = len(ids)
        request.left = self._left(request, hits)
        self.free -= need
        self.settle()
        return True

    def settle(self) -> None:
        """Give up kept beginnings that no longer find room, once blocks have been taken from ``free``."""
        kept = self._kept
        while len(kept) * self._per_id > self.free:
            kept.popitem(last=False)

    def release(self, request: Request, tokens: int) -> None:
        """Take back the blocks of a request that has so many tokens, and keep its beginning for others."""
        self.free += self.needed(tokens)
        if request.shared:
            used, kept, per_id = self._used, self._kept, self._per_id
            self.free -= request.shared * per_id
            # The end of a beginning is given up before its start, without which it is of no use.
            for id in reversed(self._ids(request)[: request.shared]):
                left = used[id] - 1
                if left:
                    used[id] = left
                else:
                    del used[id]
                    kept[id] = None
                    self.free += per_id
            request.shared = 0

    def _ids(self, request: Request) -> tuple[int, ...]:
        """Of pieces that the prompt fills: those that others can share."""
        prefix, every = request.prefix, self._every
        if not every or not prefix:
            return ()
        most = min(request.prompt, request.total) // self._shared_tokens
        return prefix[:most] if every == 1 else prefix[every - 1 : most * every : every]

    def _hits(self, ids: tuple[int, ...]) -> int:
        count, used, kept = 0, self._used, self._kept
        for id in ids:
            if id not in used and id not in kept:
                break
            count += 1
        return count

    def _left(self, request: Request, hits: int) -> int:
        # At least one token is computed: its logits start the answer.
        return request.total - min(hits * self._shared_tokens, request.total - 1)


class Pools:
    """Pools of ranks that each have their own, seen as one."""

    def __init__(self, each: Sequence[Blocks]) -> None:
        self.each = each
        self.total = sum(pool.total for pool in each)

    @property
    def free(self) -> int:
        """Blocks that hold nothing in use."""
        return sum(pool.free for pool in self.each)

    def matched(self, request: Request) -> int:
        """Leading tokens of a prompt that are in the cache of a rank, of the one that has most."""
        return max(pool.matched(request) for pool in self.each)
