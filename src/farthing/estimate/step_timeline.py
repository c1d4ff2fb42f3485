"""One training step pass by pass, from the times of the estimate's own stages."""

from __future__ import annotations

from typing import Final

from farthing.estimate.training import TrainingRun
from farthing.predict.pipeline_timeline import StageTimes, pipeline_timeline
from farthing.predict.stages import Stage, each_stage
from farthing.predict.training import StagePasses, layer_times, stage_passes
from farthing.predict.training_layer import Parts
from farthing.predict.training_traffic import (
    data_parallel_axes,
    data_parallel_time_s,
    free_passes_s,
    stage_collectives_s,
)
from farthing.records.step_timeline import PassKind, StepTimeline, TimelineBox

PLAYED: Final = 32
"""Micro-batches that are played of a step that has more, and at least as many as stages."""


def step_timeline(run: TrainingRun) -> StepTimeline:
    """When each stage does what in one step.

    Hops are part of the passes, as in the estimate; traffic between replicas that passes do not hide follows
    all of them, also where engines spread it over the step; all stages update when the last has its
    gradients.
    """
    workload, plan = run.workload, run.plan
    setting, time = run.setting, run.time()
    micro_batches = workload.global_batch_size // (plan.dp * plan.micro_batch_size)
    unlike = stage_passes(setting, layer_times(setting), micro_batches)
    axes = data_parallel_axes(setting)
    waits = [
        float(
            data_parallel_time_s(
                setting,
                stage_collectives_s(setting, axes, one.stage),
                free_passes_s(one.parts),
                micro_batches,
            )
        )
        for one in unlike
    ]
    which = [_alike(stage, unlike) for stage in each_stage(run.about.model, plan)]
    times = [_stage_times(unlike[number].parts, setting.forwards) for number in which]
    played = _played(micro_batches, plan.pp)
    passes = pipeline_timeline(times, played, schedule=plan.schedule, interleave=plan.interleave)
    left_out_s = (micro_batches - played) * max(one.forward_s + one.backward_s for one in times)
    ends = [max(box.end_s for box in passes if box.stage == stage) for stage in range(plan.pp)]
    reduced = [end + waits[number] for end, number in zip(ends, which, strict=True)]
    step_s = max(reduced) + float(time.optimizer_s) + float(time.host_s)
    boxes = [box for box in passes if box.end_s > box.start_s]
    for stage, end in enumerate(ends):
        stretches: list[tuple[PassKind, float, float]] = [
            ("data-parallel traffic", end, reduced[stage]),
            ("optimizer and host", max(reduced), step_s),
        ]
        boxes += [
            TimelineBox(stage=stage, kind=kind, micro_batch=-1, virtual_stage=0, start_s=start_s, end_s=end_s)
            for kind, start_s, end_s in stretches
            if end_s > start_s
        ]
    return StepTimeline(
        schedule=plan.schedule,
        stages=plan.pp,
        micro_batches=micro_batches,
        played_micro_batches=played,
        step_s=step_s + left_out_s,
        left_out_s=left_out_s,
        boxes=tuple(sorted(boxes, key=lambda box: (box.stage, box.start_s))),
    )


def _alike(stage: Stage, unlike: list[StagePasses]) -> int:
    """Which of the unlike stages a stage is like."""
    key = (stage.counts, stage.first, stage.last)
    return next(
        number
        for number, one in enumerate(unlike)
        if (one.stage.counts, one.stage.first, one.stage.last) == key
    )


def _played(micro_batches: int, pp: int) -> int:
    """Micro-batches that are played: a multiple of the stages, as interleaving needs it, or all."""
    enough = max(PLAYED // pp, 1) * pp
    return micro_batches if micro_batches <= max(PLAYED, pp) else enough


def _stage_times(parts: Parts, forwards: float) -> StageTimes:
    """Passes of one micro-batch; exchanges are dealt out in proportion to the passes that make them.

    The forward pass that is computed again belongs to the backward pass.
    """
    exchanges = parts.tensor_parallel + parts.expert_parallel + parts.launch
    # A backward pass exchanges keys and values twice.
    forward = (
        parts.forward + exchanges / (forwards + 1) + parts.context_parallel / (forwards + 2) + parts.hop / 2
    )
    return StageTimes(
        forward_s=float(forward),
        backward_s=float(parts.total - forward),
        weight_gradient_s=float(parts.weight_gradient),
    )
