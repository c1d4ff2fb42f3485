"""The plans that a training search evaluates, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from farthing.estimate.training import training_run
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload
from farthing.search.training_columns import Block, blocks
from farthing.search.training_evaluated import Evaluated
from farthing.search.training_space import Rows, TrainingSpace


@dataclass(frozen=True)
class Piece:
    """Plans of a block that share their words."""

    variant: TrainingPlan
    block: Rows
    found: Evaluated

    def plan(self, place: int, way: int) -> TrainingPlan | None:
        """The plan of an element of the columns; None where it is not legal."""
        if self.found.legal is not None and not self.found.legal[place]:
            return None
        row = int(np.arange(len(self.block))[self.found.rows][place])
        return self.block.plan(self.variant, self.found.words, row, way)

    def plans(self) -> Iterator[tuple[TrainingPlan, float, float]]:
        """All legal ones, with their step time [s] and memory [byte]."""
        for (place, way), step_s in np.ndenumerate(self.found.step_s):
            plan = self.plan(place, way)
            if plan is not None:
                yield plan, float(step_s), float(self.found.total_bytes[place, way])


def pieces(
    model: Model, cluster: Cluster, workload: TrainingWorkload, space: TrainingSpace
) -> Iterator[Piece]:
    """What a search evaluates of a space."""
    for variant in space.variants:
        run = training_run(model, cluster, workload, variant, ideal=False)
        for rows in space.rows:
            for block in blocks(rows):
                for found in Block(run, block).evaluated():
                    yield Piece(variant, block, found)
