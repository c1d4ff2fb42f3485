"""What remains of the plans of a block once they are ranked: the best of each row, a front, and counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.cost import CostBasis, Way, power_w
from farthing.estimate.training import (
    TRAINING_MEMORY_SHARE,
    TrainingRun,
    executed_factor,
    lasting_share,
)
from farthing.predict.trace import Number, smaller, untraced
from farthing.predict.work import model_flop
from farthing.records.plan import TrainingPlan
from farthing.records.search import Limits
from farthing.search.rank import Column, pareto_front
from farthing.search.training_columns import Block, Evaluated
from farthing.search.training_space import Rows

FIGURES: Final = {
    "step": "step_s",
    "usd": "usd_per_million_tokens",
    "energy": "energy_j",
    "memory": "memory_bytes",
}
"""The figure that each objective looks at; less is better."""


@dataclass(frozen=True)
class Question:
    """What plans are judged by.

    Attributes
    ----------
    run
        With the formats and the engine of the plans.
    cards
        That each plan uses.
    objective, front, limits, basis
        As asked.
    ways
        Of paying.
    """

    run: TrainingRun
    cards: int
    objective: str
    front: tuple[str, ...]
    limits: Limits
    basis: CostBasis
    ways: tuple[Way, ...]

    @cached_property
    def tokens(self) -> int:
        """Of a step."""
        load = self.run.workload
        return load.global_batch_size * load.sequence_tokens

    @cached_property
    def work_flop(self) -> float:
        """That the model owes for a step."""
        load = self.run.workload
        work = float(
            untraced(
                model_flop(
                    self.run.about.model, self.tokens, load.sequence_tokens, predictors=load.predictors
                )
            )
        )
        # Frozen weights need no gradients of their own.
        return work * (2 / 3 if load.lora_rank else 1)

    @cached_property
    def room_bytes(self) -> float:
        """Of a card that plans may fill."""
        return self.run.capacity_bytes * (1 - self.limits.headroom_share)

    @cached_property
    def steps(self) -> float:
        """Of the whole run, with what failures cost; 0 without a token count."""
        load = self.run.workload
        if not load.training_tokens:
            return 0.0
        return load.training_tokens / self.tokens / lasting_share(self.run, self.cards)

    def executed(self, rows: Rows) -> Column:
        """Executed over owed work for each way to recompute."""
        plans = [
            replace(
                self.run.plan,
                recompute=way.word,
                recompute_share=way.share,
                recompute_layers=way.layers,
            )
            for way in rows.recomputations
        ]
        about, load = self.run.about, self.run.workload
        return np.array([[executed_factor(about.model, load, plan) for plan in plans]])

    def draw_w(self, step_s: Number, executed: Number) -> Number:
        """Of the whole cluster."""
        peak = self.run.about.devices[self.run.slowest].matmul_flop_per_s * self.cards
        share = smaller(self.work_flop * executed / peak / step_s, 1.0)
        return power_w(
            self.run.about.cluster,
            compute_share=share,
            memory_share=TRAINING_MEMORY_SHARE,
            pue=self.basis.pue,
            used=self.cards,
        )

    def figure(self, name: str, step_s: Column, total_bytes: Column, executed: Column) -> Column:
        """One figure of plans."""
        if name == "step":
            return step_s
        if name == "memory":
            return total_bytes
        draw = self.draw_w(step_s, executed)
        if name == "energy":
            return np.asarray(draw * step_s)
        rate = self.tokens / step_s
        return np.asarray(np.minimum.reduce([way.usd_per_million_tokens(draw, rate) for way in self.ways]))


@dataclass(slots=True)
class Front:
    """Plans that none of those seen so far beats, with what they are."""

    points: Column
    codes: NDArray[np.int64]

    def add(self, points: Column, codes: NDArray[np.int64]) -> None:
        """See more plans, one a row."""
        alive = np.arange(len(points))
        for point in self.points:
            alive = alive[~(point <= points[alive]).all(axis=1)]
            if not len(alive):
                return
        every = np.concatenate([self.points, points[alive]])
        kept = pareto_front(every)
        self.points, self.codes = every[kept], np.concatenate([self.codes, codes[alive]])[kept]


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
        The same figure whatever the limits, so that rows with a near miss are known.
    front
        Codes are of row, words and way.
    evaluated, fitting
        Counts.
    removed
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
    front: Front
    evaluated: int = 0
    fitting: int = 0
    removed: dict[str, int] = field(default_factory=dict)

    def plan(self, base: TrainingPlan, row: int, words: int, way: int) -> TrainingPlan:
        """One plan of the block."""
        return self.rows.plan(base, self.words[words], row, way)

    def code(self, row: Any, words: int, way: Any) -> Any:
        """One number for a plan of the block."""
        return (words * len(self.rows) + row) * len(self.rows.recomputations) + way

    def coded(self, code: int) -> tuple[int, int, int]:
        """Row, words and way of a code."""
        rest, way = divmod(code, len(self.rows.recomputations))
        words, row = divmod(rest, len(self.rows))
        return row, words, way


def rank(question: Question, rows: Rows) -> Ranked:
    """Evaluate all plans of a block of rows, and keep what a search needs of them."""
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
        front=Front(np.empty((0, figures)), np.empty(0, dtype=np.int64)),
    )
    executed = question.executed(rows)
    for plans in Block(question.run, rows).evaluated():
        found.words.append(plans.words)
        _fold(question, found, plans, executed)
    return found


def _fold(question: Question, found: Ranked, plans: Evaluated, executed: Column) -> None:
    words = len(found.words) - 1
    fits = kept(question, plans, executed, found)
    value = question.figure(question.objective, plans.step_s, plans.total_bytes, executed)
    rows = np.arange(len(found.rows))[plans.rows]
    least = value.min(axis=1)
    if plans.legal is not None:
        least = np.where(plans.legal, least, np.inf)
    found.least[rows] = np.minimum(found.least[rows], least)
    fitting = np.where(fits, value, np.inf)
    way = fitting.argmin(axis=1)
    best = fitting[np.arange(len(way)), way]
    better = np.flatnonzero(best < found.best[rows])
    target = rows[better]
    found.best[target], found.best_way[target] = best[better], way[better]
    found.best_words[target] = words
    found.best_step_s[target] = plans.step_s[better, way[better]]
    found.best_bytes[target] = plans.total_bytes[better, way[better]]
    if question.front:
        own, ways = np.nonzero(fits)
        points = np.stack(
            [
                question.figure(name, plans.step_s, plans.total_bytes, executed)[own, ways]
                for name in question.front
            ],
            axis=1,
        )
        found.front.add(points, found.code(rows[own], words, ways))


def kept(
    question: Question, plans: Evaluated, executed: Column, found: Ranked | None = None
) -> NDArray[np.bool_]:
    """Which plans are legal and keep every limit; counts what each limit takes out."""
    left = plans.count
    fits = plans.total_bytes <= question.room_bytes
    if plans.legal is not None:
        fits &= plans.legal[:, None]
    rules = [("too much memory on a card", fits)]
    if plans.words["offload"] != "none":
        room = question.run.host_room_bytes
        rules.append(("too much memory on a host", np.asarray(plans.offloaded_bytes <= room)))
    limits = question.limits
    if limits.run_s:
        rules.append(("too long a run", question.steps * plans.step_s <= limits.run_s))
    if limits.run_usd or limits.usd_per_million_tokens:
        usd = question.figure("usd", plans.step_s, plans.total_bytes, executed)
        if limits.usd_per_million_tokens:
            rules.append(("too dear tokens", usd <= limits.usd_per_million_tokens))
        if limits.run_usd:
            run_usd = usd * (question.steps * question.tokens / 1e6)
            rules.append(("too dear a run", run_usd <= limits.run_usd))
    for rule, keeps in rules:
        if keeps is not fits:
            fits = fits & keeps
        if found is not None:
            now = int(fits.sum())
            if left > now:
                found.removed[rule] = found.removed.get(rule, 0) + left - now
            left = now
    if found is not None:
        found.evaluated += plans.count
        found.fitting += left
    return fits


def nearest_miss(question: Question, rows: Rows, better_than: float) -> tuple[float, TrainingPlan] | None:
    """Of plans better than so much, the one that exceeds a limit by the least share of it; and that share."""
    executed = question.executed(rows)
    nearest: tuple[float, TrainingPlan] | None = None
    for plans in Block(question.run, rows).evaluated():
        value = question.figure(question.objective, plans.step_s, plans.total_bytes, executed)
        out = ~kept(question, plans, executed) & (value < better_than)
        if plans.legal is not None:
            out &= plans.legal[:, None]
        if not out.any():
            continue
        excess = np.where(out, _excess(question, plans, executed), np.inf)
        row, way = np.unravel_index(int(excess.argmin()), excess.shape)
        if nearest is None or excess[row, way] < nearest[0]:
            place = int(np.arange(len(rows))[plans.rows][row])
            plan = rows.plan(question.run.plan, plans.words, place, int(way))
            nearest = float(excess[row, way]), plan
    return nearest


def _excess(question: Question, plans: Evaluated, executed: Column) -> Column:
    """By which share plans exceed the limit that they exceed most."""
    found = plans.total_bytes / question.room_bytes - 1
    limits = question.limits
    if plans.words["offload"] != "none" and np.isfinite(question.run.host_room_bytes):
        found = np.maximum(found, plans.offloaded_bytes / question.run.host_room_bytes - 1)
    if limits.run_s:
        found = np.maximum(found, question.steps * plans.step_s / limits.run_s - 1)
    if limits.run_usd or limits.usd_per_million_tokens:
        usd = question.figure("usd", plans.step_s, plans.total_bytes, executed)
        if limits.usd_per_million_tokens:
            found = np.maximum(found, usd / limits.usd_per_million_tokens - 1)
        if limits.run_usd:
            found = np.maximum(found, usd * question.steps * question.tokens / 1e6 / limits.run_usd - 1)
    return found
