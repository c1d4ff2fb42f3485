"""Time and memory of many training plans at once: what plans share is worked out once.

Arrays have two axes: rows (sizes) and ways to recompute. Layers are worked out for a block of rows, stages
for each pipeline, traffic and states for each way to shard and to offload; the last of these are all plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.training import TrainingRun
from farthing.predict.collectives import Axis
from farthing.predict.stages import plan_stages
from farthing.predict.trace import Number
from farthing.predict.training import LayerTimes, StagePasses, layer_times, stage_passes
from farthing.predict.training_memory import (
    driver_bytes,
    layer_activations,
    training_activations,
    training_states,
    workspace_bytes,
)
from farthing.predict.training_traffic import (
    data_parallel_axes,
    data_parallel_time_s,
    stage_collectives_s,
)
from farthing.predict.training_update import update_time_s
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
        micro_batches = self.micro_batches[rows]
        base = replace(self.setting, plan=plan)
        passes: dict[bool, list[StagePasses]] = {}
        collectives = taken(self._collectives(pipeline, plan.rank_order), rows)
        activations = self._kept(plan, rows, micro_batches)
        for bit, zero_stage in enumerate(self.rows.words["zero_stage"]):
            legal = (self.rows.zero_stages[rows] >> bit & 1).astype(bool)
            if not legal.any():
                continue
            gathers = zero_stage == 3 and bool(base.launch_s)
            if gathers not in passes:
                layers = taken(self._layer_times(gathers), rows)
                passes[gathers] = stage_passes(base, layers, micro_batches)
            stages = passes[gathers]
            setting = replace(base, plan=replace(plan, zero_stage=zero_stage))
            ends = Ends(
                setting,
                [
                    one.passes + data_parallel_time_s(setting, traffic, one.parts, micro_batches)
                    for one, traffic in zip(stages, collectives, strict=True)
                ],
                [one.busy for one in stages],
                micro_batches,
            )
            for offload in self.rows.words["offload"]:
                states, update = self._states(pipeline, zero_stage, offload)
                yield Evaluated(
                    words={**words, "zero_stage": zero_stage, "offload": offload},
                    rows=rows,
                    legal=None if legal.all() else legal,
                    ends=ends,
                    update_s=taken(update, rows),
                    host_s=self.run.about.overheads.step_s,
                    card_to_host_bytes_per_s=self.rates[0],
                    states=taken(states, rows),
                    activations=activations,
                )

    def _collectives(self, pipeline: Pipeline, rank_order: RankOrder) -> list[tuple[Number, Number]]:
        """Of each unlike stage, for all rows."""
        key = ("collectives", pipeline.first_spared, pipeline.last_spared, rank_order)
        if key not in self.shared:
            plan = replace(
                self.plan,
                first_spared=pipeline.first_spared,
                last_spared=pipeline.last_spared,
                rank_order=rank_order,
            )
            setting = replace(self.setting, plan=plan)
            axes: tuple[Axis, Axis | None] = data_parallel_axes(setting)
            self.shared[key] = [
                stage_collectives_s(setting, axes, stage) for stage in plan_stages(self.model, plan)
            ]
        found: list[tuple[Number, Number]] = self.shared[key]
        return found

    def _states(
        self, pipeline: Pipeline, zero_stage: int, offload: Offload
    ) -> tuple[list[tuple[Number, Number, Number]], Number]:
        """What each stage holds, its buffers, what lies outside the card; and the update's time."""
        key = ("states", pipeline.first_spared, pipeline.last_spared, zero_stage, offload)
        if key not in self.shared:
            plan = replace(
                self.plan,
                first_spared=pipeline.first_spared,
                last_spared=pipeline.last_spared,
                zero_stage=zero_stage,
                offload=offload,
            )
            states = [
                (
                    one.weight_bytes + one.gradient_bytes + one.optimizer_bytes,
                    one.buffer_bytes,
                    one.offloaded_bytes,
                )
                for one in training_states(self.model, self.workload, plan, self.sizes)
            ]
            update = update_time_s(
                replace(self.setting, plan=plan),
                card_to_host_bytes_per_s=self.rates[0],
                host_bytes_per_s=self.rates[1],
            )
            self.shared[key] = states, update
        found: tuple[list[tuple[Number, Number, Number]], Number] = self.shared[key]
        return found

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
