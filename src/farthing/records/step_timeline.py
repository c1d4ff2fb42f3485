"""One training step pass by pass: when each pipeline stage does what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from farthing.records.plan import Schedule

PassKind = Literal[
    "forward",
    "backward",
    "gradients of inputs",
    "gradients of weights",
    "data-parallel traffic",
    "optimizer and host",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineBox:
    """A stretch of time in which a stage does one thing.

    Attributes
    ----------
    stage
        Of the pipeline, from 0.
    kind
        A pass of a micro-batch (its backward pass in two parts where the schedule puts off the gradients of
        weights), or what follows all passes.
    micro_batch, virtual_stage
        From 0; -1 and 0 for what follows all passes.
    start_s, end_s
        Since the beginning of the step.
    """

    stage: int
    kind: PassKind
    micro_batch: int
    virtual_stage: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimeline:
    """One training step played out pass by pass.

    Attributes
    ----------
    schedule
        Of the pipeline.
    stages
        How many.
    micro_batches, played_micro_batches
        Of a step, and those that were played: of very many the others repeat the steady part.
    step_s
        The whole step; `TrainingEstimate` says the same within a few percent, by closed forms.
    left_out_s
        Time of the micro-batches that were not played.
    boxes
        In the order of their stages, and of their beginnings.
    """

    schedule: Schedule
    stages: int
    micro_batches: int
    played_micro_batches: int
    step_s: float
    left_out_s: float
    boxes: tuple[TimelineBox, ...]
