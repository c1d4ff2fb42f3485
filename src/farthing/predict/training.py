"""Time of one optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farthing.predict.compute import elementwise_time_s, matmul_time_s
from farthing.predict.device import Device
from farthing.predict.memory import MASKED_SHARE
from farthing.predict.stages import Stage, layer_kinds, plan_stages, predictor_kind
from farthing.predict.trace import Number, formula, larger, named, select, smaller
from farthing.predict.training_layer import LayerPasses, Parts, Setting, layer_parts, layer_passes
from farthing.predict.training_traffic import (
    data_parallel_axes,
    data_parallel_time_s,
    free_passes_s,
    hide_hops,
    hop_time_s,
    stage_collectives_s,
)
from farthing.predict.training_update import streamed_weights_time_s, update_time_s
from farthing.records.efficiency import IDEAL, Efficiency
from farthing.records.hardware import Cluster, HostGroup
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTime:
    """Seconds of one optimizer step, by what they go to; scalar or column. The parts sum to ``step_s``.

    ``forward_s`` to ``launch_s`` are those of the stage that ends last, over all its micro-batches;
    ``launch_s`` is what it waits for a host that issues kernels more slowly than the device runs them, and
    ``host_s`` the host's own time at each step.
    """

    forward_s: Number
    backward_s: Number
    recompute_s: Number
    tensor_parallel_s: Number
    context_parallel_s: Number
    expert_parallel_s: Number
    pipeline_hop_s: Number
    launch_s: Number
    pipeline_bubble_s: Number
    data_parallel_s: Number
    optimizer_s: Number
    host_s: Number
    step_s: Number


@formula(reference="narayanan-2021")
def pipelined_time_s(
    slowest_s: Number, others_s: Number, *, num_micro_batches: Number, interleave: Number = 1
) -> Number:
    """Time of all micro-batches through a pipeline: the slowest stage takes each, the others fill and drain.

    Parameters
    ----------
    slowest_s
        Forward and backward of one micro-batch on the slowest stage [s], scalar or column.
    others_s
        What the other stages together add to fill and drain [s].
    num_micro_batches, interleave
        Counts.

    Returns
    -------
    Number
        [s]

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> pipelined_time_s(1.0, 7.0, num_micro_batches=64)
    71.0
    """
    return num_micro_batches * slowest_s + others_s / interleave


def training_time(
    model: Model,
    cluster: Cluster,
    group: HostGroup,
    device: Device,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    *,
    efficiency: Efficiency = IDEAL,
    weight_bytes_per_parameter: float = 2.0,
    gradient_bytes_per_parameter: float = 2.0,
    card_to_host_bytes_per_s: float = 0.0,
    host_bytes_per_s: float = 0.0,
    launch_s: float = 0.0,
    host_s: float = 0.0,
    dispatch_once: bool = False,
) -> TrainingTime:
    """Time of one optimizer step.

    Cards are numbered tensor parallel first, then context, data and pipeline, as Megatron does: pipeline
    neighbours are the furthest apart.

    Parameters
    ----------
    model, cluster, group, device, workload, plan
        What runs where; sizes of the plan may be columns.
    efficiency
        Constants of the architecture.
    weight_bytes_per_parameter, gradient_bytes_per_parameter
        Of the plan's formats [byte].
    card_to_host_bytes_per_s, host_bytes_per_s
        Between a card and what it offloads, and of the memory or drive that holds it [byte/s]; for plans that
        offload.
    launch_s, host_s
        Host time to issue one kernel, which counts where a pass of a layer is issued more slowly than it
        runs, and of a step [s].
    dispatch_once
        Whether a token of a mixture crosses to a card once, however many of its experts are there.

    Returns
    -------
    TrainingTime
        [s]

    References
    ----------
    narayanan-2021, korthikanti-2022, rajbhandari-2020

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> time = training_time(model("llama-2-7b"), cluster, cluster.groups[0],
    ...     device(accelerator("a100-sxm-80gb"), "bf16"),
    ...     TrainingWorkload(sequence_tokens=4096, global_batch_size=8), TrainingPlan(tp=8))
    >>> 0.5 < time.step_s < 2
    True
    """
    setting = Setting(
        model=model,
        cluster=cluster,
        group=group,
        device=device,
        workload=workload,
        plan=plan,
        efficiency=efficiency,
        weight_size=weight_bytes_per_parameter,
        gradient_size=gradient_bytes_per_parameter,
        launch_s=launch_s,
        dispatch_once=dispatch_once,
    )
    return setting_time(
        setting,
        card_to_host_bytes_per_s=card_to_host_bytes_per_s,
        host_bytes_per_s=host_bytes_per_s,
        host_s=host_s,
    )


def setting_time(
    setting: Setting,
    *,
    card_to_host_bytes_per_s: float = 0.0,
    host_bytes_per_s: float = 0.0,
    host_s: float = 0.0,
) -> TrainingTime:
    """`training_time` of what is put together already.

    Parameters
    ----------
    setting
        What runs where.
    card_to_host_bytes_per_s, host_bytes_per_s, host_s
        As in `training_time`.

    Returns
    -------
    TrainingTime
        [s]

    References
    ----------
    narayanan-2021, korthikanti-2022, rajbhandari-2020

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=8),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> 0.5 < setting_time(setting).step_s < 2
    True
    """
    workload, plan = setting.workload, setting.plan
    micro_batches = workload.global_batch_size / (plan.dp * plan.micro_batch_size)
    found = stage_passes(setting, layer_times(setting), micro_batches)
    axes = data_parallel_axes(setting)
    traffic = [
        data_parallel_time_s(setting, stage_collectives_s(setting, axes, one.stage), one.free, micro_batches)
        for one in found
    ]
    last = last_to_end([one.passes + own for one, own in zip(found, traffic, strict=True)])
    parts = last.of_parts([one.parts for one in found])
    passes, waiting = last.of([one.passes for one in found]), last.of(traffic)
    busy = last.of([one.busy for one in found]) * micro_batches
    optimizer = update_time_s(
        setting, card_to_host_bytes_per_s=card_to_host_bytes_per_s, host_bytes_per_s=host_bytes_per_s
    ) + streamed_weights_time_s(
        setting,
        busy_s=busy,
        micro_batches=micro_batches,
        card_to_host_bytes_per_s=card_to_host_bytes_per_s,
    )
    step = named("step_time_s", passes + waiting + optimizer + host_s, reference="narayanan-2021")
    return TrainingTime(
        forward_s=parts.forward * micro_batches,
        backward_s=parts.backward * micro_batches,
        recompute_s=parts.recompute * micro_batches,
        tensor_parallel_s=parts.tensor_parallel * micro_batches,
        context_parallel_s=parts.context_parallel * micro_batches,
        expert_parallel_s=parts.expert_parallel * micro_batches,
        pipeline_hop_s=parts.hop * micro_batches,
        launch_s=parts.launch * micro_batches,
        pipeline_bubble_s=passes - busy,
        data_parallel_s=waiting,
        optimizer_s=optimizer,
        host_s=host_s,
        step_s=step,
    )


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """What stages are made of: times of one micro-batch [s].

    ``kinds`` are the model's kinds of layer, ``predictor`` a layer that predicts further ahead; both ends of
    the head count the loss.
    """

    kinds: tuple[Parts, ...]
    head_forward: Number
    head_backward: Number
    predictor: Parts | None


@dataclass(frozen=True, slots=True)
class PassTimes:
    """Passes of one micro-batch through what stages are made of, but for exchanges between cards [s].

    ``kinds`` and ``predictor`` as in `LayerTimes`; ``joined`` is the predictor's projection. Both ends of the
    head count the loss.
    """

    kinds: tuple[LayerPasses, ...]
    head_forward: Number
    head_backward: Number
    predictor: LayerPasses | None
    joined: Number


@dataclass(frozen=True, slots=True)
class StagePasses:
    """Times on stages that are alike [s]: parts and sum of one micro-batch, all passes of a step, and
    `free_passes_s` of one micro-batch."""

    stage: Stage
    parts: Parts
    busy: Number
    passes: Number
    free: tuple[Number, Number]


@dataclass(frozen=True, slots=True)
class Last:
    """Which of several stages ends last: for each but the first, whether it is later than those before."""

    later: tuple[Any, ...]

    def of(self, values: Sequence[Number]) -> Number:
        """That stage's value."""
        found = values[0]
        for later, value in zip(self.later, values[1:], strict=True):
            found = select(later, value, found)
        return found

    def of_parts(self, parts: Sequence[Parts]) -> Parts:
        """That stage's parts."""
        if not any(isinstance(later, np.ndarray) for later in self.later):
            return parts[max((i + 1 for i, later in enumerate(self.later) if later), default=0)]
        return Parts(**{f: self.of([getattr(one, f) for one in parts]) for f in Parts.__dataclass_fields__})


def last_to_end(ends: Sequence[Number]) -> Last:
    """The stage with the latest end, the first of equal ones: a step lasts until all have ended.

    Parameters
    ----------
    ends
        Of each stage [s], scalar or column.

    Returns
    -------
    Last

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> last_to_end([1.0, 3.0, 2.0]).of(["first", "middle", "last"])
    'middle'
    """
    found, latest = [], ends[0]
    for end in ends[1:]:
        later = end > latest
        latest = select(later, end, latest)
        found.append(later)
    return Last(tuple(found))


def pass_times(setting: Setting) -> PassTimes:
    """Times of one micro-batch through each kind of layer and through the head, each card on its own.

    Parameters
    ----------
    setting
        What runs where; recomputation and the sharding of states play no part.

    Returns
    -------
    PassTimes
        [s]

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=8),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> times = pass_times(setting)
    >>> len(times.kinds), times.predictor is None
    (1, True)
    """
    model, workload, device = setting.model, setting.workload, setting.device
    forward, backward = _head_s(model, device, workload, setting.plan)
    predictor, joined = None, 0.0
    if workload.predictors:
        # Full attention and the model's last feed-forward, with a projection of the hidden state and an
        # embedding together (Megatron-Core, multi_token_prediction.py).
        predictor = layer_passes(setting, predictor_kind(model))
        joined = matmul_time_s(setting.rows, model.hidden / setting.plan.tp, 2 * model.hidden, device=device)
    return PassTimes(
        tuple(layer_passes(setting, kind) for kind in layer_kinds(model)),
        forward,
        backward,
        predictor,
        joined,
    )


def layer_times(setting: Setting, passes: PassTimes | None = None) -> LayerTimes:
    """Times of one micro-batch through each kind of layer, and through the head.

    Pipeline, schedule and the sharding of states play no part, so that a search shares them among plans.

    Parameters
    ----------
    setting
        What runs where.
    passes
        `pass_times`, where they are known.

    Returns
    -------
    LayerTimes
        [s]

    References
    ----------
    narayanan-2021, korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=8),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> times = layer_times(setting)
    >>> len(times.kinds), times.head_backward > times.head_forward
    (1, True)
    """
    passes = passes or pass_times(setting)
    predictor = None
    if passes.predictor is not None:
        predictor = layer_parts(setting, predictor_kind(setting.model), passes.predictor)
        predictor.forward = predictor.forward + passes.joined
        predictor.backward = predictor.backward + 2 * passes.joined
    return LayerTimes(
        tuple(
            layer_parts(setting, kind, alone)
            for kind, alone in zip(layer_kinds(setting.model), passes.kinds, strict=True)
        ),
        passes.head_forward,
        passes.head_backward,
        predictor,
    )


def stage_passes(setting: Setting, layers: LayerTimes, micro_batches: Number) -> list[StagePasses]:
    """Times of all micro-batches on each unlike stage: the slowest sets the pace, the others fill and drain.

    Parameters
    ----------
    setting
        What runs where.
    layers
        `layer_times`.
    micro_batches
        Of a step, scalar or column.

    Returns
    -------
    list of StagePasses
        [s]

    References
    ----------
    narayanan-2021, qi-2023

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> cluster = parse_cluster("2x8:a100-sxm-80gb@ib-hdr")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=4, pp=4),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> [(one.stage.layers, one.passes > 8 * one.busy) for one in
    ...  stage_passes(setting, layer_times(setting), 8)]
    [(8, True), (8, True), (8, True)]
    """
    plan = setting.plan
    unlike: list[tuple[Stage, Parts, Number, Number]] = []
    fill: Number = 0.0
    for stage, parts in _stage_parts(setting, layers):
        # Zero-bubble fills the ramp with the gradients of weights, which nothing waits for.
        total = named(f"{_place(stage)}, one micro-batch_s", parts.total)
        ramp = total
        if plan.schedule == "zero-bubble":
            waiting = (smaller(micro_batches, plan.pp) - 1) / larger(plan.pp - 1, 1)
            ramp = larger(total - parts.weight_gradient * (1 + waiting), 0.0)
        fill = fill + stage.copies * ramp
        unlike.append((stage, parts, total, ramp))
    return [
        StagePasses(
            stage,
            parts,
            total,
            pipelined_time_s(
                total, larger(fill - ramp, 0.0), num_micro_batches=micro_batches, interleave=plan.interleave
            ),
            free_passes_s(parts),
        )
        for stage, parts, total, ramp in unlike
    ]


def _stage_parts(setting: Setting, layers: LayerTimes) -> list[tuple[Stage, Parts]]:
    """The unlike stages, and the times of one micro-batch on each."""
    plan = setting.plan
    hop = hop_time_s(setting)
    found = []
    for stage in plan_stages(setting.model, plan):
        parts = Parts()
        for count, layer in zip(stage.counts, layers.kinds, strict=True):
            _add(parts, layer, count)
        # Each predictor is a full layer and one more product with the head; the layout of the stages shares
        # that work out.
        predictors = setting.workload.predictors / plan.pp
        heads = stage.last + predictors
        parts.forward = parts.forward + heads * layers.head_forward
        parts.backward = parts.backward + heads * layers.head_backward
        if layers.predictor is not None:
            _add(parts, layers.predictor, predictors)
        hide_hops(setting, parts, 2 * hop * plan.interleave)
        found.append((stage, parts))
    return found


def _add(parts: Parts, other: Parts, times: Number) -> None:
    for field in Parts.__dataclass_fields__:
        setattr(parts, field, getattr(parts, field) + times * getattr(other, field))


def _place(stage: Stage) -> str:
    if isinstance(stage.first, np.ndarray):
        return "stage"
    return {(1, 1): "all layers", (1, 0): "first stage", (0, 1): "last stage"}.get(
        (stage.first, stage.last), "middle stage"
    )


def _head_s(
    model: Model, device: Device, workload: TrainingWorkload, plan: TrainingPlan
) -> tuple[Number, Number]:
    """LM head and loss of one micro-batch, forward and backward [s]."""
    rows = plan.micro_batch_size * (workload.sequence_tokens / plan.cp)
    if model.encoder:
        rows = rows * MASKED_SHARE
    width = model.vocab / plan.tp
    # Logits read, fp32 copy written and read by the softmax.
    size = device.activation_bytes
    logits = elementwise_time_s(
        rows * width * (8.0 + size) * device.elementwise_factor, device=device, kernels=3
    )
    loss = named("loss_s", logits)
    forward = named("head_s", matmul_time_s(rows, width, model.hidden, device=device)) + loss
    inputs = named("head, gradient of inputs_s", matmul_time_s(rows, model.hidden, width, device=device))
    if workload.lora_rank:
        return named("head and loss_s", forward), named("backward of head and loss_s", inputs + loss)
    weights = named("head, gradient of weights_s", matmul_time_s(width, model.hidden, rows, device=device))
    return named("head and loss_s", forward), named("backward of head and loss_s", inputs + weights + loss)
