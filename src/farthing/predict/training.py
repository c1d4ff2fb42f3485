"""Time of one optimizer step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from farthing.predict.compute import elementwise_time_s, matmul_time_s
from farthing.predict.device import Device
from farthing.predict.memory import MASKED_SHARE
from farthing.predict.stages import Stage, layer_kinds, predictor_kind, stages
from farthing.predict.trace import Number, formula, larger, named, select, smaller
from farthing.predict.training_layer import Parts, Setting, layer_parts
from farthing.predict.training_traffic import (
    data_parallel_axes,
    data_parallel_time_s,
    hide_hops,
    hop_time_s,
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
    micro_batches = workload.global_batch_size / (plan.dp * plan.micro_batch_size)
    last = _last_stage(setting, micro_batches)
    busy = last.busy * micro_batches
    optimizer = update_time_s(
        setting, card_to_host_bytes_per_s=card_to_host_bytes_per_s, host_bytes_per_s=host_bytes_per_s
    ) + streamed_weights_time_s(
        setting,
        busy_s=busy,
        micro_batches=micro_batches,
        card_to_host_bytes_per_s=card_to_host_bytes_per_s,
    )
    step = named("step_time_s", last.passes + last.traffic + optimizer + host_s, reference="narayanan-2021")
    parts = last.parts
    return TrainingTime(
        forward_s=parts.forward * micro_batches,
        backward_s=parts.backward * micro_batches,
        recompute_s=parts.recompute * micro_batches,
        tensor_parallel_s=parts.tensor_parallel * micro_batches,
        context_parallel_s=parts.context_parallel * micro_batches,
        expert_parallel_s=parts.expert_parallel * micro_batches,
        pipeline_hop_s=parts.hop * micro_batches,
        launch_s=parts.launch * micro_batches,
        pipeline_bubble_s=last.passes - busy,
        data_parallel_s=last.traffic,
        optimizer_s=optimizer,
        host_s=host_s,
        step_s=step,
    )


@dataclass(frozen=True, slots=True)
class _Ending:
    """The stage that ends last: times of one micro-batch on it, and of all passes and of its traffic [s]."""

    parts: Parts
    busy: Number
    passes: Number
    traffic: Number


def _last_stage(setting: Setting, micro_batches: Number) -> _Ending:
    """Each stage waits for its own data-parallel traffic: the step ends with the last of them."""
    plan = setting.plan
    unlike: list[tuple[Stage, Parts, Number, Number]] = []
    fill: Number = 0.0
    for stage, parts in _stage_parts(setting):
        # Zero-bubble fills the ramp with the gradients of weights, which nothing waits for.
        total = named(f"{_place(stage)}, one micro-batch_s", parts.total)
        ramp = total
        if plan.schedule == "zero-bubble":
            waiting = (smaller(micro_batches, plan.pp) - 1) / larger(plan.pp - 1, 1)
            ramp = larger(total - parts.weight_gradient * (1 + waiting), 0.0)
        fill = fill + stage.copies * ramp
        unlike.append((stage, parts, total, ramp))
    axes = data_parallel_axes(setting)
    found: _Ending | None = None
    last: Number = 0.0
    for stage, parts, total, ramp in unlike:
        passes = pipelined_time_s(
            total, larger(fill - ramp, 0.0), num_micro_batches=micro_batches, interleave=plan.interleave
        )
        traffic = data_parallel_time_s(setting, axes, stage, parts, micro_batches)
        ends = passes + traffic
        if found is None:
            found, last = _Ending(parts, total, passes, traffic), ends
            continue
        later = ends > last
        last = select(later, ends, last)
        found = _Ending(
            _slower(later, parts, found.parts),
            select(later, total, found.busy),
            select(later, passes, found.passes),
            select(later, traffic, found.traffic),
        )
    assert found is not None  # a model has at least one stage
    return found


def _stage_parts(setting: Setting) -> list[tuple[Stage, Parts]]:
    """The unlike stages, and the times of one micro-batch on each."""
    plan = setting.plan
    per_kind = [layer_parts(setting, kind) for kind in layer_kinds(setting.model)]
    hop = hop_time_s(setting)
    head_forward, head_backward = _head_s(setting.model, setting.device, setting.workload, plan)
    found = []
    for stage in stages(setting.model, plan.pp):
        parts = Parts()
        for count, layer in zip(stage.counts, per_kind, strict=True):
            for field in Parts.__dataclass_fields__:
                setattr(parts, field, getattr(parts, field) + count * getattr(layer, field))
        # Each predictor is a full layer and one more product with the head; the layout of the stages shares
        # that work out.
        heads = stage.last + setting.workload.predictors / plan.pp
        parts.forward = parts.forward + heads * head_forward
        parts.backward = parts.backward + heads * head_backward
        if setting.workload.predictors:
            _add_predictors(setting, parts, setting.workload.predictors / plan.pp)
        hide_hops(setting, parts, 2 * hop * plan.interleave)
        found.append((stage, parts))
    return found


def _add_predictors(setting: Setting, parts: Parts, count: Number) -> None:
    """Layers of multi-token prediction: full attention and the model's last feed-forward, with a projection
    of the hidden state and an embedding together (Megatron-Core, multi_token_prediction.py)."""
    model, device = setting.model, setting.device
    layer = layer_parts(setting, predictor_kind(model))
    joined = matmul_time_s(setting.rows, model.hidden / setting.plan.tp, 2 * model.hidden, device=device)
    for field in Parts.__dataclass_fields__:
        setattr(parts, field, getattr(parts, field) + count * getattr(layer, field))
    parts.forward = parts.forward + count * joined
    parts.backward = parts.backward + count * 2 * joined


def _place(stage: Stage) -> str:
    if isinstance(stage.first, np.ndarray):
        return "stage"
    return {(1, 1): "all layers", (1, 0): "first stage", (0, 1): "last stage"}.get(
        (stage.first, stage.last), "middle stage"
    )


def _slower(slower: Number, a: Parts, b: Parts) -> Parts:
    if not isinstance(slower, np.ndarray):
        return a if slower else b
    return Parts(**{f: select(slower, getattr(a, f), getattr(b, f)) for f in Parts.__dataclass_fields__})


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
