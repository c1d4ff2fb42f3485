"""Blocks of a replica's KV cache: free ones, those in use, and beginnings of prompts that are kept."""

from __future__ import annotations

from collections import OrderedDict

from farthing.simulate.serving.request import Request


class Blocks:
    """A pool of blocks, of which some hold beginnings of prompts that several requests may share.

    A kept beginning that nobody uses is given up when a block is needed, the least recently used one first.

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

    __slots__ = ("_kept", "_per_id", "_used", "block_tokens", "free", "prefix_tokens", "total")

    def __init__(self, total: int, block_tokens: int, prefix_tokens: int = 0) -> None:
        self.total = self.free = total
        self.block_tokens = block_tokens
        self.prefix_tokens = prefix_tokens
        self._per_id = -(-prefix_tokens // block_tokens)
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
        """Leading ids of a request's prefix that are in the cache, whether in use or kept."""
        count, used, kept = 0, self._used, self._kept
        for id in self._ids(request):
            if id not in used and id not in kept:
                break
            count += 1
        return count

    def take(self, request: Request) -> bool:
        """Give a request the blocks for all that it must hold, sharing what is there; False changes nothing.

        Afterwards ``request.left`` is what has still to be read of it.
        """
        need = self.needed(request.total)
        ids = self._ids(request)
        if not ids:
            if need > self.free:
                return False
            self.free -= need
            request.blocks = need
            self._shrink()
            return True
        used, kept, per_id = self._used, self._kept, self._per_id
        hits = self.matched(request)
        in_use = sum(1 for id in ids if id in used)
        # Shared blocks are counted once, by the first that uses them.
        if need - in_use * per_id > self.free:
            return False
        for id in ids:
            if id in used:
                used[id] += 1
            else:
                kept.pop(id, None)
                used[id] = 1
        request.shared = len(ids)
        request.blocks = need - len(ids) * per_id
        self.free -= need - in_use * per_id
        # At least one token is computed: its logits start the answer.
        request.left = request.total - min(hits * self.prefix_tokens, request.total - 1)
        self._shrink()
        return True

    def grow(self, count: int) -> None:
        """Take further blocks, which the caller knows to be free."""
        self.free -= count
        self._shrink()

    def release(self, request: Request, own: int) -> None:
        """Take back a request's own blocks, and keep its beginning for others."""
        self.free += own
        if request.shared:
            used, kept = self._used, self._kept
            # The end of a beginning is given up before its start, without which it is of no use.
            for id in reversed(request.prefix[: request.shared]):
                left = used[id] - 1
                if left:
                    used[id] = left
                else:
                    del used[id]
                    kept[id] = None
                    self.free += self._per_id
            request.shared = 0
        request.blocks = 0

    def _ids(self, request: Request) -> tuple[int, ...]:
        """Of blocks that the prompt fills: those that others can share."""
        if not self.prefix_tokens or not request.prefix:
            return ()
        return request.prefix[: request.prompt // self.prefix_tokens]

    def _shrink(self) -> None:
        """Give up kept beginnings that no longer find room."""
        kept = self._kept
        while len(kept) * self._per_id > self.free:
            kept.popitem(last=False)
