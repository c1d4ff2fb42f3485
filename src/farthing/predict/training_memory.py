"""Memory of the fullest card in training."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from farthing.predict.memory import (
    COMMUNICATOR_BYTES,
    CONTEXT_BYTES,
    FRAGMENTATION_SHARE,
    MASKED_SHARE,
    communication_buffer_bytes,
    gradient_bytes,
    layer_activation_bytes,
    optimizer_bytes,
    optimizer_bytes_per_parameter,
    weight_bytes,
)
from farthing.predict.pipeline import in_flight_micro_batches
from farthing.predict.sharding import (
    expert_tp_of,
    layer_shard_parameters,
    stage_lora_parameters,
    stage_parameters,
    stage_vocabulary_parameters,
)
from farthing.predict.stages import Stage, layer_kinds, plan_stages
from farthing.predict.trace import Number, larger, named, rounded_up, select, smaller
from farthing.records.model import Model
from farthing.records.plan import Offload, TrainingPlan
from farthing.records.workload import TrainingWorkload

FUSED_LOGIT_BYTES: Final = 6.0
"""Of one logit: its fp32 value, and its gradient in 16 bits."""

PLAIN_NORM_BYTES: Final = 6.0
"""What an RMSNorm of plain operations keeps of an element beside its input: fp32 copy, 16 normed bits."""

PLAIN_LOGIT_BYTES: Final = 14.0
"""The same where each operation of the loss has its own tensor: 16 bits, fp32, log-softmax, fp32 gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySizes:
    """What formats, engine and card add to a plan's memory.

    Attributes
    ----------
    weight_bytes_per_parameter, gradient_bytes_per_parameter
        Of the plan's formats [byte].
    product_bytes
        Of an input of a product that is kept for its gradient [byte].
    plain
        Each operation has a kernel and a tensor of its own; else norms and losses are fused.
    eager_loss
        The same of the loss alone.
    step_copy_bytes_per_parameter
        Copies of the gradients that the optimizer's step makes of what the card updates [byte].
    bucket_bytes
        Of a bucket of reduced gradients [byte].
    kind
        Of the card, as in `driver_bytes`.
    """

    weight_bytes_per_parameter: float = 2.0
    gradient_bytes_per_parameter: float = 2.0
    product_bytes: float = 2.0
    plain: bool = False
    eager_loss: bool = False
    step_copy_bytes_per_parameter: float = 0.0
    bucket_bytes: float = 1e8
    kind: str = "gpu"


SIXTEEN_BITS: Final = MemorySizes()
"""Weights and gradients in 16 bits, fused kernels, graphics processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMemory:
    """Bytes on the fullest card, by what they hold; scalar or column."""

    weight_bytes: Number
    gradient_bytes: Number
    optimizer_bytes: Number
    activation_peak_bytes: Number
    buffer_bytes: Number
    workspace_bytes: Number
    total_bytes: Number
    offloaded_bytes: Number


def driver_bytes(plan: TrainingPlan, *, kind: str = "gpu") -> Number:
    """What the driver and the communication library hold on a card, outside the framework's allocator.

    Parameters
    ----------
    plan
        A record; its sizes may be columns.
    kind
        Of the card: only GPUs talk through NCCL and its like.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> driver_bytes(TrainingPlan(tp=8, dp=2)) / 2**30
    1.25
    """
    if kind != "gpu":
        return CONTEXT_BYTES
    groups = 1.0 * (plan.tp > 1) + (plan.pp > 1) + (plan.dp * plan.cp > 1) + (plan.ep > 1)
    return CONTEXT_BYTES + COMMUNICATOR_BYTES * groups


def training_memory(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    sizes: MemorySizes = SIXTEEN_BITS,
) -> TrainingMemory:
    """Memory of the fullest card.

    Every unlike pipeline stage is worked out, with its embedding or head and its activations in flight; the
    largest total counts.

    Parameters
    ----------
    model, workload, plan
        Records; sizes of the plan may be columns.
    sizes
        Of formats, engine and card.

    Returns
    -------
    TrainingMemory
        [byte]

    References
    ----------
    rajbhandari-2020, korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> memory = training_memory(model("llama-2-7b"), TrainingWorkload(sequence_tokens=4096,
    ...     global_batch_size=8), TrainingPlan(dp=8, zero_stage=3))
    >>> 10e9 < memory.total_bytes < 80e9
    True
    """
    return functools.reduce(_fuller, stage_memories(model, workload, plan, sizes))


def stage_memories(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    sizes: MemorySizes = SIXTEEN_BITS,
    places: Sequence[Stage] = (),
) -> list[TrainingMemory]:
    """Memory of a card of each stage.

    Parameters
    ----------
    model, workload, plan
        Records; sizes of the plan may be columns.
    sizes
        Of formats, engine and card.
    places
        The stages; by default the unlike ones of the plan.

    Returns
    -------
    list of TrainingMemory
        [byte], in the order of the stages.

    References
    ----------
    rajbhandari-2020, korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.predict.stages import each_stage
    >>> plan = TrainingPlan(tp=8, pp=4)
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=64)
    >>> shape = model("llama-2-70b")
    >>> [one.activation_peak_bytes > 1e9 for one in
    ...  stage_memories(shape, load, plan, places=each_stage(shape, plan))]
    [True, True, True, True]
    """
    micro_batches = workload.global_batch_size / (plan.dp * plan.micro_batch_size)
    places = places or plan_stages(model, plan)
    states = training_states(model, workload, plan, sizes, places)
    layers = layer_activations(model, workload, plan, sizes)
    activations = training_activations(model, workload, plan, micro_batches, layers, sizes, places)
    outside = driver_bytes(plan, kind=sizes.kind)
    found = []
    for state, kept in zip(states, activations, strict=True):
        workspace = workspace_bytes(outside, kept)
        held = state.weight_bytes + state.gradient_bytes + state.optimizer_bytes
        found.append(
            TrainingMemory(
                weight_bytes=state.weight_bytes,
                gradient_bytes=state.gradient_bytes,
                optimizer_bytes=state.optimizer_bytes,
                activation_peak_bytes=kept,
                buffer_bytes=state.buffer_bytes,
                workspace_bytes=workspace,
                total_bytes=held + kept + state.buffer_bytes + workspace,
                offloaded_bytes=state.offloaded_bytes,
            )
        )
    return found


def workspace_bytes(outside_bytes: Number, activation_bytes: Number) -> Number:
    """What a card holds beside the named tensors: the driver's, and the gaps between activations.

    Parameters
    ----------
    outside_bytes
        `driver_bytes` [byte], scalar or column.
    activation_bytes
        [byte]

    Returns
    -------
    Number
        [byte]

    References
    ----------
    kwon-2023

    Examples
    --------
    >>> workspace_bytes(1e9, 10e9) > 1e9
    True
    """
    return named(
        "workspace_bytes", outside_bytes + FRAGMENTATION_SHARE * activation_bytes, reference="kwon-2023"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """What a card of one stage holds whatever the batch: bytes, scalar or column."""

    weight_bytes: Number
    gradient_bytes: Number
    optimizer_bytes: Number
    buffer_bytes: Number
    offloaded_bytes: Number


def training_states(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    sizes: MemorySizes = SIXTEEN_BITS,
    places: Sequence[Stage] = (),
) -> list[States]:
    """Weights, gradients, optimizer and buffers of a card of each unlike stage.

    Parameters
    ----------
    model, workload, plan
        Records; sizes of the plan may be columns.
    sizes
        Of formats, engine and card.
    places
        The stages; by default the unlike ones of the plan.

    Returns
    -------
    list of States
        [byte], in the order of the stages.

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> from farthing.catalog import model
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=8)
    >>> [one.optimizer_bytes / one.weight_bytes
    ...  for one in training_states(model("llama-2-7b"), load, TrainingPlan(dp=8, zero_stage=3))]
    [6.0]
    """
    expert_tp = expert_tp_of(plan)
    replicas = plan.dp * plan.cp
    expert_replicas = larger(plan.tp * replicas / (plan.ep * expert_tp), 1.0)
    per_parameter = optimizer_bytes_per_parameter(workload.optimizer)
    unit = _unit_parameters(model, plan, expert_tp, replicas, expert_replicas)

    def sharded(shared: Number, experts: Number, from_stage: int) -> Number:
        if plan.zero_stage < from_stage:
            return shared + experts
        return shared / replicas + experts / expert_replicas

    found = []
    for stage in places or plan_stages(model, plan):
        shared, experts = stage_parameters(
            model, stage, tp=plan.tp, pp=plan.pp, expert_groups=plan.ep, expert_tp=expert_tp
        )
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
        else:
            trained, trained_experts = shared, experts
        frozen = trained + trained_experts if workload.lora_rank else 0.0
        weights = (
            weight_bytes(sharded(shared, experts, 3), bytes_per_parameter=sizes.weight_bytes_per_parameter)
            + 2.0 * frozen
        )
        ends = stage_vocabulary_parameters(model, stage, tp=plan.tp, pp=plan.pp)
        if sizes.weight_bytes_per_parameter < 2.0:
            # Embedding and head stay in 16 bits.
            weights = weights + sharded(ends, 0.0, 3) * (2.0 - sizes.weight_bytes_per_parameter)
        gradients = gradient_bytes(
            sharded(trained, trained_experts, 2), bytes_per_parameter=sizes.gradient_bytes_per_parameter
        )
        updated = sharded(trained, trained_experts, 1)
        optimizer = optimizer_bytes(updated, bytes_per_parameter=per_parameter)
        buffers = communication_buffer_bytes(
            unit,
            zero_stage=plan.zero_stage,
            end_parameters=select(replicas > 1, ends, 0.0),
            bucket_bytes=sizes.bucket_bytes,
        )
        on_card = States(
            weight_bytes=weights,
            gradient_bytes=gradients,
            optimizer_bytes=optimizer,
            buffer_bytes=buffers + sizes.step_copy_bytes_per_parameter * updated,
            offloaded_bytes=0.0,
        )
        found.append(offloaded_states(on_card, stage.layers, plan.offload))
    return found


def offloaded_states(states: States, layers: Number, offload: Offload) -> States:
    """What a card holds once it keeps some of it in the memory of its host.

    Parameters
    ----------
    states
        All on the card.
    layers
        Of its stage, scalar or column.
    offload
        What goes to the host.

    Returns
    -------
    States
        [byte]

    References
    ----------
    ren-2021-offload

    Examples
    --------
    >>> states = States(weight_bytes=20.0, gradient_bytes=20.0, optimizer_bytes=120.0, buffer_bytes=1.0,
    ...                 offloaded_bytes=0.0)
    >>> found = offloaded_states(states, 10, "optimizer+weights")
    >>> found.weight_bytes, found.optimizer_bytes, found.offloaded_bytes
    (4.0, 0.0, 136.0)
    """
    if offload == "none":
        return states
    weights, offloaded = states.weight_bytes, states.optimizer_bytes
    if offload == "optimizer+weights":
        # The running and the prefetched layer stay on the card.
        resident = smaller(weights, 2 * weights / larger(layers, 1))
        offloaded, weights = offloaded + weights - resident, resident
    return replace(
        states,
        weight_bytes=weights,
        optimizer_bytes=0.0 * states.optimizer_bytes,
        offloaded_bytes=offloaded,
    )


def _fuller(a: TrainingMemory, b: TrainingMemory) -> TrainingMemory:
    more = b.total_bytes > a.total_bytes
    if not isinstance(more, np.ndarray):
        return b if more else a
    fields = TrainingMemory.__dataclass_fields__
    return TrainingMemory(**{name: select(more, getattr(b, name), getattr(a, name)) for name in fields})


def _unit_parameters(
    model: Model, plan: TrainingPlan, expert_tp: Number, replicas: Number, expert_replicas: Number
) -> Number:
    """What a card holds of the largest layer, as far as other cards replicate it."""
    largest: Number = 0.0
    for kind in layer_kinds(model):
        shared, experts = layer_shard_parameters(
            model, kind, tp=plan.tp, expert_groups=plan.ep, expert_tp=expert_tp
        )
        unit = select(replicas > 1, shared, 0.0) + select(expert_replicas > 1, experts, 0.0)
        largest = larger(largest, unit)
    return largest


@dataclass(frozen=True, slots=True)
class LayerActivations:
    """What a layer keeps of one micro-batch: as the plan has it, its input alone, and everything [byte]."""

    kept: Number
    input: Number
    whole: Number


def layer_activations(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    sizes: MemorySizes = SIXTEEN_BITS,
) -> list[LayerActivations]:
    """Activations of one micro-batch in each kind of layer.

    Pipeline, schedule and the sharding of states play no part, so that a search shares them among plans.

    Parameters
    ----------
    model, workload, plan
        Records; sizes of the plan may be columns.
    sizes
        Of formats, engine and card.

    Returns
    -------
    list of LayerActivations
        [byte], in the order of `layer_kinds`.

    References
    ----------
    korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=8)
    >>> plan = TrainingPlan(recompute="full")
    >>> [one.input / 2**20 for one in layer_activations(model("llama-2-7b"), load, plan)]
    [32.0]
    """
    tokens = workload.sequence_tokens / plan.cp
    shape = {
        "sequences": plan.micro_batch_size,
        "tokens": tokens,
        "context_tokens": workload.sequence_tokens,
        "tp": plan.tp,
        "expert_tp": expert_tp_of(plan),
        "sequence_parallel": plan.sequence_parallel,
        "flash_attention": plan.flash_attention,
        # Products with low-bit weights keep their input, used or not.
        "frozen_ffn": bool(
            workload.lora_rank
            and workload.lora_targets == "attention"
            and sizes.weight_bytes_per_parameter >= 1
        ),
        # Recipes of eager frameworks train adapters with dropout.
        "dropped_inputs": workload.lora_targets if sizes.plain and workload.lora_rank else "none",
        "product_bytes": sizes.product_bytes,
    }
    partly = "none" if plan.recompute == "full" else plan.recompute
    found = []
    for kind in layer_kinds(model):
        kept = layer_activation_bytes(model, kind, recompute=partly, **shape)
        if sizes.plain and model.norm == "rmsnorm":
            norms = model.norms_per_layer * PLAIN_NORM_BYTES
            kept = kept + norms * plan.micro_batch_size * tokens * model.hidden
        alone, whole = (
            layer_activation_bytes(model, kind, recompute=word, **shape) if needed else kept
            for word, needed in (
                ("full", plan.recompute == "full"),
                ("none", plan.recompute == "operations"),
            )
        )
        found.append(LayerActivations(kept, alone, whole))
    return found


def training_activations(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    micro_batches: Number,
    layers: Sequence[LayerActivations],
    sizes: MemorySizes = SIXTEEN_BITS,
    places: Sequence[Stage] = (),
) -> list[Number]:
    """Activations that a card of each unlike stage holds at its fullest.

    Parameters
    ----------
    model, workload, plan
        Records; sizes of the plan may be columns.
    micro_batches
        Of a step, scalar or column.
    layers
        `layer_activations`.
    sizes
        Of formats, engine and card.
    places
        The stages; by default the unlike ones of the plan.

    Returns
    -------
    list of Number
        [byte], in the order of the stages.

    References
    ----------
    korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=64)
    >>> plan = TrainingPlan(tp=8, pp=4)
    >>> kept = layer_activations(model("llama-2-7b"), load, plan)
    >>> first, middle, last = training_activations(model("llama-2-7b"), load, plan, 64, kept)
    >>> first > middle > last
    True
    """
    return [
        one.of_all(plan, micro_batches)
        for one in stage_activations(model, workload, plan, layers, sizes, places)
    ]


@dataclass(frozen=True, slots=True)
class StageActivations:
    """Activations on a card of one unlike stage, whatever the schedule.

    Attributes
    ----------
    stage
        Of the pipeline.
    stored
        What each micro-batch in flight keeps [byte].
    working
        What one of them adds at its fullest: a layer that is computed again, or the loss [byte].
    """

    stage: Stage
    stored: Number
    working: Number

    def of_all(self, plan: TrainingPlan, micro_batches: Number) -> Number:
        """Of as many micro-batches as a schedule keeps in flight [byte]."""
        in_flight = in_flight_micro_batches(
            plan.pp,
            self.stage.index,
            micro_batches,
            interleave=plan.interleave,
            schedule=plan.schedule,
        )
        return named(
            "activations_bytes", self.stored * in_flight + self.working, reference="korthikanti-2022"
        )


def stage_activations(
    model: Model,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    layers: Sequence[LayerActivations],
    sizes: MemorySizes = SIXTEEN_BITS,
    places: Sequence[Stage] = (),
) -> list[StageActivations]:
    """Activations on a card of each unlike stage, which plans of unlike schedules share.

    Parameters
    ----------
    model, workload, plan, layers, sizes, places
        As in `training_activations`.

    Returns
    -------
    list of StageActivations
        [byte], in the order of the stages.

    References
    ----------
    korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> load = TrainingWorkload(sequence_tokens=4096, global_batch_size=64)
    >>> plan = TrainingPlan(tp=8, pp=4)
    >>> kept = layer_activations(model("llama-2-7b"), load, plan)
    >>> first, middle, last = stage_activations(model("llama-2-7b"), load, plan, kept)
    >>> first.stored == last.stored, last.working > first.working
    (True, True)
    """
    rows = plan.micro_batch_size * (workload.sequence_tokens / plan.cp)
    # The last stage: input of the head, and logits with all that the loss makes of them, for one micro-batch.
    learned = MASKED_SHARE if model.encoder else 1.0
    logit_bytes = PLAIN_LOGIT_BYTES if sizes.plain or sizes.eager_loss else FUSED_LOGIT_BYTES
    logits = learned * logit_bytes * model.vocab / plan.tp / plan.loss_chunks
    found = []
    for stage in places or plan_stages(model, plan):
        stored: Number = 0.0
        largest: Number = 0.0
        for layer, count in zip(layers, stage.counts, strict=True):
            if plan.recompute == "full":
                again = count * plan.recompute_share
                # A share is seldom a whole number of layers to the last digit.
                groups = rounded_up(again / plan.recompute_layers - 1e-9)
                stored = stored + groups * layer.input + (count - again) * layer.kept
                running = layer.kept * plan.recompute_layers
                largest = larger(largest, select(plan.recompute_share > 0, running, 0.0))
            else:
                stored = stored + count * layer.kept
            if plan.recompute == "operations":
                # What one layer computes again is there while its backward pass lasts.
                largest = larger(largest, layer.whole - layer.kept)
        head = stage.last * rows * (2.0 * model.hidden + logits)
        # What the loss made is dropped before the first layer is computed again.
        found.append(StageActivations(stage, stored, larger(largest, head)))
    return found
