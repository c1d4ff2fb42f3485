"""Charts of a training run: memory of each stage, the step pass by pass, and where its time goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, get_args

from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.estimate import MemoryUse, TrainingEstimate
from farthing.records.step_timeline import PassKind, StepTimeline, TimelineBox
from farthing.report.inference_charts import memory_chart, sensitivity_chart, time_chart
from farthing.units import MILLISECOND, format_seconds

ROWS: Final = 16
"""Stages that are drawn of a pipeline that has more."""

BOXES: Final = 2000
"""Bars that are drawn at most: more are slow to draw and too small to see."""


def training_charts(
    estimate: TrainingEstimate, stages: Sequence[MemoryUse] = (), step: StepTimeline | None = None
) -> list[Chart]:
    """What an estimate looks like; a chart without anything to draw is left out.

    Parameters
    ----------
    estimate
        Of one plan.
    stages
        Memory of a card of each pipeline stage; without, that of the fullest card is drawn.
    step
        The step pass by pass; drawn where there is a pipeline.

    Examples
    --------
    >>> import farthing
    >>> from farthing import api
    >>> found = farthing.train("llama-2-7b", "1x8:a100-sxm-80gb", tp=4, pp=2)
    >>> step = api.step_timeline("llama-2-7b", "1x8:a100-sxm-80gb", workload=found.workload, plan=found.plan)
    >>> [chart.title for chart in training_charts(found, step=step)]
    ['Memory of the fullest card', 'The step, pass by pass', "Where the step's time goes"]
    """
    return [chart for chart in _charts(estimate, stages, step) if any(one.points for one in chart.series)]


def _charts(
    estimate: TrainingEstimate, stages: Sequence[MemoryUse], step: StepTimeline | None
) -> Iterator[Chart]:
    if len(stages) > 1:
        yield stages_chart(estimate, stages)
    else:
        subject = f"{estimate.model} on {estimate.cluster}."
        yield memory_chart({"fullest card": estimate.memory}, "Memory of the fullest card", subject)
    if step is not None and step.stages > 1:
        yield timeline_chart(step)
    yield time_chart(
        "Where the step's time goes",
        estimate.parts,
        f"{format_seconds(estimate.step_s)} a step; MFU {estimate.mfu:.1%}.",
    )
    if estimate.sensitivity:
        yield sensitivity_chart(estimate.sensitivity)


def stages_chart(estimate: TrainingEstimate, stages: Sequence[MemoryUse]) -> Chart:
    """Memory of a card of each pipeline stage.

    Parameters
    ----------
    estimate
        Of one plan.
    stages
        Of its stages; some evenly between stand for very many.
    """
    subject = f"{estimate.model} on {estimate.cluster}."
    shown = spread_out(len(stages), ROWS)
    if len(shown) < len(stages):
        subject += f" {len(shown)} of {len(stages)} stages."
    cards = {f"stage {number + 1}": stages[number] for number in shown}
    return memory_chart(cards, "Memory of a card of each stage", subject)


def spread_out(count: int, most: int) -> list[int]:
    """Numbers from 0 that stand for all of them: the first, the last and some evenly between.

    Parameters
    ----------
    count
        How many there are.
    most
        How many are wanted at most, two or more.

    Examples
    --------
    >>> spread_out(3, 8), spread_out(64, 4)
    ([0, 1, 2], [0, 21, 42, 63])
    """
    if count <= most:
        return list(range(count))
    return [round(number * (count - 1) / (most - 1)) for number in range(most)]


def timeline_chart(step: StepTimeline) -> Chart:
    """A row for each stage, a bar for each pass, and what follows all of them.

    Parameters
    ----------
    step
        As `farthing.api.step_timeline` says it.
    """
    each = max(len(step.boxes) // step.stages, 1)
    shown = set(spread_out(step.stages, max(min(ROWS, BOXES // each), 2)))
    scale, unit = (1.0, "s") if step.step_s - step.left_out_s >= 2 else (MILLISECOND, "ms")
    several = len({box.virtual_stage for box in step.boxes}) > 1
    series = []
    for kind in get_args(PassKind):
        boxes = [box for box in step.boxes if box.kind == kind and box.stage in shown]
        points = tuple(_bar(box, scale, several) for box in boxes)
        if points:
            series.append(Series(name=kind, points=points))
    words = [f"Schedule {step.schedule}, {_counted(step.micro_batches, 'micro-batch', 'es')}; grey: idle."]
    left_out = step.micro_batches - step.played_micro_batches
    if left_out:
        words.append(
            f"{left_out:,} of them, which repeat the middle for {format_seconds(step.left_out_s)} more, are "
            "left out."
        )
    if len(shown) < step.stages:
        words.append(f"{len(shown)} of {step.stages} stages.")
    return Chart(
        title="The step, pass by pass",
        kind="timeline",
        x=Axis(title="time", unit=unit),
        y=Axis(title="stage"),
        series=tuple(series),
        note=" ".join(words),
    )


def _bar(box: TimelineBox, scale: float, several: bool) -> Point:
    detail = f"micro-batch {box.micro_batch + 1}" if box.micro_batch >= 0 else ""
    if several and detail:
        detail += f", virtual stage {box.virtual_stage + 1}"
    lasts = format_seconds(box.end_s - box.start_s)
    return Point(
        start=box.start_s / scale,
        x=box.end_s / scale,
        label=f"stage {box.stage + 1}",
        sign=str(box.micro_batch + 1) if box.micro_batch >= 0 else "",
        detail=f"{detail}, {lasts}" if detail else lasts,
    )


def _counted(number: int, one: str, ending: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else ending}"
