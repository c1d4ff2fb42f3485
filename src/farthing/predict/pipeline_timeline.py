"""A pipeline schedule played out pass by pass: each stage keeps its order and waits for its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from farthing.errors import InvalidInput, UnknownName
from farthing.predict.pipeline import SCHEDULES
from farthing.records.step_timeline import PassKind, TimelineBox

FORWARD: Final = "forward"
BACKWARD: Final = "backward"
INPUTS: Final = "gradients of inputs"
WEIGHTS: Final = "gradients of weights"


class Step(NamedTuple):
    """A pass of a micro-batch through a virtual stage."""

    kind: PassKind
    micro_batch: int
    virtual_stage: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Passes of one micro-batch through one stage, all its virtual stages [s].

    The backward holds both kinds of gradients; ``weight_gradient_s`` is the part of it that may be put off.
    """

    forward_s: float
    backward_s: float
    weight_gradient_s: float = 0.0


def stage_order(
    schedule: str, pp: int, stage: int, num_micro_batches: int, *, interleave: int = 1
) -> list[Step]:
    """What one stage does, in its order.

    Parameters
    ----------
    schedule
        One of `farthing.predict.pipeline.SCHEDULES`.
    pp, stage
        Stages, and which of them, from 0.
    num_micro_batches, interleave
        Micro-batches of a step, and virtual stages a stage; only interleaved uses the second.

    Returns
    -------
    list of Step

    Raises
    ------
    UnknownName
        No such schedule.
    InvalidInput
        Interleaving with micro-batches that are no multiple of the stages.

    References
    ----------
    huang-2019, narayanan-2019, narayanan-2021, qi-2023

    Examples
    --------
    >>> [f"{step.kind[0]}{step.micro_batch}" for step in stage_order("1f1b", 4, 2, 4)]
    ['f0', 'f1', 'b0', 'f2', 'b1', 'f3', 'b2', 'b3']
    """
    if schedule not in SCHEDULES:
        raise UnknownName("pipeline schedule", schedule, SCHEDULES, f"choose from {', '.join(SCHEDULES)}")
    if schedule == "gpipe":
        return [Step(kind, batch) for kind in (FORWARD, BACKWARD) for batch in range(num_micro_batches)]
    if schedule == "zero-bubble":
        return list(_delayed(pp, stage, num_micro_batches))
    if interleave > 1 and num_micro_batches % pp:
        raise InvalidInput(
            f"interleaving needs a multiple of pp={pp} micro-batches, not {num_micro_batches}: change one"
        )
    return list(_alternating(pp, stage, num_micro_batches, interleave))


def _alternating(pp: int, stage: int, count: int, chunks: int) -> Iterator[Step]:
    """One forward, one backward in turn, after the forwards that fill the way to the last stage and back."""
    forward, backward = [], []
    for place in range(count * chunks):
        # pp micro-batches go through a virtual stage, then through the next one.
        group, rest = divmod(place, pp * chunks)
        batch, chunk = group * pp + rest % pp, rest // pp
        if chunks == 1:
            batch, chunk = place, 0
        forward.append(Step(FORWARD, batch, chunk))
        backward.append(Step(BACKWARD, batch, chunks - 1 - chunk))
    behind = pp - 1 - stage
    first = min(count * chunks, 2 * behind + (chunks - 1) * pp if chunks > 1 else behind)
    yield from forward[:first]
    for place, step in enumerate(backward):
        yield from forward[first + place : first + place + 1]
        yield step


def _delayed(pp: int, stage: int, count: int) -> Iterator[Step]:
    """1F1B whose gradients of weights come as many micro-batches later as stages lie before (ZB-H1)."""
    first = min(count, pp - 1 - stage)
    yield from (Step(FORWARD, batch) for batch in range(first))
    for batch in range(count):
        if first + batch < count:
            yield Step(FORWARD, first + batch)
        yield Step(INPUTS, batch)
        if batch >= stage:
            yield Step(WEIGHTS, batch - stage)
    yield from (Step(WEIGHTS, batch) for batch in range(max(count - stage, 0), count))


def pipeline_timeline(
    stages: Sequence[StageTimes],
    num_micro_batches: int,
    *,
    schedule: str = "1f1b",
    interleave: int = 1,
    hop_s: float = 0.0,
) -> tuple[TimelineBox, ...]:
    """When each stage computes which pass of which micro-batch.

    Every stage keeps the fixed order of its schedule, and begins a pass once the one before is done and its
    input has arrived.

    Parameters
    ----------
    stages
        Times of each stage, in their order.
    num_micro_batches, interleave
        Micro-batches of a step, and virtual stages a stage, which take equal shares of its time.
    schedule
        One of `farthing.predict.pipeline.SCHEDULES`.
    hop_s
        Transfer to another stage, which delays only what waits for it [s].

    Returns
    -------
    tuple of TimelineBox
        In the order of the stages, and of time [s].

    Raises
    ------
    UnknownName
        No such schedule.
    InvalidInput
        Interleaving with micro-batches that are no multiple of the stages.

    References
    ----------
    huang-2019, narayanan-2019, narayanan-2021, qi-2023

    Examples
    --------
    Four stages, 16 micro-batches, forwards of 1 s and backwards of 2 s: 48 s of work and a bubble of 9 s.

    >>> found = pipeline_timeline([StageTimes(forward_s=1.0, backward_s=2.0)] * 4, 16)
    >>> max(box.end_s for box in found), len(found)
    (57.0, 128)
    """
    pp = len(stages)
    orders = [
        stage_order(schedule, pp, stage, num_micro_batches, interleave=interleave) for stage in range(pp)
    ]
    ends: dict[tuple[int, Step], float] = {}
    found: list[list[TimelineBox]] = [[] for _ in stages]
    clock = [0.0] * pp
    open_stages = True
    while open_stages:
        open_stages = False
        for stage in range(pp):
            order, boxes = orders[stage], found[stage]
            while len(boxes) < len(order):
                step = order[len(boxes)]
                source = _needed(step, stage, pp, interleave)
                if source is not None and source not in ends:
                    break
                ready = 0.0
                if source is not None:
                    ready = ends[source] + (hop_s if source[0] != stage else 0.0)
                start = max(clock[stage], ready)
                clock[stage] = ends[stage, step] = start + _lasts(step, stages[stage]) / interleave
                boxes.append(
                    TimelineBox(
                        stage=stage,
                        kind=step.kind,
                        micro_batch=step.micro_batch,
                        virtual_stage=step.virtual_stage,
                        start_s=start,
                        end_s=clock[stage],
                    )
                )
                open_stages = True
    return tuple(box for boxes in found for box in boxes)


def _lasts(step: Step, times: StageTimes) -> float:
    if step.kind == FORWARD:
        return times.forward_s
    if step.kind == WEIGHTS:
        return times.weight_gradient_s
    return times.backward_s - (times.weight_gradient_s if step.kind == INPUTS else 0.0)


def _needed(step: Step, stage: int, pp: int, chunks: int) -> tuple[int, Step] | None:
    """The stage and the pass that a pass's input comes from; none for the first."""
    batch, chunk = step.micro_batch, step.virtual_stage
    if step.kind == WEIGHTS:
        return stage, Step(INPUTS, batch, chunk)
    toward, begin, last = (-1, 0, 0) if step.kind == FORWARD else (1, pp - 1, chunks - 1)
    if stage != begin:
        return stage + toward, step
    if chunk != last:
        # From the other end of the pipeline, where the virtual stage before lies.
        return pp - 1 - begin, Step(step.kind, batch, chunk + toward)
    return None if step.kind == FORWARD else (stage, Step(FORWARD, batch, chunk))
