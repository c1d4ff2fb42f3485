"""One layer of one micro-batch in training: its passes, its exchanges between cards, and the host's pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farthing.predict.adapters import adapter_time, conversion_time
from farthing.predict.collectives import all_reduce_time_s, axis_all_gather_time_s, axis_all_to_all_time_s
from farthing.predict.communication import exposed_time_s
from farthing.predict.device import Device
from farthing.predict.fabric import parallel_axis
from farthing.predict.kv_cache import attention_shape
from farthing.predict.layer import LayerTime, Shards
from farthing.predict.memory import adapted_kind, recomputed_share
from farthing.predict.sharding import expert_tp_of
from farthing.predict.trace import Number, larger, named, select, smaller
from farthing.predict.training_pass import training_backward_time, training_forward_time
from farthing.records.efficiency import Efficiency
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
class Setting:
    """What a step of training runs on, as the functions of its parts see it.

    Attributes
    ----------
    model, cluster, group, device, workload, plan, efficiency
        As in `training_time`.
    weight_size, gradient_size
        Bytes of a parameter in the plan's formats [byte].
    launch_s
        Host time to issue one kernel [s].
    dispatch_once
        Whether a token crosses to a card once, however many of its experts are there.
    """

    model: Model
    cluster: Cluster
    group: HostGroup
    device: Device
    workload: TrainingWorkload
    plan: TrainingPlan
    efficiency: Efficiency
    weight_size: float
    gradient_size: float
    launch_s: float
    dispatch_once: bool = False

    @property
    def tokens(self) -> Number:
        """Tokens of a sequence on one card."""
        return self.workload.sequence_tokens / self.plan.cp

    @property
    def rows(self) -> Number:
        """Tokens of a micro-batch on one card."""
        return self.plan.micro_batch_size * self.tokens

    @property
    def forwards(self) -> Number:
        """Forward passes of a layer, recomputation counted."""
        return 1 + self.plan.recompute_share if self.plan.recompute == "full" else 1


@dataclass(slots=True)
class Parts:
    """Time of one micro-batch on one layer or stage, by part [s].

    ``hidden_forward`` and ``hidden_backward`` are traffic that runs under the passes already: no other can
    hide there.
    """

    forward: Number = 0.0
    backward: Number = 0.0
    weight_gradient: Number = 0.0
    recompute: Number = 0.0
    tensor_parallel: Number = 0.0
    context_parallel: Number = 0.0
    expert_parallel: Number = 0.0
    hop: Number = 0.0
    launch: Number = 0.0
    hidden_forward: Number = 0.0
    hidden_backward: Number = 0.0

    @property
    def total(self) -> Number:
        """All that takes time [s]."""
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


@dataclass(frozen=True, slots=True)
class LayerPasses:
    """The passes of a layer on a card alone, and what of the backward one makes gradients of weights [s]."""

    forward: LayerTime
    backward: LayerTime
    weights: Number


@dataclass(slots=True)
class _Passes:
    """The passes of a layer, and the traffic that hides under them so far [s]."""

    forward: LayerTime
    backward: LayerTime
    hidden_forward: Number = 0.0
    hidden_backward: Number = 0.0


@dataclass(frozen=True, slots=True)
class _Exposed:
    """Traffic that nothing hides [s]."""

    forward: Number = 0.0
    backward: Number = 0.0


def layer_parts(setting: Setting, kind: LayerKind, alone: LayerPasses | None = None) -> Parts:
    """Time of one layer and one micro-batch, by part.

    Parameters
    ----------
    setting
        What runs where.
    kind
        Which of the model's layer kinds.
    alone
        `layer_passes`, where they are known.

    Returns
    -------
    Parts
        [s]

    References
    ----------
    narayanan-2021, korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.records.efficiency import IDEAL
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=8),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> parts = layer_parts(setting, LayerKind("full", "dense"))
    >>> round(parts.forward * 1e3, 2), round(parts.backward * 1e3, 2), round(parts.tensor_parallel * 1e3, 2)
    (0.76, 1.54, 0.98)
    """
    plan, launch_s = setting.plan, setting.launch_s
    alone = alone or layer_passes(setting, kind)
    forward, backward = alone.forward, alone.backward
    forward_s = named("layer forward_s", forward.total_s)
    backward_s = named("layer backward_s", backward.total_s)
    recompute: Number = 0.0
    if plan.recompute == "full":
        recompute = forward_s * plan.recompute_share
    elif plan.recompute == "selective" and not plan.flash_attention:
        recompute = named("recomputed attention_s", forward.attention_s)
    elif plan.recompute == "operations":
        again = recomputed_share(setting.model, kind) * forward.matmul_s
        recompute = named("recomputed operations_s", forward.elementwise_s + again)
    passes = _Passes(forward, backward)
    tensor = _tensor_exchange(setting, kind, passes)
    context = _context_exchange(setting, kind, passes)
    expert = _expert_exchange(setting, kind, passes)
    launch: Number = 0.0
    if launch_s:
        launch = _waiting_for_host_s(setting, kind, passes, tensor, context, expert)
    forwards = setting.forwards
    return Parts(
        forward=forward_s,
        backward=backward_s,
        weight_gradient=alone.weights,
        recompute=recompute,
        tensor_parallel=named("layer tensor-parallel traffic_s", tensor.forward + tensor.backward),
        context_parallel=context.forward + context.backward,
        expert_parallel=expert.forward + expert.backward,
        launch=launch,
        hidden_forward=named("traffic under a layer's forward pass_s", passes.hidden_forward / forwards),
        hidden_backward=named(
            "traffic under a layer's backward pass_s",
            passes.hidden_backward + passes.hidden_forward * (forwards - 1) / forwards,
        ),
    )


def layer_passes(setting: Setting, kind: LayerKind) -> LayerPasses:
    """Passes of one micro-batch through one layer, but for exchanges between cards.

    Recomputation plays no part, nor does what `farthing.predict.training.layer_times` leaves out: a search
    shares them among more plans still.

    Parameters
    ----------
    setting
        What runs where.
    kind
        Which of the model's layer kinds.

    Returns
    -------
    LayerPasses
        [s]

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog import accelerator, model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.records.efficiency import IDEAL
    >>> cluster = parse_cluster("1x8:a100-sxm-80gb")
    >>> setting = Setting(model=model("llama-2-7b"), cluster=cluster, group=cluster.groups[0],
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(tp=8),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> passes = layer_passes(setting, LayerKind("full", "dense"))
    >>> round(passes.forward.total_s * 1e3, 2), passes.weights < passes.backward.total_s
    (0.76, True)
    """
    model, device, workload, plan = setting.model, setting.device, setting.workload, setting.plan
    expert_tp = expert_tp_of(plan)
    shards = Shards(
        tp=plan.tp,
        expert_groups=plan.ep,
        expert_tp=expert_tp,
        replicas=plan.ep * expert_tp / plan.tp,
        sequence_parallel=plan.sequence_parallel,
        dispatch_once=setting.dispatch_once,
    )
    shape = {
        "sequences": plan.micro_batch_size,
        "tokens": setting.tokens,
        "context_tokens": workload.sequence_tokens,
        "memory_tokens": workload.memory_tokens,
        "flash_attention": plan.flash_attention,
    }
    forward = training_forward_time(model, kind, device, shards, **shape)
    backward, weights = training_backward_time(
        model,
        kind,
        device,
        shards,
        weight_gradients=not workload.lora_rank,
        gradient_bytes=setting.gradient_size,
        **shape,
    )
    if workload.lora_rank:
        adapted = adapted_kind(kind, workload.lora_targets)
        forward = forward + adapter_time(model, adapted, device, shards, rows=setting.rows, backward=False)
        backward = backward + adapter_time(model, adapted, device, shards, rows=setting.rows, backward=True)
    if setting.weight_size < LOW_BIT_BYTES:
        converted = conversion_time(model, kind, device, shards, stored_bytes=setting.weight_size)
        forward, backward = forward + converted, backward + converted
    return LayerPasses(forward, backward, weights)


def _reductions(setting: Setting, kind: LayerKind) -> int:
    """Reductions among tensor-parallel cards in one pass of a layer."""
    return 1 if setting.model.parallel_attention or "none" in (kind.mixer, kind.feed_forward) else 2


def _tensor_exchange(setting: Setting, kind: LayerKind, passes: _Passes) -> _Exposed:
    """Tensor-parallel traffic, which hides behind products."""
    plan = setting.plan
    axis = parallel_axis(setting.cluster, setting.group, plan.tp, efficiency=setting.efficiency)
    reduce = all_reduce_time_s(setting.rows * setting.model.hidden * 2.0, axis)
    forwards, overlap = setting.forwards, plan.overlap_tensor_parallel
    reduces = reduce * _reductions(setting, kind)
    # The first of as many pieces as cards has nothing to hide behind.
    first = reduces / plan.tp
    forward = larger(exposed_time_s(reduces, passes.forward.matmul_s, overlap=overlap), first) * forwards
    backward = larger(exposed_time_s(reduces, passes.backward.matmul_s, overlap=overlap), first)
    passes.hidden_forward, passes.hidden_backward = reduces * forwards - forward, reduces - backward
    return _Exposed(forward, backward)


def _context_exchange(setting: Setting, kind: LayerKind, passes: _Passes) -> _Exposed:
    """Traffic of context parallelism, which hides behind attention."""
    if kind.mixer not in ("full", "window"):
        return _Exposed()
    plan, forwards = setting.plan, setting.forwards
    _, kv_heads, qk_dim, v_dim = attention_shape(setting.model, kind.mixer)
    ring = parallel_axis(
        setting.cluster, setting.group, plan.cp, stride=plan.tp, efficiency=setting.efficiency
    )
    pairs = setting.rows * 2.0 * larger(kv_heads / plan.tp, 1.0) * (qk_dim + v_dim)
    exchange = axis_all_gather_time_s(pairs * plan.cp, ring)
    forward = exposed_time_s(exchange, passes.forward.attention_s, overlap=1.0) * forwards
    backward = exposed_time_s(2 * exchange, passes.backward.attention_s, overlap=1.0)
    passes.hidden_forward = passes.hidden_forward + exchange * forwards - forward
    passes.hidden_backward = passes.hidden_backward + 2 * exchange - backward
    return _Exposed(forward, backward)


def _expert_exchange(setting: Setting, kind: LayerKind, passes: _Passes) -> _Exposed:
    """Dispatch of rows to the cards of their experts, and back."""
    if kind.feed_forward != "moe":
        return _Exposed()
    model, plan, forwards = setting.model, setting.plan, setting.forwards
    expert_tp = expert_tp_of(plan)
    # Experts group tensor-parallel ranks too where they are not cut by tp themselves.
    width = plan.ep * expert_tp
    routed = parallel_axis(setting.cluster, setting.group, width, efficiency=setting.efficiency)
    # Every card that shares an expert needs all of the expert's rows.
    width_sent = (model.moe_hidden or model.hidden) * expert_tp / plan.tp
    sent = setting.rows * model.experts_per_token * width_sent * 2.0
    # A token crosses to each other host once, however many of its experts are there.
    once = _visited_share(routed.hosts, model.experts_per_token)
    inside = _visited_share(width, model.experts_per_token) if setting.dispatch_once else 1.0
    # Dispatch and combine; experts that stay on the card exchange nothing.
    taken = axis_all_to_all_time_s(sent, routed, across_share=once, inside_share=inside)
    exchange = 2 * select(plan.ep > 1, taken, 0.0)
    overlap = plan.overlap_expert_parallel
    forward = exposed_time_s(
        exchange * forwards,
        larger(passes.forward.total_s * forwards - passes.hidden_forward, 0.0),
        overlap=overlap,
    )
    backward = exposed_time_s(
        exchange, larger(passes.backward.total_s - passes.hidden_backward, 0.0), overlap=overlap
    )
    passes.hidden_forward = passes.hidden_forward + exchange * forwards - forward
    passes.hidden_backward = passes.hidden_backward + exchange - backward
    return _Exposed(forward, backward)


def _visited_share(places: Number, experts_per_token: int) -> Number:
    """Places that a token's experts are at, over its experts, under even routing."""
    visited = places * (1 - (1 - 1 / places) ** experts_per_token)
    return smaller(visited / experts_per_token, 1.0)


def _waiting_for_host_s(
    setting: Setting, kind: LayerKind, passes: _Passes, tensor: _Exposed, context: _Exposed, expert: _Exposed
) -> Number:
    """What the passes wait for a host that issues kernels more slowly than the device runs them [s]."""
    plan, launch_s, forwards = setting.plan, setting.launch_s, setting.forwards
    # Exchanges between cards are kernels too.
    extra = select(plan.tp > 1, _reductions(setting, kind), 0) + (
        2 * select(plan.ep > 1, 1, 0) if setting.model.is_moe else 0
    )
    running = passes.forward.total_s * forwards + tensor.forward + context.forward + expert.forward
    # So is the work around weights that other cards hold; the backward pass also scatters gradients.
    gathered = GATHER_KERNELS if plan.zero_stage == 3 else 0
    issuing = named(
        "issuing a forward pass_s", (passes.forward.kernels + extra + gathered) * forwards * launch_s
    )
    launch = larger(issuing - running, 0.0)
    running = passes.backward.total_s + tensor.backward + context.backward + expert.backward
    issuing = named("issuing a backward pass_s", (passes.backward.kernels + extra + 2 * gathered) * launch_s)
    return launch + larger(issuing - running, 0.0)
