"""Time and memory of many training plans at once: what plans share is worked out once.

Arrays have two axes: rows (sizes) and ways to recompute. Layers are worked out for a block of rows, stages
for each pipeline, traffic and states for each way to shard and to offload; the last of these are all plans.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.training import TrainingRun
from farthing.predict.trace import Number
from farthing.predict.training import LayerTimes, StagePasses, layer_times, stage_passes
from farthing.predict.training_memory import (
    StageActivations,
    driver_bytes,
    stage_activations,
    workspace_bytes,
)
from farthing.predict.training_traffic import (
    data_parallel_time_s,
)
from farthing.records.plan import Offload, RankOrder, Recompute, TrainingPlan
from farthing.search.column_records import joined, taken
from farthing.search.training_evaluated import Ends, Evaluated
from farthing.search.training_sheet import Key, Sheet, spared
from farthing.search.training_space import Rows
from farthing.search.training_stages import Pipeline, Recomputation

BLOCK: Final = 32_768
"""Rows times ways to recompute that are worked out together: their columns stay in the processor's cache."""

Column = NDArray[np.float64]
Words = tuple[Any, ...]


def blocks(rows: Rows) -> Iterator[Rows]:
    """Rows in pieces that fit the cache."""
    size = max(BLOCK // len(rows.recomputations), 1)
    pieces = -(-len(rows) // size)
    for piece in np.array_split(np.arange(len(rows)), pieces):
        yield rows.part(slice(piece[0], piece[-1] + 1))


def segment(way: Recomputation) -> Recompute:
    """Ways that one plan with a column of shares holds: nothing computed again is a share of none."""
    return "full" if way.word in ("none", "full") else way.word


def beginnings(many: Iterable[dict[str, Any]]) -> set[Words]:
    """Words that plans share, as values, and the first of them: what `Block.evaluated` comes by on its way.

    Examples
    --------
    >>> sorted(beginnings([{"schedule": "1f1b", "zero_stage": 1}]))
    [('1f1b',), ('1f1b', 1)]
    """
    found: set[Words] = set()
    for words in many:
        found.update(itertools.accumulate(((value,) for value in words.values()), operator.add))
    return found


class Block:
    """All plans of some rows.

    Parameters
    ----------
    run
        A run with the formats and the engine of the plans.
    rows
        The rows.
    sheet, start
        What they have in common with other rows, and their place among these; without it they are alone.
    """

    def __init__(self, run: TrainingRun, rows: Rows, sheet: Sheet | None = None, start: int = 0) -> None:
        self.run, self.rows = run, rows
        self.model, self.workload, self.sizes = run.about.model, run.workload, run.memory_sizes
        self.sheet = sheet or Sheet(run, rows)
        alone = len(self.sheet.rows) == len(rows)
        self.own = slice(None) if alone else slice(start, start + len(rows))
        ways = rows.recomputations
        # What lies in the stages sees a plan that recomputes each way's share of the layers.
        plan = taken(self.sheet.plan, self.own)
        self.plan = replace(plan, recompute_layers=np.array([[way.layers for way in ways]]))
        self.micro_batches = self.sheet.micro_batches[self.own]
        words = [segment(way) for way in ways]
        self.segments = {
            word: [i for i, own in enumerate(words) if own == word] for word in dict.fromkeys(words)
        }
        self.widths = [len(indices) for indices in self.segments.values()]
        self.setting = replace(run, plan=self.plan).setting
        self.layers: dict[bool, LayerTimes] = {}
        self.stages: dict[Key, list[StageActivations]] = {}
        self.ends: dict[Key, dict[int, Ends]] = {}

    def _own(self, value: Any, rows: Any) -> Any:
        """Some of the block's rows of what the sheet has."""
        return taken(value, self.own if isinstance(rows, slice) else rows + (self.own.start or 0))

    def _layer_times(self, gathers: bool) -> LayerTimes:
        """Layers and head for all rows and ways; gathered weights keep the host busy in each layer."""
        if gathers not in self.layers:
            passes = taken(self.sheet.passes(), self.own)
            found = []
            for word, indices in self.segments.items():
                plan = replace(_recomputing(self.plan, word, indices), zero_stage=3 if gathers else 0)
                found.append(layer_times(replace(self.setting, plan=plan), passes))
            self.layers[gathers] = joined(found, 1, self.widths)
        return self.layers[gathers]

    def evaluated(self, only: Container[Words] | None = None) -> Iterator[Evaluated]:
        """Step time and memory of every plan, or of those with some words (`beginnings` of them)."""
        multiple = self.micro_batches[:, 0] % self.rows.pp == 0
        for pipeline in self.rows.pipelines:
            for bit, rank_order in enumerate(self.rows.words["rank_order"]):
                words = {**asdict(pipeline), "rank_order": rank_order}
                if only is not None and tuple(words.values()) not in only:
                    continue
                chosen = (self.rows.rank_orders >> bit & 1).astype(bool)
                if pipeline.schedule == "interleaved":
                    chosen = chosen & multiple
                if not chosen.any():
                    continue
                rows = slice(None) if chosen.all() else np.flatnonzero(chosen)
                for plans in self._sharded(words, pipeline, rows, only):
                    if only is None or tuple(plans.words.values()) in only:
                        yield plans

    def _sharded(
        self, words: dict[str, Any], pipeline: Pipeline, rows: Any, only: Container[Words] | None
    ) -> Iterator[Evaluated]:
        """All ways to shard and to offload."""
        plan = replace(taken(self.plan, rows), **words)
        activations = cache(partial(self._kept, plan, rows))
        passes: dict[bool, list[StagePasses]] = {}
        ends = self._ends_so_far(pipeline, plan.rank_order)
        for bit, zero_stage in enumerate(self.rows.words["zero_stage"]):
            if only is not None and (*words.values(), zero_stage) not in only:
                continue
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
                    update_s=self._own(self.sheet.update_s(pipeline, zero_stage, offload), rows),
                    host_s=self.run.about.overheads.step_s,
                    streamed_s=partial(self._streamed_s, pipeline, zero_stage, rows) if streams else None,
                    states=partial(self._states, pipeline, zero_stage, offload, rows),
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
        traffic = self._own(self.sheet.collectives(pipeline, plan.rank_order), rows)
        # What traffic hides behind is in the passes; of the plan only words count.
        setting = self.sheet.sharded(zero_stage)
        return Ends(
            [
                one.passes + data_parallel_time_s(setting, own, one.free, micro_batches)
                for one, own in zip(stages, traffic, strict=True)
            ],
            [one.busy for one in stages],
            micro_batches,
        )

    def _states(
        self, pipeline: Pipeline, zero_stage: int, offload: Offload, rows: Any
    ) -> list[tuple[Number, Number]]:
        """What a card of each stage holds whatever the batch, and what lies outside of it."""
        found: list[tuple[Number, Number]] = self._own(self.sheet.states(pipeline, zero_stage, offload), rows)
        return found

    def _streamed_s(self, pipeline: Pipeline, zero_stage: int, rows: Any) -> Number:
        """Weights that come from the host."""
        return self._own(self.sheet.streamed_s(pipeline, zero_stage), rows)

    def kept(self, pipeline: Pipeline) -> list[Number]:
        """Activations of each unlike stage of all rows, for all ways to recompute, with their workspace
        [byte]."""
        return self._kept(replace(self.plan, **asdict(pipeline)), slice(None))

    def _kept(self, plan: TrainingPlan, rows: Any) -> list[Number]:
        """The same of some rows."""
        found, micro_batches = [], self.micro_batches[rows]
        for word, indices in self.segments.items():
            own = _recomputing(plan, word, indices)
            stages = self._stage_activations(own, word, rows)
            found.append([one.of_all(own, micro_batches) for one in stages])
        outside = driver_bytes(plan, kind=self.sizes.kind)
        return [one + workspace_bytes(outside, one) for one in joined(found, 1, self.widths)]

    def _stage_activations(self, plan: TrainingPlan, word: Recompute, rows: Any) -> list[StageActivations]:
        """For ways to recompute of one word; pipelines that all rows may have share them."""
        key = (word, plan.first_spared, plan.last_spared)
        found = self.stages.get(key) if isinstance(rows, slice) else None
        if found is None:
            layers = self._own(self.sheet.activations(word), rows)
            found = stage_activations(self.model, self.workload, plan, layers, self.sizes)
            if isinstance(rows, slice):
                self.stages[key] = found
        return found


def _recomputing(plan: TrainingPlan, word: Recompute, indices: list[int]) -> TrainingPlan:
    """The plan with the ways to recompute that share a word."""
    if word != "full":
        return replace(plan, recompute=word, recompute_share=1.0, recompute_layers=1)
    names = ("recompute_share", "recompute_layers")
    columns: dict[str, Any] = {name: getattr(plan, name)[:, indices] for name in names}
    return replace(plan, **columns)
