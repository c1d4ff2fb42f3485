"""Time of one optimizer step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.predict.adapters import adapter_time, conversion_time
from farthing.predict.communication import (
    Axis,
    all_reduce_time_s,
    axis_all_gather_time_s,
    axis_all_to_all_time_s,
    exposed_time_s,
    point_to_point_time_s,
)
from farthing.predict.compute import elementwise_time_s, matmul_time_s
from farthing.predict.device import Device
from farthing.predict.fabric import parallel_axis
from farthing.predict.kv_cache import attention_shape
from farthing.predict.layer import Shards, training_backward_time, training_forward_time
from farthing.predict.memory import MASKED_SHARE, adapted_kind, optimizer_bytes_per_parameter
from farthing.predict.parameters import total_parameters
from farthing.predict.sharding import expert_tp_of, stage_lora_parameters, stage_parameters
from farthing.predict.stages import Stage, layer_kinds, stages
from farthing.predict.trace import Number, formula, larger, named, select, smaller
from farthing.records.efficiency import IDEAL, Efficiency
from farthing.records.hardware import Cluster, HostGroup
from farthing.records.model import LayerKind, Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

LOW_BIT_BYTES: Final = 0.8
"""Weights stored in less are frozen and turned into 16 bits before each use."""


GATHER_KERNELS: Final = 40
"""Kernels in whose time a host prepares and frees the gathered weights of one layer: ZeRO-3 and FSDP run
hooks, copies and collectives around each. An assumption of that order."""


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


def update_bytes_per_parameter(optimizer: str) -> float:
    """Bytes that an update moves for each parameter: gradient in, states in and out, 16-bit weight out.

    Parameters
    ----------
    optimizer
        As in `optimizer_bytes_per_parameter`.

    Returns
    -------
    float
        [byte]

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> update_bytes_per_parameter("adam")
    30.0
    """
    return 4.0 + 2.0 * optimizer_bytes_per_parameter(optimizer) + 2.0


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


@dataclass(slots=True)
class _Parts:
    """Time of one micro-batch on one stage, by part [s]."""

    forward: Number = 0.0
    backward: Number = 0.0
    weight_gradient: Number = 0.0
    recompute: Number = 0.0
    tensor_parallel: Number = 0.0
    context_parallel: Number = 0.0
    expert_parallel: Number = 0.0
    hop: Number = 0.0
    launch: Number = 0.0
    # Traffic that runs under the passes already: no other traffic can hide there.
    hidden_forward: Number = 0.0
    hidden_backward: Number = 0.0

    @property
    def total(self) -> Number:
        return (
            self.forward
            + self.backward
            + self.recompute
            + self.tensor_parallel
            + self.context_parallel
            + self.expert_parallel
            + self.hop
            + self.launch
        )


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
    micro_batches = workload.global_batch_size / (plan.dp * plan.micro_batch_size)
    kinds = layer_kinds(model)
    per_kind = [
        _layer_parts(
            model,
            kind,
            cluster,
            group,
            device,
            workload,
            plan,
            efficiency,
            weight_bytes_per_parameter,
            launch_s,
        )
        for kind in kinds
    ]
    hop = _hop_s(model, cluster, group, workload, plan, efficiency)
    head_forward, head_backward = _head_s(model, device, workload, plan)
    unlike: list[tuple[Stage, _Parts, Number, Number]] = []
    fill: Number = 0.0
    for stage in stages(model, plan.pp):
        parts = _Parts()
        for count, layer in zip(stage.counts, per_kind, strict=True):
            for field in _Parts.__dataclass_fields__:
                setattr(parts, field, getattr(parts, field) + count * getattr(layer, field))
        parts.forward = parts.forward + stage.last * head_forward
        parts.backward = parts.backward + stage.last * head_backward
        _hide_hops(2 * hop * plan.interleave, parts, plan)
        # Zero-bubble fills the ramp with the gradients of weights, which nothing waits for.
        total = named(f"{_place(stage)}, one micro-batch_s", parts.total)
        ramp = total
        if plan.schedule == "zero-bubble":
            waiting = (smaller(micro_batches, plan.pp) - 1) / larger(plan.pp - 1, 1)
            ramp = larger(total - parts.weight_gradient * (1 + waiting), 0.0)
        fill = fill + stage.copies * ramp
        unlike.append((stage, parts, total, ramp))
    # Each stage waits for its own data-parallel traffic: the step ends with the last of them.
    slowest: _Parts | None = None
    last: Number = 0.0
    busy: Number = 0.0
    compute: Number = 0.0
    data_parallel: Number = 0.0
    axes = _data_parallel_axes(model, cluster, group, plan, efficiency)
    for stage, parts, total, ramp in unlike:
        passes = pipelined_time_s(
            total, larger(fill - ramp, 0.0), num_micro_batches=micro_batches, interleave=plan.interleave
        )
        traffic = _data_parallel_s(
            model,
            workload,
            plan,
            axes,
            stage,
            parts,
            micro_batches,
            weight_bytes_per_parameter,
            gradient_bytes_per_parameter,
        )
        ends = passes + traffic
        if slowest is None:
            slowest, last, busy, compute, data_parallel = parts, ends, total, passes, traffic
            continue
        later = ends > last
        last, busy = select(later, ends, last), select(later, total, busy)
        compute, data_parallel = select(later, passes, compute), select(later, traffic, data_parallel)
        slowest = _slower(later, parts, slowest)
    assert slowest is not None  # a model has at least one stage
    busy = busy * micro_batches
    optimizer = _optimizer_s(
        model, device, workload, plan, card_to_host_bytes_per_s, host_bytes_per_s
    ) + _streamed_weights_s(
        model, plan, busy, micro_batches, card_to_host_bytes_per_s, weight_bytes_per_parameter
    )
    step = named("step_time_s", compute + data_parallel + optimizer + host_s, reference="narayanan-2021")
    return TrainingTime(
        forward_s=slowest.forward * micro_batches,
        backward_s=slowest.backward * micro_batches,
        recompute_s=slowest.recompute * micro_batches,
        tensor_parallel_s=slowest.tensor_parallel * micro_batches,
        context_parallel_s=slowest.context_parallel * micro_batches,
        expert_parallel_s=slowest.expert_parallel * micro_batches,
        pipeline_hop_s=slowest.hop * micro_batches,
        launch_s=slowest.launch * micro_batches,
        pipeline_bubble_s=compute - busy,
        data_parallel_s=data_parallel,
        optimizer_s=optimizer,
        host_s=host_s,
        step_s=step,
    )


def _place(stage: Stage) -> str:
    if isinstance(stage.first, np.ndarray):
        return "stage"
    return {(1, 1): "all layers", (1, 0): "first stage", (0, 1): "last stage"}.get(
        (stage.first, stage.last), "middle stage"
    )


def _slower(slower: Number, a: _Parts, b: _Parts) -> _Parts:
    if not isinstance(slower, np.ndarray):
        return a if slower else b
    return _Parts(**{f: select(slower, getattr(a, f), getattr(b, f)) for f in _Parts.__dataclass_fields__})


def _layer_parts(
    model: Model,
    kind: LayerKind,
    cluster: Cluster,
    group: HostGroup,
    device: Device,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    efficiency: Efficiency,
    weight_size: float,
    launch_s: float,
) -> _Parts:
    """One layer, one micro-batch [s]."""
    expert_tp = expert_tp_of(plan)
    shards = Shards(
        tp=plan.tp,
        expert_groups=plan.ep,
        expert_tp=expert_tp,
        replicas=plan.ep * expert_tp / plan.tp,
        sequence_parallel=plan.sequence_parallel,
    )
    tokens = workload.sequence_tokens / plan.cp
    shape = {
        "sequences": plan.micro_batch_size,
        "tokens": tokens,
        "context_tokens": workload.sequence_tokens,
        "memory_tokens": workload.memory_tokens,
        "flash_attention": plan.flash_attention,
    }
    rows = plan.micro_batch_size * tokens
    forward = training_forward_time(model, kind, device, shards, **shape)
    backward, weights = training_backward_time(
        model, kind, device, shards, weight_gradients=not workload.lora_rank, **shape
    )
    if workload.lora_rank:
        adapted = adapted_kind(kind, workload.lora_targets)
        forward = forward + adapter_time(model, adapted, device, shards, rows=rows, backward=False)
        backward = backward + adapter_time(model, adapted, device, shards, rows=rows, backward=True)
    if weight_size < LOW_BIT_BYTES:
        converted = conversion_time(model, kind, device, shards, stored_bytes=weight_size)
        forward, backward = forward + converted, backward + converted
    forward_s = named("layer forward_s", forward.total_s)
    backward_s = named("layer backward_s", backward.total_s)
    recompute: Number = 0.0
    if plan.recompute == "full":
        recompute = forward_s * plan.recompute_share
    elif plan.recompute == "selective" and not plan.flash_attention:
        recompute = named("recomputed attention_s", forward.attention_s)
    axis = parallel_axis(cluster, group, plan.tp, efficiency=efficiency)
    exchanges = 1 if model.parallel_attention or "none" in (kind.mixer, kind.feed_forward) else 2
    reduce = all_reduce_time_s(rows * model.hidden * 2.0, axis)
    # Tensor-parallel traffic hides behind products, that of context parallelism behind attention.
    forwards = 1 + plan.recompute_share if plan.recompute == "full" else 1
    overlap = plan.overlap_tensor_parallel
    reduces = reduce * exchanges
    # The first of as many pieces as cards has nothing to hide behind.
    first = reduces / plan.tp
    exposed_forward = larger(exposed_time_s(reduces, forward.matmul_s, overlap=overlap), first) * forwards
    exposed_backward = larger(exposed_time_s(reduces, backward.matmul_s, overlap=overlap), first)
    hidden_forward, hidden_backward = reduces * forwards - exposed_forward, reduces - exposed_backward
    context: Number = 0.0
    context_forward: Number = 0.0
    if kind.mixer in ("full", "window"):
        _, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
        ring = parallel_axis(cluster, group, plan.cp, stride=plan.tp, efficiency=efficiency)
        pairs = rows * 2.0 * larger(kv_heads / plan.tp, 1.0) * (qk_dim + v_dim)
        exchange = axis_all_gather_time_s(pairs * plan.cp, ring)
        context_forward = exposed_time_s(exchange, forward.attention_s, overlap=1.0) * forwards
        context_backward = exposed_time_s(2 * exchange, backward.attention_s, overlap=1.0)
        context = context_forward + context_backward
        hidden_forward = hidden_forward + exchange * forwards - context_forward
        hidden_backward = hidden_backward + 2 * exchange - context_backward
    expert: Number = 0.0
    expert_forward: Number = 0.0
    if kind.feed_forward == "moe":
        # Experts group tensor-parallel ranks too where they are not cut by tp themselves.
        width = plan.ep * expert_tp
        routed = parallel_axis(cluster, group, width, efficiency=efficiency)
        # Every card that shares an expert needs all of the expert's rows.
        width_sent = (model.moe_hidden or model.hidden) * expert_tp / plan.tp
        sent = rows * model.experts_per_token * width_sent * 2.0
        # A token crosses to each other host once, however many of its experts are there.
        hosts = routed.hosts
        visited = hosts * (1 - (1 - 1 / hosts) ** model.experts_per_token)
        once = smaller(visited / model.experts_per_token, 1.0)
        # Dispatch and combine; experts that stay on the card exchange nothing.
        exchange = 2 * select(plan.ep > 1, axis_all_to_all_time_s(sent, routed, across_share=once), 0.0)
        overlap = plan.overlap_expert_parallel
        expert_forward = exposed_time_s(
            exchange * forwards,
            larger(forward.total_s * forwards - hidden_forward, 0.0),
            overlap=overlap,
        )
        expert_backward = exposed_time_s(
            exchange, larger(backward.total_s - hidden_backward, 0.0), overlap=overlap
        )
        expert = expert_forward + expert_backward
        hidden_forward = hidden_forward + exchange * forwards - expert_forward
        hidden_backward = hidden_backward + exchange - expert_backward
    launch: Number = 0.0
    if launch_s:
        # Exchanges between cards are kernels too.
        extra = select(plan.tp > 1, exchanges, 0) + (2 * select(plan.ep > 1, 1, 0) if model.is_moe else 0)
        running = forward.total_s * forwards + exposed_forward + context_forward + expert_forward
        # So is the work around weights that other cards hold; the backward pass also scatters gradients.
        gathered = GATHER_KERNELS if plan.zero_stage == 3 else 0
        issuing = named(
            "issuing a forward pass_s", (forward.kernels + extra + gathered) * forwards * launch_s
        )
        launch = larger(issuing - running, 0.0)
        running = backward.total_s + exposed_backward + context - context_forward + expert - expert_forward
        issuing = named("issuing a backward pass_s", (backward.kernels + extra + 2 * gathered) * launch_s)
        launch = launch + larger(issuing - running, 0.0)
    return _Parts(
        forward=forward_s,
        backward=backward_s,
        weight_gradient=weights,
        recompute=recompute,
        tensor_parallel=named("layer tensor-parallel traffic_s", exposed_forward + exposed_backward),
        context_parallel=context,
        expert_parallel=expert,
        launch=launch,
        hidden_forward=named("traffic under a layer's forward pass_s", hidden_forward / forwards),
        hidden_backward=named(
            "traffic under a layer's backward pass_s",
            hidden_backward + hidden_forward * (forwards - 1) / forwards,
        ),
    )


def _hop_s(
    model: Model,
    cluster: Cluster,
    group: HostGroup,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    efficiency: Efficiency,
) -> Number:
    """Activations of one micro-batch from one stage to the next [s]."""
    inner = plan.tp * plan.cp * plan.dp
    axis = parallel_axis(cluster, group, plan.pp, stride=inner, efficiency=efficiency)
    inside = axis.inside == plan.pp
    message = plan.micro_batch_size * (workload.sequence_tokens / plan.cp) * model.hidden * 2.0 / plan.tp
    hop = point_to_point_time_s(
        message,
        bytes_per_s=select(inside, axis.inside_bytes_per_s, axis.across_bytes_per_s),
        latency_s=select(inside, axis.inside_latency_s, axis.across_latency_s),
    )
    return select(plan.pp > 1, hop, 0.0)


def _hide_hops(hops_s: Number, parts: _Parts, plan: TrainingPlan) -> None:
    """Hops of a micro-batch, behind what compute is free: virtual stages send while another computes."""
    parts.hop = hops_s
    if plan.schedule != "interleaved":
        return
    forward = larger(parts.forward - parts.hidden_forward, 0.0)
    backward = larger(parts.backward + parts.recompute - parts.hidden_backward, 0.0)
    free = forward + backward
    parts.hop = select(plan.interleave > 1, exposed_time_s(hops_s, free, overlap=1.0), hops_s)
    hidden_share = (hops_s - parts.hop) / free
    parts.hidden_forward = parts.hidden_forward + forward * hidden_share
    parts.hidden_backward = parts.hidden_backward + backward * hidden_share


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


def _data_parallel_axes(
    model: Model, cluster: Cluster, group: HostGroup, plan: TrainingPlan, efficiency: Efficiency
) -> tuple[Axis, Axis | None]:
    """The cards that replicate a card's weights, and its experts."""
    expert_tp = expert_tp_of(plan)
    replicas = plan.dp * plan.cp
    dense = parallel_axis(cluster, group, replicas, stride=plan.tp, efficiency=efficiency)
    if not model.is_moe:
        return dense, None
    expert_replicas = plan.tp * replicas / (plan.ep * expert_tp)
    size: Number
    if isinstance(expert_replicas, np.ndarray):
        size = np.maximum(expert_replicas.astype(int), 1)
    else:
        size = max(int(expert_replicas), 1)
    return dense, parallel_axis(cluster, group, size, stride=plan.ep * expert_tp, efficiency=efficiency)


def _data_parallel_s(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    axes: tuple[Axis, Axis | None],
    stage: Stage,
    parts: _Parts,
    micro_batches: Number,
    weight_size: float,
    gradient_size: float,
) -> Number:
    """Gradient and weight traffic of a stage that its compute does not hide [s]."""
    expert_tp = expert_tp_of(plan)
    dense_axis, expert_axis = axes
    shared, experts = stage_parameters(
        model, stage, tp=plan.tp, pp=plan.pp, expert_groups=plan.ep, expert_tp=expert_tp
    )
    gather = axis_all_gather_time_s(shared * weight_size, dense_axis)
    trained, trained_experts = shared, experts
    if workload.lora_rank:
        trained, trained_experts = stage_lora_parameters(
            model,
            stage,
            rank=workload.lora_rank,
            targets=workload.lora_targets,
            tp=plan.tp,
            expert_groups=plan.ep,
            expert_tp=expert_tp,
        )
    scatter = axis_all_gather_time_s(trained * gradient_size, dense_axis)
    if expert_axis is not None:
        gather = gather + axis_all_gather_time_s(experts * weight_size, expert_axis)
        scatter = scatter + axis_all_gather_time_s(trained_experts * gradient_size, expert_axis)
    forward = larger(parts.forward + parts.tensor_parallel / 2 - parts.hidden_forward, 0.0)
    backward = parts.backward + parts.recompute + parts.tensor_parallel / 2
    backward = larger(backward - parts.hidden_backward, 0.0)
    overlap = plan.overlap_data_parallel
    if plan.zero_stage == 3:
        # Every micro-batch gathers the weights twice; gradients are scattered after each.
        each = exposed_time_s(gather, forward, overlap=overlap) + exposed_time_s(
            gather + scatter, backward, overlap=overlap
        )
        return named("data-parallel traffic_s", each * micro_batches, reference="zhao-2023-fsdp")
    if plan.zero_stage == 0 or workload.lora_rank:
        # An all-reduce ends before the update: only the backward pass can hide it, and that of the embedding,
        # the last gradient to be ready, hides behind nothing.
        late = 0.0 if workload.lora_rank else _embedding_share(model)
        reduced = 2 * scatter * late + exposed_time_s(2 * scatter * (1 - late), backward, overlap=overlap)
        return named("data-parallel traffic_s", reduced, reference="rajbhandari-2020")
    second = gather
    scatters = micro_batches if plan.zero_stage == 2 else 1
    exposed = exposed_time_s(scatter, backward, overlap=overlap) * scatters + exposed_time_s(
        second, forward, overlap=overlap
    )
    return named("data-parallel traffic_s", exposed, reference="rajbhandari-2020")


def _embedding_share(model: Model) -> float:
    """Share of the parameters that are read first in the forward pass."""
    return (model.vocab * model.hidden + model.other_parameters) / total_parameters(model)


def _optimizer_s(
    model: Model,
    device: Device,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    card_to_host_bytes_per_s: float,
    host_bytes_per_s: float,
) -> Number:
    """Update of the weights, and the traffic of what is offloaded [s]."""
    expert_tp = expert_tp_of(plan)
    replicas = plan.dp * plan.cp if plan.zero_stage else 1
    expert_replicas = (
        larger(plan.tp * plan.dp * plan.cp / (plan.ep * expert_tp), 1.0) if plan.zero_stage else 1
    )
    largest: Number = 0.0
    for stage in stages(model, plan.pp):
        shared, experts = stage_parameters(
            model, stage, tp=plan.tp, pp=plan.pp, expert_groups=plan.ep, expert_tp=expert_tp
        )
        if workload.lora_rank:
            shared, experts = stage_lora_parameters(
                model,
                stage,
                rank=workload.lora_rank,
                targets=workload.lora_targets,
                tp=plan.tp,
                expert_groups=plan.ep,
                expert_tp=expert_tp,
            )
        largest = larger(largest, shared / replicas + experts / expert_replicas)
    update = largest * update_bytes_per_parameter(workload.optimizer)
    if plan.offload == "none":
        return named("optimizer_s", elementwise_time_s(update * device.elementwise_factor, device=device))
    # Gradients go down, updated weights come up; the host updates them in its own memory meanwhile.
    moved = largest * 4.0 / card_to_host_bytes_per_s
    return named("optimizer_s", larger(moved, update / host_bytes_per_s), reference="ren-2021-offload")


def _streamed_weights_s(
    model: Model,
    plan: TrainingPlan,
    busy_s: Number,
    micro_batches: Number,
    card_to_host_bytes_per_s: float,
    weight_size: float,
) -> Number:
    """Weights that come from the host in each pass of each micro-batch, unless compute hides them."""
    if plan.offload != "optimizer+weights":
        return 0.0
    largest: Number = 0.0
    for stage in stages(model, plan.pp):
        shared, experts = stage_parameters(
            model, stage, tp=plan.tp, pp=plan.pp, expert_groups=plan.ep, expert_tp=expert_tp_of(plan)
        )
        largest = larger(largest, shared + experts)
    shards = plan.dp * plan.cp if plan.zero_stage == 3 else 1
    passes = 2 + plan.recompute_share if plan.recompute == "full" else 2
    streamed = micro_batches * passes * largest * weight_size / shards / card_to_host_bytes_per_s
    return named("streamed weights_s", exposed_time_s(streamed, busy_s, overlap=1.0))
