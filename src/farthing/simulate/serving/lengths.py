"""How long prompts and answers are: whole numbers of tokens whose mean is the one asked for."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from farthing.records.serving import Lengths


class Draws:
    """Lengths, drawn in chunks: however they are cut, the same lengths come.

    A draw between two whole numbers becomes the upper one as often as it is near it, which keeps the mean.
    No length is below one token, and the mean is kept there too: a uniform distribution that would reach
    below is narrowed on both sides, and a lognormal one is that of the tokens beyond the first. Only
    ``most`` lowers the mean.

    Parameters
    ----------
    lengths
        Kind, mean and spread.
    seed
        Of these lengths alone.

    Examples
    --------
    >>> Draws(Lengths(kind="uniform", tokens=100, spread=0.1), SeedSequence(1)).tokens(6).tolist()
    [104, 94, 103, 96, 92, 106]
    """

    def __init__(self, lengths: Lengths, seed: SeedSequence) -> None:
        self._lengths = lengths
        self._shape, self._rounding = (np.random.default_rng(child) for child in seed.spawn(2))

    def tokens(self, count: int) -> NDArray[np.int64]:
        """The next ``count`` lengths [tokens]."""
        lengths = self._lengths
        if lengths.kind == "fixed":
            drawn = np.full(count, math.floor(lengths.tokens + 0.5), np.int64)
        else:
            exact = self._uniform(count) if lengths.kind == "uniform" else self._lognormal(count)
            drawn = np.floor(exact + self._rounding.random(count)).astype(np.int64)
        return np.minimum(drawn, lengths.most) if lengths.most else drawn

    def _uniform(self, count: int) -> NDArray[np.float64]:
        mean = self._lengths.tokens
        low = max(1.0, mean * (1 - self._lengths.spread))
        return low + 2 * (mean - low) * self._shape.random(count)

    def _lognormal(self, count: int) -> NDArray[np.float64]:
        normal = self._shape.standard_normal(count)
        beyond = self._lengths.tokens - 1
        if not beyond:
            return np.ones(count)
        variance = math.log1p((self._lengths.spread * self._lengths.tokens / beyond) ** 2)
        return 1 + np.exp(math.log(beyond) - variance / 2 + math.sqrt(variance) * normal)
