"""Below which step time no plan of a row comes: what its layers take at least, whatever else it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.training import TrainingRun
from farthing.predict.stages import layer_kinds
from farthing.predict.training import PassTimes, layer_times
from farthing.search.column_records import taken
from farthing.search.training_sheet import Sheet
from farthing.search.training_space import Rows
from farthing.search.training_stages import Pipeline
from farthing.search.unlike import Indices, unlike_rows

Column = NDArray[np.float64]

ROUNDING: Final = 1 - 1e-9
"""Sums in another order differ by less."""


@dataclass(frozen=True, eq=False)
class Work:
    """What one micro-batch takes on some rows whatever the stages, with nothing computed again.

    Attributes
    ----------
    passes
        Through what stages are made of.
    whole_s, weights_s
        Through all layers and the head, and of that what makes gradients of weights [s].
    """

    passes: PassTimes
    whole_s: Column
    weights_s: Column

    def of(self, rows: Indices) -> Work:
        """Some of the rows."""
        return Work(taken(self.passes, rows), self.whole_s[rows], self.weights_s[rows])

    def least_s(self, pipeline: Pipeline, pp: int, micro_batches: Column) -> Column:
        """No more than any step of so many micro-batches [s].

        The slowest stage is no faster than an even share of all work, and takes every micro-batch; the others
        fill and drain. All traffic of pipeline, gradients and weights comes on top, and the update.
        """
        even = self.whole_s / pp
        if pipeline.schedule != "zero-bubble":
            least = even * (micro_batches + (pp - 1) / pipeline.interleave)
        else:
            # Gradients of weights, which nothing waits for, fill the ramp.
            waiting = (np.minimum(micro_batches, pp) - 1) / max(pp - 1, 1)
            ramp = np.maximum(even * (pp - 1) - self.weights_s * (1 + waiting), 0.0)
            least = even * micro_batches + ramp
        return np.asarray(least * ROUNDING)


def work_of(run: TrainingRun, groups: Sequence[Rows]) -> list[Work]:
    """Of each group of rows; what groups of unlike numbers of stages share is worked out once.

    Parameters
    ----------
    run
        A run with the formats and the engine of the plans.
    groups
        Rows of any numbers of stages.
    """
    names = ("tp", "cp", "ep", "expert_tp", "micro_batch_size")
    columns = [np.concatenate([getattr(rows, name) for rows in groups]) for name in names]
    with_it = np.concatenate([rows.sequence_parallel for rows in groups])
    first, kind = unlike_rows(~with_it, *columns)
    every = Rows.together([replace(rows, pp=1) for rows in groups])
    sheet = Sheet(run, every.part(first))
    passes = sheet.passes()
    layers = layer_times(
        replace(sheet.setting, plan=replace(sheet.plan, recompute="none", zero_stage=0)), passes
    )
    model, predictors = run.about.model, run.workload.predictors
    parts = [
        (layer, model.layer_kinds.count(own))
        for own, layer in zip(layer_kinds(model), layers.kinds, strict=True)
    ]
    if layers.predictor is not None:
        parts.append((layers.predictor, predictors))
    head = (1 + predictors) * (layers.head_forward + layers.head_backward)
    whole = np.ravel(head + sum(count * layer.total for layer, count in parts))
    weights = np.ravel(sum(count * layer.weight_gradient for layer, count in parts))
    ends = np.cumsum([len(rows) for rows in groups])[:-1]
    work = Work(passes, whole, np.broadcast_to(weights, whole.shape))
    return [work.of(own) for own in np.split(kind, ends)]
