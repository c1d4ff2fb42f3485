"""Prompts that begin alike: which beginning a request has, and the ids of its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.random import SeedSequence

BLOCK_TOKENS: Final = 16
"""That an id stands for where beginnings are drawn: the block of most engines' caches."""
KEPT_IDS: Final = 500_000
"""Ids of beginnings that are kept ready, so that memory stays flat with millions of groups."""


class Prefixes:
    """Beginnings, drawn by Zipf's law: the k-th of g groups has the share ``log(1 + 1/k) / log(1 + g)``.

    That is the law with exponent one, in the form that needs no table: about as many requests fall into
    groups 1 to 10 as into 11 to 100. A beginning counts in full blocks, and a prompt that is shorter has as
    much of it as it has full blocks.

    Parameters
    ----------
    groups
        Different beginnings, at least one.
    tokens
        Of a beginning.
    seed
        Of the draws.

    Examples
    --------
    >>> Prefixes(1, 50, SeedSequence(0)).ids([1000, 40, 9])
    [(0, 1, 2), (0, 1), ()]
    """

    def __init__(self, groups: int, tokens: float, seed: SeedSequence) -> None:
        self._groups = groups
        self._blocks = int(tokens // BLOCK_TOKENS)
        self._generator = np.random.default_rng(seed)
        self._beginning = lru_cache(maxsize=max(1, KEPT_IDS // max(1, self._blocks)))(self._ids)

    def ids(self, prompts: Sequence[int]) -> list[tuple[int, ...]]:
        """Ids of the leading blocks of the next requests, whose prompts are so long [tokens]."""
        drawn = np.floor((self._groups + 1.0) ** self._generator.random(len(prompts))).astype(np.int64)
        groups = np.minimum(drawn, self._groups).tolist()
        enough = self._blocks * BLOCK_TOKENS
        return [
            self._beginning(group) if prompt >= enough else self._beginning(group)[: prompt // BLOCK_TOKENS]
            for group, prompt in zip(groups, prompts, strict=True)
        ]

    def _ids(self, group: int) -> tuple[int, ...]:
        return tuple(range((group - 1) * self._blocks, group * self._blocks))
