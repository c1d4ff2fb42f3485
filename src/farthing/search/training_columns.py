"""Time and memory of many training plans at once: what plans share is worked out once.

Arrays have two axes: rows (sizes) and ways to recompute. Layers are worked out for a block of rows, stages
for each pipeline, traffic and states for each way to shard and to offload; the last of these are all plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.training import TrainingRun
from farthing.predict.stages import plan_stages
from farthing.predict.trace import Number
from farthing.predict.training import LayerTimes, StagePasses, layer_times, stage_passes
from farthing.predict.training_layer import Setting
from farthing.predict.training_memory import (
    States,
    driver_bytes,
    layer_activations,
    offloaded_states,
    training_activations,
    training_states,
    workspace_bytes,
)
from farthing.predict.training_traffic import (
    data_parallel_axes,
    data_parallel_time_s,
    stage_collectives_s,
)
from farthing.predict.training_update import streamed_traffic_s, update_time_s
from farthing.records.plan import Offload, RankOrder, Recompute, TrainingPlan
from farthing.search.column_records import joined, taken
from farthing.search.training_evaluated import Ends, Evaluated
from farthing.search.training_space import SIZE_COLUMNS, Rows
from farthing.search.training_stages import Pipeline, Recomputation

BLOCK: Final = 16_384
"""Rows times ways to recompute that are worked out together: their columns stay in the processor's cache."""

Column = NDArray[np.float64]
Key = tuple[Any, ...]


def blocks(rows: Rows) -> Iterator[Rows]:
    """Rows in pieces that fit the cache."""
    size = max(BLOCK // len(rows.recomputations), 1)
    pieces = -(-len(rows) // size)
    for piece in np.array_split(np.arange(len(rows)), pieces):
        yield rows.part(slice(piece[0], piece[-1] + 1))


def segment(way: Recomputation) -> Recompute:
    """Ways that one plan with a column of shares holds: nothing computed again is a share of none."""
    return "full" if way.word in ("none", "full") else way.word


def spared(pipeline: Pipeline) -> tuple[int, int]:
    """Layers that the ends are spared: pipelines that agree in them have the same stages."""
    return pipeline.first_spared, pipeline.last_spared


class Block:
    """All plans of some rows.

    Parameters
    ----------
    run
        A run with the formats and the engine of the plans.
    rows
        The rows.
    """

    def __init__(self, run: TrainingRun, rows: Rows) -> None:
        self.run, self.rows = run, rows
        self.model, self.workload, self.sizes = run.about.model, run.workload, run.memory_sizes
        self.rates = run.offload_bytes_per_s
        ways = rows.recomputations
        # What lies in the stages sees a plan that recomputes each way's share of the layers.
        columns: dict[str, Any] = {name: getattr(rows, name)[:, None] for name in SIZE_COLUMNS}
        columns["recompute_share"] = np.array([[way.share if way.word == "full" else 0.0 for way in ways]])
        columns["recompute_layers"] = np.array([[way.layers for way in ways]])
        self.plan = replace(
            run.plan,
            pp=rows.pp,
            recompute="full",
            **columns,
        )
        self.micro_batches = self.workload.global_batch_size / (self.plan.dp * self.plan.micro_batch_size)
        self.segments = {
            word: [i for i, way in enumerate(ways) if segment(way) == word] for word in map(segment, ways)
        }
        self.widths = [len(indices) for indices in self.segments.values()]
        self.setting = replace(run, plan=self.plan).setting
        self.layers: dict[bool, LayerTimes] = {}
        self.activations = {
            word: joined(
                [layer_activations(self.model, self.workload, plan, self.sizes) for plan in plans],
                0,
                [len(plan.tp) for plan in plans],
            )
            for word, plans in self._plans_of_layers(0).items()
        }
        self.shared: dict[Key, Any] = {}
        self.ends: dict[Key, dict[int, Ends]] = {}

    def _plans_of_layers(self, zero_stage: int) -> dict[Recompute, list[TrainingPlan]]:
        """Plans by ways to recompute, with and without sequence parallelism."""
        with_it = int(self.rows.sequence_parallel.sum())
        found: dict[Recompute, list[TrainingPlan]] = {}
        for word, indices in self.segments.items():
            own = _recomputing(self.plan, word, indices)
            found[word] = [
                replace(taken(own, part), sequence_parallel=flag, zero_stage=zero_stage)
                for flag, part in ((True, slice(0, with_it)), (False, slice(with_it, None)))
                if len(self.rows.tp[part])
            ]
        return found

    def _layer_times(self, gathers: bool) -> LayerTimes:
        """Layers and head for all rows and ways; gathered weights keep the host busy in each layer."""
        if gathers not in self.layers:
            found = []
            for plans in self._plans_of_layers(3 if gathers else 0).values():
                times = [layer_times(replace(self.setting, plan=plan)) for plan in plans]
                found.append(joined(times, 0, [len(plan.tp) for plan in plans]))
            self.layers[gathers] = joined(found, 1, self.widths)
        return self.layers[gathers]

    def evaluated(self) -> Iterator[Evaluated]:
        """Step time and memory of every plan."""
        multiple = self.micro_batches[:, 0] % self.rows.pp == 0
        for pipeline in self.rows.pipelines:
            for bit, rank_order in enumerate(self.rows.words["rank_order"]):
                chosen = (self.rows.rank_orders >> bit & 1).astype(bool)
                if pipeline.schedule == "interleaved":
                    chosen = chosen & multiple
                if not chosen.any():
                    continue
                rows = slice(None) if chosen.all() else np.flatnonzero(chosen)
                yield from self._sharded({**asdict(pipeline), "rank_order": rank_order}, pipeline, rows)

    def _sharded(self, words: dict[str, Any], pipeline: Pipeline, rows: Any) -> Iterator[Evaluated]:
        """All ways to shard and to offload."""
        plan = replace(taken(self.plan, rows), **words)
        activations = self._kept(plan, rows, self.micro_batches[rows])
        passes: dict[bool, list[StagePasses]] = {}
        ends = self._ends_so_far(pipeline, plan.rank_order)
        for bit, zero_stage in enumerate(self.rows.words["zero_stage"]):
            legal = (self.rows.zero_stages[rows] >> bit & 1).astype(bool)
            if not legal.any():
                continue
            if zero_stage not in ends:
                ends[zero_stage] = self._ends(pipeline, plan, rows, zero_stage, passes)
            for offload in self.rows.words["offload"]:
                streams = offload == "optimizer+weights"
                yield Evaluated(
                    words={**words, "zero_stage": zero_stage, "offload": offload},
                    rows=rows,
                    legal=None if legal.all() else legal,
                    ends=ends[zero_stage],
                    update_s=taken(self._update_s(pipeline, zero_stage, offload), rows),
                    host_s=self.run.about.overheads.step_s,
                    streamed_s=partial(self._streamed_s, pipeline, zero_stage, rows) if streams else None,
                    states=taken(self._states(pipeline, zero_stage, offload), rows),
                    activations=activations,
                )

    def _ends_so_far(self, pipeline: Pipeline, rank_order: RankOrder) -> dict[int, Ends]:
        """By ways to shard; GPipe differs from 1F1B in what it keeps, not in its times."""
        key = (spared(pipeline), rank_order)
        if pipeline.schedule == "gpipe":
            return self.ends.pop(key, {})
        found: dict[int, Ends] = {}
        if pipeline.schedule == "1f1b":
            self.ends[key] = found
        return found

    def _ends(
        self,
        pipeline: Pipeline,
        plan: TrainingPlan,
        rows: Any,
        zero_stage: int,
        passes: dict[bool, list[StagePasses]],
    ) -> Ends:
        """When the stages end; ``passes`` grows."""
        micro_batches = self.micro_batches[rows]
        gathers = zero_stage == 3 and bool(self.setting.launch_s)
        if gathers not in passes:
            layers = taken(self._layer_times(gathers), rows)
            passes[gathers] = stage_passes(replace(self.setting, plan=plan), layers, micro_batches)
        stages = passes[gathers]
        traffic = taken(self._collectives(pipeline, plan.rank_order), rows)
        # What it hides behind is in the parts; of the plan only words count.
        setting = self._once(("setting", zero_stage), lambda: self._setting(zero_stage=zero_stage))
        return Ends(
            [
                one.passes + data_parallel_time_s(setting, own, one.parts, micro_batches)
                for one, own in zip(stages, traffic, strict=True)
            ],
            [one.busy for one in stages],
            micro_batches,
        )

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

    def _collectives(self, pipeline: Pipeline, rank_order: RankOrder) -> list[tuple[Number, Number]]:
        """Of each unlike stage."""

        def work() -> list[tuple[Number, Number]]:
            setting = self._setting(pipeline, rank_order=rank_order)
            axes = data_parallel_axes(setting)
            return [
                stage_collectives_s(setting, axes, stage) for stage in plan_stages(self.model, setting.plan)
            ]

        found: list[tuple[Number, Number]] = self._once(("collectives", spared(pipeline), rank_order), work)
        return found

    def _states(
        self, pipeline: Pipeline, zero_stage: int, offload: Offload
    ) -> list[tuple[Number, Number, Number]]:
        """What each stage holds, its buffers, and what lies outside the card."""

        def on_cards() -> list[tuple[States, Number]]:
            plan = self._setting(pipeline, zero_stage=zero_stage).plan
            states = training_states(self.model, self.workload, plan, self.sizes)
            stages = plan_stages(self.model, plan)
            return [(own, stage.layers) for own, stage in zip(states, stages, strict=True)]

        def work() -> list[tuple[Number, Number, Number]]:
            states = [
                offloaded_states(own, layers, offload)
                for own, layers in self._once(("on cards", spared(pipeline), zero_stage), on_cards)
            ]
            return [
                (
                    one.weight_bytes + one.gradient_bytes + one.optimizer_bytes,
                    one.buffer_bytes,
                    one.offloaded_bytes,
                )
                for one in states
            ]

        found: list[tuple[Number, Number, Number]] = self._once(
            ("states", spared(pipeline), zero_stage, offload), work
        )
        return found

    def _update_s(self, pipeline: Pipeline, zero_stage: int, offload: Offload) -> Number:
        """The update, which all shards do alike, and the host where it has the optimizer's states."""
        sharded, where = min(zero_stage, 1), "none" if offload == "none" else "optimizer"

        def work() -> Number:
            return update_time_s(
                self._setting(pipeline, zero_stage=sharded, offload=where),
                card_to_host_bytes_per_s=self.rates[0],
                host_bytes_per_s=self.rates[1],
            )

        return self._once(("update", spared(pipeline), sharded, where), work)

    def _streamed_s(self, pipeline: Pipeline, zero_stage: int, rows: Any) -> Number:
        """Weights that come from the host, in parts where all ranks have some of them."""
        sharded = 3 if zero_stage == 3 else 0

        def work() -> Number:
            return streamed_traffic_s(
                self._setting(pipeline, zero_stage=sharded),
                micro_batches=self.micro_batches,
                card_to_host_bytes_per_s=self.rates[0],
            )

        return taken(self._once(("streamed", spared(pipeline), sharded), work), rows)

    def _kept(self, plan: TrainingPlan, rows: Any, micro_batches: Column) -> list[tuple[Number, Number]]:
        """Activations of each unlike stage for all ways to recompute, and their workspace [byte]."""
        found = []
        for word, indices in self.segments.items():
            own = _recomputing(plan, word, indices)
            layers = taken(self.activations[word], rows)
            found.append(
                training_activations(self.model, self.workload, own, micro_batches, layers, self.sizes)
            )
        outside = driver_bytes(plan, kind=self.sizes.kind)
        return [(one, workspace_bytes(outside, one)) for one in joined(found, 1, self.widths)]


def _recomputing(plan: TrainingPlan, word: Recompute, indices: list[int]) -> TrainingPlan:
    """The plan with the ways to recompute that share a word."""
    if word != "full":
        return replace(plan, recompute=word, recompute_share=1.0, recompute_layers=1)
    names = ("recompute_share", "recompute_layers")
    columns: dict[str, Any] = {name: getattr(plan, name)[:, indices] for name in names}
    return replace(plan, **columns)
