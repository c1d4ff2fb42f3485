"""The end of a step of training: the update of the weights, and the traffic of what a host keeps."""

from __future__ import annotations

from farthing.predict.communication import exposed_time_s
from farthing.predict.compute import elementwise_time_s
from farthing.predict.memory import optimizer_bytes_per_parameter
from farthing.predict.sharding import expert_tp_of, stage_lora_parameters, stage_parameters
from farthing.predict.stages import Stage, plan_stages
from farthing.predict.trace import Number, larger, named
from farthing.predict.training_layer import Setting


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


def update_time_s(setting: Setting, *, card_to_host_bytes_per_s: float, host_bytes_per_s: float) -> Number:
    """Time to update the weights, and of the traffic of what is offloaded.

    Parameters
    ----------
    setting
        What runs where.
    card_to_host_bytes_per_s, host_bytes_per_s
        Between a card and what it offloads, and of the memory or drive that holds it [byte/s].

    Returns
    -------
    Number
        [s]

    References
    ----------
    rajbhandari-2020, ren-2021-offload

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
    ...     device=device(accelerator("a100-sxm-80gb"), "bf16"), plan=TrainingPlan(dp=8, zero_stage=1),
    ...     workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
    ...     efficiency=IDEAL, weight_size=2.0, gradient_size=2.0, launch_s=0.0)
    >>> round(update_time_s(setting, card_to_host_bytes_per_s=0, host_bytes_per_s=0) * 1e3, 1)
    12.4
    """
    plan, device = setting.plan, setting.device
    expert_tp = expert_tp_of(plan)
    replicas = plan.dp * plan.cp if plan.zero_stage else 1
    expert_replicas = (
        larger(plan.tp * plan.dp * plan.cp / (plan.ep * expert_tp), 1.0) if plan.zero_stage else 1
    )
    largest: Number = 0.0
    for stage in plan_stages(setting.model, plan):
        shared, experts = _trained(setting, stage)
        largest = larger(largest, shared / replicas + experts / expert_replicas)
    update = largest * update_bytes_per_parameter(setting.workload.optimizer)
    if plan.offload == "none":
        return named("optimizer_s", elementwise_time_s(update * device.elementwise_factor, device=device))
    # Gradients go down, updated weights come up; the host updates them in its own memory meanwhile.
    moved = largest * 4.0 / card_to_host_bytes_per_s
    return named("optimizer_s", larger(moved, update / host_bytes_per_s), reference="ren-2021-offload")


def _trained(setting: Setting, stage: Stage) -> tuple[Number, Number]:
    """Parameters of a stage that one card trains: shared ones, and those of experts."""
    model, plan, workload = setting.model, setting.plan, setting.workload
    expert_tp = expert_tp_of(plan)
    if not workload.lora_rank:
        return stage_parameters(
            model, stage, tp=plan.tp, pp=plan.pp, expert_groups=plan.ep, expert_tp=expert_tp
        )
    return stage_lora_parameters(
        model,
        stage,
        rank=workload.lora_rank,
        targets=workload.lora_targets,
        tp=plan.tp,
        expert_groups=plan.ep,
        expert_tp=expert_tp,
    )


def streamed_weights_time_s(
    setting: Setting, *, busy_s: Number, micro_batches: Number, card_to_host_bytes_per_s: float
) -> Number:
    """Time of weights that come from the host in each pass of each micro-batch, unless compute hides them.

    Parameters
    ----------
    setting
        What runs where.
    busy_s
        Compute that they may hide behind [s].
    micro_batches
        Micro-batches of a step.
    card_to_host_bytes_per_s
        [byte/s]

    Returns
    -------
    Number
        [s], 0 where no weights are offloaded.

    References
    ----------
    ren-2021-offload

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> setting = SimpleNamespace(plan=SimpleNamespace(offload="none"))
    >>> streamed_weights_time_s(setting, busy_s=1.0, micro_batches=1,  # type: ignore
    ...                         card_to_host_bytes_per_s=1e9)
    0.0
    """
    if setting.plan.offload != "optimizer+weights":
        return 0.0
    streamed = streamed_traffic_s(
        setting, micro_batches=micro_batches, card_to_host_bytes_per_s=card_to_host_bytes_per_s
    )
    return named("streamed weights_s", exposed_time_s(streamed, busy_s, overlap=1.0))


def streamed_traffic_s(setting: Setting, *, micro_batches: Number, card_to_host_bytes_per_s: float) -> Number:
    """Moving the weights of a stage from the host in each pass of each micro-batch, hidden or not.

    Parameters
    ----------
    setting
        What runs where.
    micro_batches
        Micro-batches of a step.
    card_to_host_bytes_per_s
        [byte/s]

    Returns
    -------
    Number
        [s], of the stage with the most weights.

    References
    ----------
    ren-2021-offload

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from farthing.catalog import model
    >>> from farthing.records.plan import TrainingPlan
    >>> setting = SimpleNamespace(model=model("llama-2-7b"), plan=TrainingPlan(), weight_size=2.0)
    >>> round(streamed_traffic_s(setting, micro_batches=4, card_to_host_bytes_per_s=25e9), 2)  # type: ignore
    4.31
    """
    plan = setting.plan
    largest: Number = 0.0
    for stage in plan_stages(setting.model, plan):
        shared, experts = stage_parameters(
            setting.model,
            stage,
            tp=plan.tp,
            pp=plan.pp,
            expert_groups=plan.ep,
            expert_tp=expert_tp_of(plan),
        )
        largest = larger(largest, shared + experts)
    shards = plan.dp * plan.cp if plan.zero_stage == 3 else 1
    passes = 2 + plan.recompute_share if plan.recompute == "full" else 2
    return micro_batches * passes * largest * setting.weight_size / shards / card_to_host_bytes_per_s
