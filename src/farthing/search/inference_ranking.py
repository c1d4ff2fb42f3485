"""Which evaluated plans keep the limits, and which of them are best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.search.inference_evaluation import Evaluated, Setting
from farthing.search.rank import best_of_each, pareto_front
from farthing.search.table import Column

OBJECTIVES: Final = {
    "tokens-per-s": ("paid_tokens_per_s", -1.0),
    "ttft": ("ttft_s", 1.0),
    "tpot": ("tpot_s", 1.0),
    "usd": ("usd_per_million_tokens", 1.0),
    "energy": ("energy_per_token_j", 1.0),
    "memory": ("memory_bytes", 1.0),
}
"""The figure that each objective looks at, and 1 where less is better. Tokens per second are those put out
with their prompts read in between, which is also what money is counted by."""

BITS: Final = 36
"""Figures that agree in so many bits are equal: rounding must not make a plan better."""

MEMORY_RULE: Final = "too much memory on a card"
HEADROOM_RULE: Final = "too little headroom on a card"
TTFT_RULE: Final = "too long to the first token"
TPOT_RULE: Final = "too long a token"
USD_RULE: Final = "too dear tokens"

REASONS: Final = (MEMORY_RULE, HEADROOM_RULE, TTFT_RULE, TPOT_RULE, USD_RULE)
"""Why an evaluated plan does not do, in the order in which they are counted."""


def rounded(values: Column) -> Column:
    """Figures without their last digits, which the order of a sum decides.

    Examples
    --------
    >>> rounded(np.array([0.1 + 0.2])) == rounded(np.array([0.3])), rounded(np.array([3.0, -np.inf]))
    (array([ True]), array([  3., -inf]))
    """
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, BITS)), exponent - BITS))


class Ranking:
    """Which candidates keep the limits, and which are best."""

    def __init__(self, setting: Setting, found: Evaluated, objective: str) -> None:
        self.columns, self.objective = found.columns, objective
        self.count = len(found.columns.get("tp", ()))
        self.kinds = self._kinds(len(found.words)) if self.count else np.empty(0, dtype=np.int64)
        self.excess = self._excess(setting) if self.count else np.empty((0, len(REASONS)))
        self.fits: Column = np.asarray((self.excess <= 0).all(axis=1))
        # That a larger batch needs more memory than there is goes without saying.
        roomy = (self.excess[:, :2] <= 0).all(axis=1)
        self.fewer_fit = ~roomy & np.isin(self.kinds, self.kinds[roomy])
        if len(setting.axes.batch_size) == 1:
            self.fewer_fit[:] = False

    @property
    def broken(self) -> dict[str, int]:
        """How many each limit takes out of those that no earlier one does."""
        counts = np.bincount(self._first[~self.fits], minlength=len(REASONS)).tolist()
        return {rule: count for rule, count in zip(REASONS, counts, strict=True) if count}

    @property
    def reasons(self) -> Column:
        """The first limit that each candidate breaks; empty where it keeps all."""
        return np.where(self.fits, "", np.array(REASONS)[self._first])

    @property
    def _first(self) -> NDArray[np.intp]:
        return np.asarray((self.excess > 0).argmax(axis=1))

    def _kinds(self, words: int) -> NDArray[np.int64]:
        return np.asarray(self.columns["split"] * words + self.columns["words"])

    def _excess(self, setting: Setting) -> Column:
        """By which share of it a candidate breaks each of `REASONS`; 0 or less keeps it."""
        limits, columns = setting.limits, self.columns
        capacity, free = columns["memory_capacity_bytes"], columns["memory_free_bytes"]
        kept = np.full(self.count, -1.0)

        def beyond(name: str, limit: float) -> Column:
            return columns[name] / limit - 1 if limit else kept

        return np.stack(
            [
                -free / capacity,
                limits.headroom_share - free / capacity if limits.headroom_share else kept,
                beyond("ttft_s", limits.ttft_s),
                beyond("tpot_s", limits.tpot_s),
                beyond("usd_per_million_tokens", limits.usd_per_million_tokens),
            ],
            axis=1,
        )

    def values(self, objective: str) -> Column:
        """Less is better; whatever the limits say."""
        name, sign = OBJECTIVES[objective]
        return sign * rounded(self.columns[name])

    def best(self, top: int) -> list[int]:
        """Rows of the best of each kind."""
        if not self.count:
            return []
        values = np.where(self.fits, self.values(self.objective), np.inf)
        return [int(row) for row in best_of_each(values, self.kinds)[:top]]

    def best_by_cards(self) -> list[tuple[int, int]]:
        """Each number of cards that plans use, from the fewest, with the row of its best plan."""
        if not self.count:
            return []
        values = np.where(self.fits, self.values(self.objective), np.inf)
        used = np.asarray(self.columns["tp"] * self.columns["pp"] * self.columns["dp"])
        return sorted((int(used[row]), int(row)) for row in best_of_each(values, used))

    def front(self, objectives: Sequence[str]) -> NDArray[np.intp]:
        """Rows that none beats in all objectives."""
        figures = np.stack([self.values(name) for name in objectives], axis=1)
        figures[~self.fits] = np.inf
        return pareto_front(figures)

    def nearest_miss(self) -> int | None:
        """The row that breaks a limit by the least, of those that would be better than the best that does."""
        rows = np.flatnonzero(~self.fits & ~self.fewer_fit)
        if not len(rows):
            return None
        values = self.values(self.objective)
        if self.fits.any():
            rows = rows[values[rows] < values[self.fits].min()]
            if not len(rows):
                return None
        else:
            # No time or price makes up for a plan that finds no room, where others do.
            roomy = rows[self.excess[rows, 0] <= 0]
            rows = roomy if len(roomy) else rows
        worst = rounded(self.excess[rows].max(axis=1))
        return int(rows[np.lexsort((values[rows], worst))[0]])
