"""Sizes that divide a number of cards, experts or sequences."""

from __future__ import annotations

import functools
import math


@functools.lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """All divisors, ascending.

    Examples
    --------
    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    low = [size for size in range(1, math.isqrt(number) + 1) if number % size == 0]
    return (*low, *(number // size for size in reversed(low) if size * size != number))
