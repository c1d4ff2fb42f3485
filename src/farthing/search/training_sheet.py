"""What blocks of training plans share whatever they recompute: worked out for the rows of several at once.

Columns of a few hundred rows take NumPy hardly longer than one row does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from farthing.estimate.training import TrainingRun
from farthing.predict.stages import plan_stages
from farthing.predict.trace import Number
from farthing.predict.training import PassTimes, pass_times
from farthing.predict.training_layer import Setting
from farthing.predict.training_memory import (
    LayerActivations,
    States,
    layer_activations,
    offloaded_states,
    training_states,
)
from farthing.predict.training_traffic import data_parallel_axes, stage_collectives_s
from farthing.predict.training_update import streamed_traffic_s, update_time_s
from farthing.records.plan import Offload, RankOrder, Recompute, TrainingPlan
from farthing.search.column_records import joined, taken
from farthing.search.training_space import SIZE_COLUMNS, Rows
from farthing.search.training_stages import Pipeline

Key = tuple[Any, ...]


def spared(pipeline: Pipeline) -> tuple[int, int]:
    """Layers that the ends are spared: pipelines that agree in them have the same stages."""
    return pipeline.first_spared, pipeline.last_spared


class Sheet:
    """What rows of sizes have in common, each part worked out when first asked for.

    Parameters
    ----------
    run
        A run with the formats and the engine of the plans.
    rows
        The rows.
    passes
        Of one micro-batch for all rows, where they are known.
    """

    def __init__(self, run: TrainingRun, rows: Rows, passes: PassTimes | None = None) -> None:
        self.rows = rows
        self.model, self.workload, self.sizes = run.about.model, run.workload, run.memory_sizes
        self.rates = run.offload_bytes_per_s
        columns: dict[str, Any] = {name: getattr(rows, name)[:, None] for name in SIZE_COLUMNS}
        # How much is computed again counts for weights that come from the host in each pass.
        shares = [way.share if way.word == "full" else 0.0 for way in rows.recomputations]
        columns["recompute_share"] = np.array([shares])
        self.plan = replace(run.plan, pp=rows.pp, recompute="full", **columns)
        self.micro_batches = self.workload.global_batch_size / (self.plan.dp * self.plan.micro_batch_size)
        self.setting = replace(run, plan=self.plan).setting
        self.shared: dict[Key, Any] = {} if passes is None else {("passes",): passes}

    def passes(self) -> PassTimes:
        """Of one micro-batch, for all rows."""
        found: PassTimes = self._once(
            ("passes",),
            lambda: self._by_sequence_parallel(lambda plan: pass_times(replace(self.setting, plan=plan))),
        )
        return found

    def activations(self, word: Recompute) -> list[LayerActivations]:
        """What a layer keeps of one micro-batch, for ways to recompute of one word."""

        def work(plan: TrainingPlan) -> list[LayerActivations]:
            own = replace(plan, recompute=word)
            return layer_activations(self.model, self.workload, own, self.sizes)

        found: list[LayerActivations] = self._once(
            ("activations", word), lambda: self._by_sequence_parallel(work)
        )
        return found

    def _by_sequence_parallel(self, work: Callable[[TrainingPlan], Any]) -> Any:
        """Columns that are worked out apart for the first rows, which have it, and the others."""
        with_it = int(self.rows.sequence_parallel.sum())
        plans = [
            replace(taken(self.plan, part), sequence_parallel=flag)
            for flag, part in ((True, slice(0, with_it)), (False, slice(with_it, None)))
            if len(self.rows.tp[part])
        ]
        return joined([work(plan) for plan in plans], 0, [len(plan.tp) for plan in plans])

    def _once(self, key: Key, work: Callable[[], Any]) -> Any:
        """What all rows share, worked out once."""
        if key not in self.shared:
            self.shared[key] = work()
        return self.shared[key]

    def _setting(self, pipeline: Pipeline | None = None, **words: Any) -> Setting:
        """Of all rows: the layers of the stages, and words of the plans."""
        if pipeline is not None:
            words |= {"first_spared": pipeline.first_spared, "last_spared": pipeline.last_spared}
        return replace(self.setting, plan=replace(self.plan, **words))

    def sharded(self, zero_stage: int) -> Setting:
        """Of all rows, with states sharded in one way."""
        found: Setting = self._once(("setting", zero_stage), lambda: self._setting(zero_stage=zero_stage))
        return found

    def collectives(self, pipeline: Pipeline, rank_order: RankOrder) -> list[tuple[Number, Number]]:
        """Of each unlike stage."""

        def work() -> list[tuple[Number, Number]]:
            setting = self._setting(pipeline, rank_order=rank_order)
            axes = data_parallel_axes(setting)
            return [
                stage_collectives_s(setting, axes, stage) for stage in plan_stages(self.model, setting.plan)
            ]

        found: list[tuple[Number, Number]] = self._once(("collectives", spared(pipeline), rank_order), work)
        return found

    def states(self, pipeline: Pipeline, zero_stage: int, offload: Offload) -> list[tuple[Number, Number]]:
        """What a card of each stage holds whatever the batch, and what lies outside of it."""

        def on_cards() -> list[tuple[States, Number]]:
            plan = self._setting(pipeline, zero_stage=zero_stage).plan
            states = training_states(self.model, self.workload, plan, self.sizes)
            stages = plan_stages(self.model, plan)
            return [(own, stage.layers) for own, stage in zip(states, stages, strict=True)]

        def work() -> list[tuple[Number, Number]]:
            states = [
                offloaded_states(own, layers, offload)
                for own, layers in self._once(("on cards", spared(pipeline), zero_stage), on_cards)
            ]
            return [
                (
                    one.weight_bytes + one.gradient_bytes + one.optimizer_bytes + one.buffer_bytes,
                    one.offloaded_bytes,
                )
                for one in states
            ]

        found: list[tuple[Number, Number]] = self._once(
            ("states", spared(pipeline), zero_stage, offload), work
        )
        return found

    def update_s(self, pipeline: Pipeline, zero_stage: int, offload: Offload) -> Number:
        """The update, which all shards do alike, and the host where it has the optimizer's states."""
        sharded, where = min(zero_stage, 1), "none" if offload == "none" else "optimizer"

        def work() -> Number:
            return update_time_s(
                self._setting(pipeline, zero_stage=sharded, offload=where),
                card_to_host_bytes_per_s=self.rates[0],
                host_bytes_per_s=self.rates[1],
            )

        return self._once(("update", spared(pipeline), sharded, where), work)

    def streamed_s(self, pipeline: Pipeline, zero_stage: int) -> Number:
        """Weights that come from the host, in parts where all ranks have some of them."""
        sharded = 3 if zero_stage == 3 else 0

        def work() -> Number:
            return streamed_traffic_s(
                self._setting(pipeline, zero_stage=sharded),
                micro_batches=self.micro_batches,
                card_to_host_bytes_per_s=self.rates[0],
            )

        return self._once(("streamed", spared(pipeline), sharded), work)
