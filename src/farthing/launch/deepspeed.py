"""A plan as a configuration and commands of DeepSpeed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from farthing.launch.commands import Flag, command_line
from farthing.launch.hosts import Share, address_note, shares, visible, where
from farthing.launch.training import (
    PORT,
    batch_misfit,
    cards,
    mixed_note,
    num_micro_batches,
    stages,
    steps,
    vendor_misfit,
)
from farthing.predict.stages import even_layers
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch, LaunchCommand, LaunchFile
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

ID = "deepspeed"
VERSION = "0.19.8"
DOCUMENTATION = "https://www.deepspeed.ai/docs/config-json/"
CONFIG = "ds_config.json"
HOSTFILE = "hostfile"

_OPTIMIZERS = {"adam": "AdamW", "adam-bf16": "AdamW", "muon": "Muon"}
_SCHEDULES = {
    "gpipe": "GPipe",
    "interleaved": "interleaved",
    "zero-bubble": "zero-bubble",
}


def deepspeed(model: Model, cluster: Cluster, workload: TrainingWorkload, plan: TrainingPlan) -> Launch:
    """``deepspeed TRAIN.py`` with its JSON configuration, and the hostfile of several hosts.

    Parameters
    ----------
    model, cluster, workload, plan
        Records.

    Returns
    -------
    Launch

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> launch = deepspeed(model("llama-2-7b"), parse_cluster("1x8:a100-sxm-80gb"),
    ...     TrainingWorkload(sequence_tokens=4096, global_batch_size=64), TrainingPlan(dp=8, zero_stage=3))
    >>> json.loads(launch.files[0].text)["zero_optimization"]["stage"]
    3
    >>> print(launch.commands[0].text)
    deepspeed \\
      --num_gpus 8 \\
      TRAIN.py \\
      --deepspeed \\
      --deepspeed_config ds_config.json
    """
    misfit = vendor_misfit(ID, cluster)
    if plan.pp > 1 and plan.zero_stage > 1:
        misfit.append(
            f"DeepSpeed's pipeline does not go with ZeRO {plan.zero_stage}, which would gather and reduce "
            "anew for "
            "every micro-batch: use --zero 1 with --pp, or --pp 1"
        )
    if misfit:
        return _launch((), (), misfit, [])
    cannot = batch_misfit(workload, plan)
    notes: list[str] = []
    config: dict[str, Any] = {
        "train_batch_size": workload.global_batch_size,
        "train_micro_batch_size_per_gpu": plan.micro_batch_size,
        "gradient_accumulation_steps": num_micro_batches(workload, plan),
        "gradient_clipping": 1.0,
        "steps_per_print": 10,
        **_optimizer(workload, cannot),
        **_numbers(workload, plan, cannot),
        "zero_optimization": _zero(plan, cannot, notes),
        **_parallel(model, plan, cannot, notes),
        **_recompute(plan, cannot, notes),
    }
    _lacks(workload, plan, cannot)
    files = [LaunchFile(name=CONFIG, text=json.dumps(config, indent=2) + "\n")]
    taken = shares(cluster, cards(plan))
    if len(taken) > 1:
        slots = "".join(f"{share.address} slots={share.cards}\n" for share in taken)
        files.append(LaunchFile(name=HOSTFILE, text=slots))
        notes.append(address_note(len(taken)))
        notes.append("The first host reaches the others by ssh without a password.")
    notes += [
        f"TRAIN.py stands for your script: it builds {model.id}, calls deepspeed.initialize and makes "
        f"{steps(workload):,} steps of sequences of {workload.sequence_tokens:,} tokens.",
        *mixed_note(cluster),
    ]
    return _launch(files, _commands(taken, cluster), cannot, notes)


def _launch(
    files: Sequence[LaunchFile],
    commands: Sequence[LaunchCommand],
    cannot: Sequence[str],
    notes: Sequence[str],
) -> Launch:
    return Launch(
        engine=ID,
        version=VERSION,
        documentation=DOCUMENTATION,
        files=tuple(files),
        commands=tuple(commands),
        cannot=tuple(cannot),
        notes=tuple(notes),
    )


def _commands(taken: tuple[Share, ...], cluster: Cluster) -> list[LaunchCommand]:
    script: list[Flag] = [("TRAIN.py",), ("--deepspeed",), ("--deepspeed_config", CONFIG)]
    if len(taken) == 1:
        text = command_line(["deepspeed"], [("--num_gpus", str(taken[0].cards)), *script], visible(taken[0]))
    else:
        about = [("--hostfile", HOSTFILE), ("--master_addr", taken[0].address), ("--master_port", PORT)]
        text = command_line(["deepspeed"], [*about, *script])
    return [LaunchCommand(where=where([taken[0].host], cluster.hosts), text=text)]


def _optimizer(workload: TrainingWorkload, cannot: list[str]) -> dict[str, Any]:
    name = workload.optimizer
    if name not in _OPTIMIZERS:
        cannot.append(
            f"DeepSpeed's own optimizers do not have {name}: TRAIN.py must pass one to deepspeed.initialize, "
            "or "
            "use --optimizer adam"
        )
        return {"zero_allow_untested_optimizer": True}
    values = {"lr": 3e-4, "weight_decay": 0.1}
    if name != "muon":
        values["betas"] = [0.9, 0.95]  # type: ignore[assignment]
    return {"optimizer": {"type": _OPTIMIZERS[name], "params": values}}


def _numbers(workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if plan.compute_format == "fp16":
        values["fp16"] = {"enabled": True}
    elif plan.compute_format != "fp32":
        values["bf16"] = {"enabled": True}
        if workload.optimizer == "adam-bf16":
            if plan.zero_stage:
                values["bf16"] |= {"bf16_master_weights_and_grads": True, "bf16_optimizer_states": True}
            else:
                cannot.append("DeepSpeed keeps optimizer states in bf16 only under ZeRO: use --zero 1")
        if plan.compute_format != "bf16":
            cannot.append(
                f"DeepSpeed's engine computes in bf16, not in {plan.compute_format}: TRAIN.py can build its "
                "layers "
                "with Transformer Engine, or use --launch megatron-lm"
            )
    values["data_types"] = {"grad_accum_dtype": plan.gradient_format}
    if plan.gradient_format not in ("fp32", "bf16", "fp16"):
        cannot.append(
            f"DeepSpeed accumulates no gradients in {plan.gradient_format}: use --gradient-format fp32"
        )
        values["data_types"] = {"grad_accum_dtype": "fp32"}
    if plan.weight_format not in ("bf16", "fp16", "fp32"):
        cannot.append(
            f"DeepSpeed's configuration does not store weights in {plan.weight_format}: TRAIN.py must load "
            "them so "
            "(bitsandbytes with PEFT), or use --weights bf16"
        )
    return values


def _zero(plan: TrainingPlan, cannot: list[str], notes: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"stage": plan.zero_stage}
    if plan.zero_stage:
        values["overlap_comm"] = plan.overlap_data_parallel > 0
        values["contiguous_gradients"] = True
        if plan.zero_stage == 1 and plan.pp > 1 and values["overlap_comm"]:
            # Stage 1 reduces after the last micro-batch of a pipeline.
            values["overlap_comm"] = False
            cannot.append(
                "DeepSpeed hides no gradient traffic in a pipeline: plan with --overlap-data-parallel 0"
            )
    if plan.offload == "none":
        return values
    if plan.zero_stage == 0:
        cannot.append("DeepSpeed offloads only what ZeRO shards: use --zero 1 or more")
        return values
    device = "nvme" if plan.offload_to == "nvme" else "cpu"
    where_to: dict[str, Any] = {"device": device}
    if device == "nvme":
        where_to["nvme_path"] = "/NVME"
        notes.append("/NVME stands for the folder of the drive, on every host.")
    if device == "nvme" and plan.zero_stage < 3:
        cannot.append("DeepSpeed offloads to NVMe under ZeRO 3 alone: use --zero 3, or --offload-to memory")
        where_to = {"device": "cpu"}
    values["offload_optimizer"] = dict(where_to)
    if plan.offload == "optimizer+weights":
        if plan.zero_stage == 3:
            values["offload_param"] = dict(where_to)
        else:
            cannot.append(
                "DeepSpeed offloads weights under ZeRO 3 alone: use --zero 3, or --offload optimizer"
            )
    return values


def _parallel(model: Model, plan: TrainingPlan, cannot: list[str], notes: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if plan.tp > 1 and plan.pp > 1:
        cannot.append(
            "DeepSpeed splits tensors by itself outside a pipeline only: TRAIN.py must give PipelineModule "
            f"layers that are split {plan.tp} ways and a PipeModelDataParallelTopology, or use --launch "
            "megatron-lm"
        )
    elif plan.tp > 1:
        values["tensor_parallel"] = {"autotp_size": plan.tp}
        if plan.overlap_tensor_parallel:
            values["tensor_parallel"]["tp_overlap_comm"] = True
    if plan.tp > 1 and plan.sequence_parallel:
        cannot.append(
            "DeepSpeed's tensor parallelism keeps norms and dropouts whole on every card: plan with "
            "--no-sequence-parallel, or use --launch megatron-lm"
        )
    if plan.cp > 1:
        values["sequence_parallel_size"] = plan.cp
        notes.append(
            "Context parallelism is DeepSpeed-Ulysses, which deals heads out: TRAIN.py sets it up, and "
            f"cp={plan.cp} "
            f"must divide the {model.heads} heads."
        )
    if model.is_moe and plan.ep > 1:
        values["expert_parallel"] = {"enabled": True, "autoep_size": plan.ep}
        if (plan.expert_tp or plan.tp) > 1:
            cannot.append(
                "DeepSpeed does not split an expert by tensors: plan with --expert-tp 1, or --launch "
                "megatron-lm"
            )
        if plan.tp > 1 and plan.cp > 1:
            cannot.append(
                "DeepSpeed deals out experts beside tensor or context parallelism, not beside both: use --tp "
                "1 "
                "or --cp 1"
            )
        if plan.zero_stage == 3 and plan.cp > 1:
            cannot.append(
                "DeepSpeed deals out experts under ZeRO 3 only without context parallelism: use --cp 1 "
                "or --zero 2"
            )
        if plan.overlap_expert_parallel:
            cannot.append(
                "DeepSpeed does not hide expert traffic under compute: use --overlap-expert-parallel 0, or "
                "--launch "
                "megatron-lm"
            )
    if plan.pp > 1:
        values["pipeline"] = {"stages": plan.pp, "partition": "uniform"}
        _pipeline(model, plan, cannot, notes)
    return values


def _pipeline(model: Model, plan: TrainingPlan, cannot: list[str], notes: list[str]) -> None:
    if plan.schedule != "1f1b":
        cannot.append(
            f"DeepSpeed's pipeline runs 1F1B, it has no {_SCHEDULES[plan.schedule]} schedule: use --schedule "
            "1f1b, "
            "or --launch torchtitan"
        )
    split = stages(model, plan)
    if split != even_layers(model.layers, plan.pp) or model.layers % plan.pp:
        cannot.append(
            f"DeepSpeed's pipeline splits by its own measure, not {','.join(map(str, split))} layers: "
            "TRAIN.py can "
            "pass a partition_method to PipelineModule, or choose a --pp that divides the layers"
        )
    if plan.rank_order != "tp-cp-dp-pp":
        cannot.append(
            f"DeepSpeed numbers its ranks tp-dp-pp, not {plan.rank_order}: use --rank-order tp-cp-dp-pp, or "
            "--launch megatron-lm"
        )
    notes.append(f"TRAIN.py gives the layers as a PipelineModule of {plan.pp} stages.")


def _recompute(plan: TrainingPlan, cannot: list[str], notes: list[str]) -> dict[str, Any]:
    if plan.recompute == "full":
        notes.append(
            "TRAIN.py wraps the layers in deepspeed.checkpointing.checkpoint, or calls "
            "gradient_checkpointing_enable() of a Transformers model."
        )
        if plan.recompute_layers > 1 or plan.recompute_share < 1:
            notes.append(
                f"The plan recomputes {plan.recompute_share:.0%} of the layers in groups of "
                f"{plan.recompute_layers}: TRAIN.py chooses which layers it wraps."
            )
        return {"activation_checkpointing": {"partition_activations": plan.tp > 1 and plan.sequence_parallel}}
    if plan.recompute == "operations":
        cannot.append(
            "DeepSpeed recomputes whole layers: use --recompute full or none, or --launch torchtitan"
        )
    elif plan.recompute == "selective" and not plan.flash_attention:
        cannot.append(
            "DeepSpeed recomputes whole layers, not the scores alone: use --flash-attention, or --launch "
            "megatron-lm"
        )
    return {}


def _lacks(workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> None:
    """What the configuration does not reach: the script does it or nobody."""
    scripted = {
        f"LoRA of rank {workload.lora_rank}": workload.lora_rank,
        f"a loss in {plan.loss_chunks} chunks": plan.loss_chunks > 1,
        "memory of the segment before": workload.memory_tokens,
        f"{workload.predictors} predicting layers": workload.predictors,
    }
    for what, wanted in scripted.items():
        if wanted:
            cannot.append(f"DeepSpeed's configuration does not know {what}: TRAIN.py must build the model so")
