"""What the plans of a training search are judged by: figures of objectives, and limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from farthing.estimate.cost import CostBasis, Way, power_w
from farthing.estimate.training import (
    TRAINING_MEMORY_SHARE,
    TrainingRun,
    executed_factor,
    lasting_share,
)
from farthing.predict.trace import Number, smaller, untraced
from farthing.predict.work import model_flop
from farthing.records.search import Limits
from farthing.search.rank import Column
from farthing.search.training_evaluated import Evaluated
from farthing.search.training_space import Rows
from farthing.search.training_stages import Recomputation

FIGURES: Final = {
    "step": "step_s",
    "usd": "usd_per_million_tokens",
    "energy": "energy_j",
    "memory": "memory_bytes",
}
"""The figure that each objective looks at; less is better."""

CARD_FULL: Final = "too much memory on a card"
HOST_FULL: Final = "too much memory on a host"


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
        if rows.recomputations not in self._executed:
            self._executed[rows.recomputations] = self._executed_by(rows.recomputations)
        return self._executed[rows.recomputations]

    @cached_property
    def _executed(self) -> dict[tuple[Recomputation, ...], Column]:
        """What is known: each number of stages has ways of its own."""
        return {}

    def _executed_by(self, ways: tuple[Recomputation, ...]) -> Column:
        plans = [
            replace(
                self.run.plan,
                recompute=way.word,
                recompute_share=way.share,
                recompute_layers=way.layers,
            )
            for way in ways
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

    def figure(self, name: str, plans: Evaluated, executed: Column) -> Column:
        """One figure of plans."""
        if name == "step":
            return plans.step_s
        if name == "memory":
            return plans.total_bytes
        step_s = plans.step_s
        draw = self.draw_w(step_s, executed)
        if name == "energy":
            return np.asarray(draw * step_s)
        rate = self.tokens / step_s
        return np.asarray(np.minimum.reduce([way.usd_per_million_tokens(draw, rate) for way in self.ways]))

    def least(self, plans: Evaluated, executed: Column) -> Column:
        """No more than the least figure of the objective in each row."""
        if self.objective == "step":
            return plans.least_s
        return np.asarray(self.figure(self.objective, plans, executed).min(axis=1))

    @property
    def limits_memory_alone(self) -> bool:
        """Whether no plan takes too long or is too dear."""
        limits = self.limits
        return not (limits.run_s or limits.usd_per_million_tokens or limits.run_usd)

    def limited(
        self, plans: Evaluated, executed: Column, memory_factor: float = 1.0
    ) -> Iterator[tuple[str, Column, float]]:
        """Each limit in the order in which they count: its rule, what plans take of it, and the most.

        ``memory_factor`` is of the cards' memory.
        """
        yield CARD_FULL, plans.total_bytes, self.room_bytes * memory_factor
        if plans.words["offload"] != "none" and self.run.host_room_bytes < np.inf:
            yield HOST_FULL, np.asarray(plans.offloaded_bytes), self.run.host_room_bytes
        limits = self.limits
        if limits.run_s:
            yield "too long a run", self.steps * plans.step_s, limits.run_s
        if limits.usd_per_million_tokens or limits.run_usd:
            usd = self.figure("usd", plans, executed)
            if limits.usd_per_million_tokens:
                yield "too dear tokens", usd, limits.usd_per_million_tokens
            if limits.run_usd:
                yield "too dear a run", usd * (self.steps * self.tokens / 1e6), limits.run_usd
