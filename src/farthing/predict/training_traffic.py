"""Traffic of training beside a layer's own: between pipeline stages, of gradients and of gathered weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from farthing.predict.collectives import Axis, axis_all_gather_time_s
from farthing.predict.communication import exposed_time_s, point_to_point_time_s
from farthing.predict.fabric import library_of, parallel_axis
from farthing.predict.parameters import total_parameters
from farthing.predict.sharding import expert_tp_of, stage_lora_parameters, stage_parameters
from farthing.predict.stages import Stage
from farthing.predict.trace import Number, larger, named, select
from farthing.predict.training_layer import Parts, Setting
from farthing.records.model import Model

LIBRARY_UNITS: Final = 16
"""Compute units that a library's collective keeps busy while it runs: one a channel, and NCCL opens at least
16 between hosts (connect.cc, ncclTopoPostset)."""


def hop_time_s(setting: Setting) -> Number:
    """Time of the activations of one micro-batch from one pipeline stage to the next.

    Parameters
    ----------
    setting
        What runs where.

    Returns
    -------
    Number
        [s], 0 without pipeline parallelism.

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.records.efficiency import IDEAL
    >>> from farthing.records.plan import TrainingPlan
    >>> from farthing.records.workload import TrainingWorkload
    >>> cluster = parse_cluster("2x8:a100-sxm-80gb@ib-hdr")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=8, pp=2),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> round(hop_time_s(setting) * 1e3, 2)
    0.17
    """
    plan, workload = setting.plan, setting.workload
    inner = plan.tp * plan.cp
    if plan.rank_order == "tp-cp-dp-pp":
        inner = inner * plan.dp
    axis = parallel_axis(setting.cluster, setting.group, plan.pp, stride=inner, efficiency=setting.efficiency)
    inside = axis.inside == plan.pp
    message = (
        plan.micro_batch_size * (workload.sequence_tokens / plan.cp) * setting.model.hidden * 2.0 / plan.tp
    )
    hop = point_to_point_time_s(
        message,
        bytes_per_s=select(inside, axis.inside_bytes_per_s, axis.across_bytes_per_s),
        latency_s=select(inside, axis.inside_latency_s, axis.across_latency_s),
    )
    return select(plan.pp > 1, hop, 0.0)


def hide_hops(setting: Setting, parts: Parts, hops_s: Number) -> None:
    """Put the hops of a micro-batch into a stage's parts: virtual stages send while another computes.

    Parameters
    ----------
    setting
        What runs where.
    parts
        Of the stage; changed in place.
    hops_s
        All hops of a micro-batch [s].

    Returns
    -------
    None
        ``parts`` holds the hops [s].

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> parts = Parts(forward=1.0, backward=2.0)
    >>> hide_hops(SimpleNamespace(plan=SimpleNamespace(schedule="1f1b")), parts, 0.1)  # type: ignore
    >>> parts.hop
    0.1
    """
    plan = setting.plan
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


def data_parallel_axes(setting: Setting) -> tuple[Axis, Axis | None]:
    """The cards that replicate a card's weights, and its experts.

    Parameters
    ----------
    setting
        What runs where.

    Returns
    -------
    tuple
        Axes with rates [byte/s] and latencies [s]; the second is None for a dense model.

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.records.efficiency import IDEAL
    >>> from farthing.records.plan import TrainingPlan
    >>> from farthing.records.workload import TrainingWorkload
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=2, dp=4),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> dense, experts = data_parallel_axes(setting)
    >>> dense.inside, experts
    (4, None)
    """
    plan = setting.plan
    expert_tp = expert_tp_of(plan)
    replicas = plan.dp * plan.cp
    where = {"efficiency": setting.efficiency}
    dense = parallel_axis(setting.cluster, setting.group, replicas, stride=plan.tp, **where)
    between: Number = 1
    if plan.rank_order == "tp-cp-pp-dp":
        # Ranks of other stages lie between two replicas, but not between the parts of one sequence.
        between = plan.pp
        parts = parallel_axis(setting.cluster, setting.group, plan.cp, stride=plan.tp, **where)
        far = plan.tp * plan.cp * plan.pp
        copies = parallel_axis(setting.cluster, setting.group, plan.dp, stride=far, **where)
        inside = parts.inside * select(parts.inside == plan.cp, copies.inside, 1)
        library = library_of(setting.group, setting.efficiency, inside)
        dense = replace(dense, inside=inside, library=library)
    if not setting.model.is_moe:
        return dense, None
    expert_replicas = plan.tp * replicas / (plan.ep * expert_tp)
    size: Number
    if isinstance(expert_replicas, np.ndarray):
        size = np.maximum(expert_replicas.astype(int), 1)
    else:
        size = max(int(expert_replicas), 1)
    stride = plan.ep * expert_tp * between
    return dense, parallel_axis(setting.cluster, setting.group, size, stride=stride, **where)


def free_passes_s(parts: Parts) -> tuple[Number, Number]:
    """The forward and the backward pass of a stage, as far as no traffic hides under them yet.

    Parameters
    ----------
    parts
        Times of one micro-batch on it.

    Returns
    -------
    Number, Number
        [s]

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> free_passes_s(Parts(forward=1.0, backward=2.0, recompute=1.0, hidden_forward=0.25))
    (0.75, 3.0)
    """
    forward = larger(parts.forward + parts.tensor_parallel / 2 - parts.hidden_forward, 0.0)
    backward = parts.backward + parts.recompute + parts.tensor_parallel / 2
    return forward, larger(backward - parts.hidden_backward, 0.0)


def data_parallel_time_s(
    setting: Setting, collectives: tuple[Number, Number], free: tuple[Number, Number], micro_batches: Number
) -> Number:
    """Gradient and weight traffic of a stage that its compute does not hide.

    Parameters
    ----------
    setting
        What runs where.
    collectives
        `stage_collectives_s` of the stage.
    free
        `free_passes_s` of one micro-batch on it.
    micro_batches
        Micro-batches of a step.

    Returns
    -------
    Number
        [s]

    References
    ----------
    rajbhandari-2020, zhao-2023-fsdp

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.predict.stages import stages
    >>> from farthing.records.efficiency import IDEAL
    >>> from farthing.records.plan import TrainingPlan
    >>> from farthing.records.workload import TrainingWorkload
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(dp=8, zero_stage=1),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> both = stage_collectives_s(setting, data_parallel_axes(setting), stages(setting.model, 1)[0])
    >>> round(data_parallel_time_s(setting, both, (0.0, 0.0), 1), 3)
    0.098
    """
    model, plan, workload = setting.model, setting.plan, setting.workload
    gather, scatter = collectives
    forward, backward = free
    if plan.zero_stage == 3:
        # Every micro-batch gathers the weights twice; gradients are scattered after each.
        each = _felt_s(setting, gather, forward) + _felt_s(setting, gather + scatter, backward)
        return named("data-parallel traffic_s", each * micro_batches, reference="zhao-2023-fsdp")
    if plan.zero_stage == 0 or workload.lora_rank:
        # An all-reduce ends before the update: only the backward pass can hide it, and that of the embedding,
        # the last gradient to be ready, hides behind nothing.
        late = 0.0 if workload.lora_rank else _embedding_share(model)
        reduced = 2 * scatter * late + _felt_s(setting, 2 * scatter * (1 - late), backward)
        return named("data-parallel traffic_s", reduced, reference="rajbhandari-2020")
    scatters = micro_batches if plan.zero_stage == 2 else 1
    felt = _felt_s(setting, scatter, backward) * scatters + _felt_s(setting, gather, forward)
    return named("data-parallel traffic_s", felt, reference="rajbhandari-2020")


def _felt_s(setting: Setting, traffic_s: Number, compute_s: Number) -> Number:
    """What collectives cost a pass: what it does not hide, and the units that they take meanwhile [s]."""
    exposed = exposed_time_s(traffic_s, compute_s, overlap=setting.plan.overlap_data_parallel)
    # Graphics processors run collectives as kernels; others have engines that move data.
    units = setting.device.tiling.units if setting.group.accelerator.kind == "gpu" else 0
    taken = min(LIBRARY_UNITS / units, 1.0) if units else 0.0
    return exposed + (traffic_s - exposed) * taken


def stage_collectives_s(
    setting: Setting, axes: tuple[Axis, Axis | None], stage: Stage
) -> tuple[Number, Number]:
    """Gathering the weights of a stage once, and scattering its gradients once.

    Parameters
    ----------
    setting
        What runs where.
    axes
        `data_parallel_axes`.
    stage
        Of the pipeline.

    Returns
    -------
    Number, Number
        [s]

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.predict.stages import stages
    >>> from farthing.records.efficiency import IDEAL
    >>> from farthing.records.plan import TrainingPlan
    >>> from farthing.records.workload import TrainingWorkload
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(dp=8, zero_stage=1),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=4.0, launch_s=0.0)
    >>> stage = stages(setting.model, 1)[0]
    >>> gather, scatter = stage_collectives_s(setting, data_parallel_axes(setting), stage)
    >>> 1.9 < scatter / gather <= 2
    True
    """
    model, plan, workload = setting.model, setting.plan, setting.workload
    expert_tp = expert_tp_of(plan)
    dense_axis, expert_axis = axes
    shared, experts = stage_parameters(
        model, stage, tp=plan.tp, pp=plan.pp, expert_groups=plan.ep, expert_tp=expert_tp
    )
    gather = axis_all_gather_time_s(shared * setting.weight_size, dense_axis)
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
    scatter = axis_all_gather_time_s(trained * setting.gradient_size, dense_axis)
    if expert_axis is not None:
        gather = gather + axis_all_gather_time_s(experts * setting.weight_size, expert_axis)
        scatter = scatter + axis_all_gather_time_s(trained_experts * setting.gradient_size, expert_axis)
    return gather, scatter


def _embedding_share(model: Model) -> float:
    """Share of the parameters that are read first in the forward pass."""
    return (model.vocab * model.hidden + model.other_parameters) / total_parameters(model)
