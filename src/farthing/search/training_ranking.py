"""What remains of the plans of a block once they are ranked: the best of each row, a front, and counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.sensitivity import BETTER
from farthing.search.rank import Column, pareto_front
from farthing.search.training_columns import Block
from farthing.search.training_evaluated import Evaluated
from farthing.search.training_question import Question
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Rows


@dataclass(slots=True)
class Front:
    """Plans that none of those seen so far beats, with what they are."""

    points: Column
    codes: NDArray[np.int64]

    def add(self, points: Column, codes: NDArray[np.int64]) -> None:
        """See more plans, one a row."""
        alive = self._unbeaten(points)
        if not len(alive):
            return
        every = np.concatenate([self.points, points[alive]])
        kept = pareto_front(every)
        self.points, self.codes = every[kept], np.concatenate([self.codes, codes[alive]])[kept]

    def _unbeaten(self, points: Column) -> NDArray[np.intp]:
        """Those that no plan seen so far beats or equals."""
        if points.shape[1] == 2:
            # A front of two figures falls in the second as it rises in the first.
            better = np.searchsorted(self.points[:, 0], points[:, 0], side="right")
            return np.flatnonzero(points[:, 1] < np.r_[np.inf, self.points[:, 1]][better])
        alive = np.arange(len(points))
        for point in self.points:
            alive = alive[~(point <= points[alive]).all(axis=1)]
        return alive


@dataclass(slots=True)
class Ranked:
    """The plans of a block, ranked.

    Attributes
    ----------
    rows
        Of the block.
    words
        Combinations of words, which the columns below count from 0.
    best, best_words, best_way
        Least figure of the objective of each row, infinite where none fits, and the plan that has it.
    best_step_s, best_bytes
        Of that plan.
    least
        No more than the same figure whatever the limits, so that rows with a near miss are known.
    words_least
        No more than that of the plans with each combination of words.
    roomier
        Least step time that cards with a tenth more memory would allow; of this block and those before.
    front
        Codes are of row, words and way.
    evaluated, fitting
        Counts.
    broken
        Evaluated plans that break a limit, by limit.
    """

    rows: Rows
    words: list[dict[str, Any]]
    best: Column
    best_words: NDArray[np.int64]
    best_way: NDArray[np.int64]
    best_step_s: Column
    best_bytes: Column
    least: Column
    roomier: float
    front: Front
    words_least: list[float] = field(default_factory=list)
    evaluated: int = 0
    fitting: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    def words_below(self, bound: float) -> list[dict[str, Any]]:
        """Combinations of words that may have plans below a figure."""
        return [own for own, least in zip(self.words, self.words_least, strict=True) if least < bound]

    def code(self, row: Any, words: int, way: Any) -> Any:
        """One number for a plan of the block."""
        return (words * len(self.rows) + row) * len(self.rows.recomputations) + way

    def coded(self, code: int) -> tuple[int, int, int]:
        """Row, words and way of a code."""
        rest, way = divmod(code, len(self.rows.recomputations))
        words, row = divmod(rest, len(self.rows))
        return row, words, way


def rank(
    question: Question,
    rows: Rows,
    *,
    roomier: float = np.inf,
    sheet: Sheet | None = None,
    start: int = 0,
    bound: float = np.inf,
) -> Ranked:
    """Evaluate all plans of a block of rows, and keep what a search needs of them.

    Parameters
    ----------
    question, rows
        What is asked of which plans.
    roomier
        As in `Ranked`, of the blocks before.
    sheet, start
        As in `Block`.
    bound
        Of the objective's figure: plans with words that none of the rows stays within are not looked at, nor
        counted.
    """
    count, figures = len(rows), len(question.front)
    found = Ranked(
        rows=rows,
        words=[],
        best=np.full(count, np.inf),
        best_words=np.zeros(count, dtype=np.int64),
        best_way=np.zeros(count, dtype=np.int64),
        best_step_s=np.full(count, np.inf),
        best_bytes=np.full(count, np.inf),
        least=np.full(count, np.inf),
        roomier=roomier,
        front=Front(np.empty((0, figures)), np.empty(0, dtype=np.int64)),
    )
    executed = question.executed(rows)
    for plans in Block(question.run, rows, sheet, start).evaluated():
        found.words.append(plans.words)
        _fold(question, found, plans, executed, bound)
    return found


def _fold(question: Question, found: Ranked, plans: Evaluated, executed: Column, bound: float) -> None:
    least = question.least(plans, executed)
    found.words_least.append(float(least.min()))
    if found.words_least[-1] > bound:
        return
    fits = kept(question, plans, executed, found)
    rows = np.arange(len(found.rows))[plans.rows]
    found.least[rows] = np.minimum(found.least[rows], least)
    if question.objective == "step" and least.min() < found.roomier:
        more = kept(question, plans, executed, memory_factor=BETTER)
        found.roomier = min(found.roomier, float(plans.step_s[more].min(initial=np.inf)))
    # Where each row has met a better plan already nothing more is worked out.
    if (fits.any(axis=1) & (least < found.best[rows])).any():
        _take_best(question, found, plans, fits, executed)
    if question.front:
        own, ways = np.nonzero(fits)
        points = np.stack(
            [question.figure(name, plans, executed)[own, ways] for name in question.front],
            axis=1,
        )
        found.front.add(points, found.code(rows[own], len(found.words) - 1, ways))


def _take_best(
    question: Question, found: Ranked, plans: Evaluated, fits: NDArray[np.bool_], executed: Column
) -> None:
    """Keep the best plan of each row where it beats those of other words."""
    value = question.figure(question.objective, plans, executed)
    fitting = np.where(fits, value, np.inf)
    way = fitting.argmin(axis=1)
    best = fitting[np.arange(len(way)), way]
    rows = np.arange(len(found.rows))[plans.rows]
    better = np.flatnonzero(best < found.best[rows])
    target = rows[better]
    found.best[target], found.best_way[target] = best[better], way[better]
    found.best_words[target] = len(found.words) - 1
    found.best_step_s[target] = plans.step_s[better, way[better]]
    found.best_bytes[target] = plans.total_bytes[better, way[better]]


def kept(
    question: Question,
    plans: Evaluated,
    executed: Column,
    found: Ranked | None = None,
    *,
    memory_factor: float = 1.0,
) -> NDArray[np.bool_]:
    """Which plans are legal and keep every limit; counts what each limit takes out.

    ``memory_factor`` is of the cards' memory.
    """
    every = True if plans.legal is None else plans.legal[:, None]
    fits = np.broadcast_to(np.asarray(every), plans.shape)
    left = plans.count
    for rule, taken, most in question.limited(plans, executed, memory_factor):
        fits = fits & (taken <= most)
        if found is not None:
            now = int(np.count_nonzero(fits))
            if now < left:
                found.broken[rule] = found.broken.get(rule, 0) + left - now
            left = now
    if found is not None:
        found.evaluated += plans.count
        found.fitting += left
    return fits
