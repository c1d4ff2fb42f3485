"""A plan as a configuration and commands of torchtitan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farthing.launch.serving import model_path
from farthing.launch.titan_file import config_text
from farthing.launch.titan_model import find_shape
from farthing.launch.training import (
    batch_misfit,
    mixed_note,
    num_micro_batches,
    stages,
    steps,
    steps_note,
    torchrun,
    vendor_misfit,
)
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch, LaunchCommand, LaunchFile
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

ID = "torchtitan"
VERSION = "0.3.0"
DOCUMENTATION = "https://github.com/pytorch/torchtitan/blob/main/torchtitan/config/README.md"
MODULE = "farthing_run"

_SCHEDULES = {
    "gpipe": "GPipe",
    "1f1b": "1F1B",
    "interleaved": "Interleaved1F1B",
    "zero-bubble": "InterleavedZeroBubble",
}
_CONVERTERS = {
    "fp8": 'Float8LinearConverter.Config(filter_fqns=["lm_head"], model_compile_enabled=True)',
    "mxfp8": 'MXFP8LinearConverter.Config(fqns=["layers"], model_compile_enabled=True)',
    "nvfp4": 'NVFP4LinearConverter.Config(fqns=["layers"], model_compile_enabled=True)',
}
_RECOMPUTE = {
    "none": "None",
    "selective": "None",
    "operations": "SelectiveAC.Config()",
    "full": "FullAC.Config()",
}


def torchtitan(model: Model, cluster: Cluster, workload: TrainingWorkload, plan: TrainingPlan) -> Launch:
    """A module that returns a ``Trainer.Config``, and ``torchrun`` on it.

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
    >>> launch = torchtitan(model("llama-3.1-8b"), parse_cluster("1x8:h100-sxm"),
    ...     TrainingWorkload(sequence_tokens=8192, global_batch_size=64), TrainingPlan(dp=8, zero_stage=3))
    >>> print(launch.commands[0].text)
    PYTHONPATH=. torchrun \\
      --nproc-per-node 8 \\
      -m torchtitan.train --module farthing_run --config run
    """
    misfit = vendor_misfit(ID, cluster)
    shape = find_shape(model)
    if shape is None:
        misfit.append(
            f"torchtitan {VERSION} has no layers like those of {model.id}: use --launch megatron-lm, or "
            "write its "
            "model for torchtitan.models"
        )
    if workload.memory_tokens:
        misfit.append("torchtitan attends to no memory of the segment before: use a Transformer-XL code")
    if misfit or shape is None:
        return _launch((), (), misfit, [])
    cannot = batch_misfit(workload, plan)
    notes: list[str] = []
    converters = _converters(workload, plan, cannot, notes)
    text = config_text(
        shape=shape,
        assets=_assets(model),
        converters=converters,
        loss_chunks=plan.loss_chunks,
        optimizer=_optimizer(workload, cannot),
        training=_training(workload, plan, cannot),
        parallelism=_parallelism(model, workload, plan, cannot),
        stages=_stage_counts(model, plan),
        recompute=_recompute(plan, cannot, notes),
        overlap_tensor_parallel=plan.overlap_tensor_parallel > 0 and plan.tp > 1,
    )
    if workload.predictors:
        cannot.append(
            "torchtitan predicts tokens further ahead in its own DeepSeek-V3 alone, these commands do not: "
            "use "
            "--predictors 0, or --launch megatron-lm"
        )
    if plan.overlap_expert_parallel and plan.ep > 1:
        cannot.append(
            "torchtitan does not hide expert traffic under compute: use --overlap-expert-parallel 0, or "
            "--launch "
            "megatron-lm"
        )
    script = ["-m", "torchtitan.train", "--module", MODULE, "--config", "run"]
    commands, told = torchrun(cluster, plan, script, [], {"PYTHONPATH": "."})
    notes += told + steps_note(workload) + mixed_note(cluster) + list(shape.notes)
    notes += [
        f"Put {MODULE}.py into the folder from which the command is started, on every host; torchtitan reads "
        "runs "
        "from Python since 0.3.",
        "The data set (c4) and the learning rate are examples: they belong to your recipe.",
        *_assets_note(model),
    ]
    return _launch((LaunchFile(name=f"{MODULE}.py", text=text),), commands, cannot, notes)


def _assets(model: Model) -> str:
    """The folder of the tokenizer."""
    return f"./assets/hf/{model_path(model, model.id).rpartition('/')[2]}"


def _assets_note(model: Model) -> list[str]:
    hub = model_path(model, "HUB_ID")
    found = [
        "The tokenizer lies in hf_assets_path; in a clone of torchtitan, python "
        "scripts/download_hf_assets.py "
        f"--repo_id {hub} --assets tokenizer gets it."
    ]
    return found + ([f"HUB_ID stands for the hub id of {model.id}."] if hub == "HUB_ID" else [])


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


def _converters(
    workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str], notes: list[str]
) -> list[str]:
    found = []
    if plan.compute_format in _CONVERTERS:
        found.append(_CONVERTERS[plan.compute_format])
        notes.append("Products in few bits come from the package torchao: install it beside torchtitan.")
    elif plan.compute_format not in ("bf16", "fp32"):
        cannot.append(
            f"torchtitan does not compute in {plan.compute_format}, this run computes in bf16: use "
            "--compute-format bf16, fp8 or mxfp8"
        )
    if workload.lora_rank:
        targets = ', target_modules=["wqkv", "wo"]' if workload.lora_targets == "attention" else ""
        found.append(
            f"LoRAConverter.Config(rank={workload.lora_rank}, alpha={2 * workload.lora_rank}.0{targets})"
        )
    if plan.weight_format not in ("bf16", "fp32"):
        cannot.append(
            f"torchtitan stores weights in fp32 or bf16, not in {plan.weight_format}: use --weights bf16"
        )
    return found


def _optimizer(workload: TrainingWorkload, cannot: list[str]) -> str:
    if workload.optimizer == "adam-bf16":
        return 'replace(default_adamw(lr=3e-4), implementation="fused_opt_states_bf16")'
    if workload.optimizer != "adam":
        cannot.append(
            f"torchtitan has no ready {workload.optimizer}, this run takes AdamW: use --optimizer adam or "
            "adam-bf16, or --launch megatron-lm"
        )
    return "default_adamw(lr=3e-4)"


def _training(workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> dict[str, Any]:
    divisor = plan.tp * (2 * plan.cp if plan.cp > 1 else 1)
    if workload.sequence_tokens % divisor:
        cannot.append(
            f"torchtitan cuts a sequence into {divisor} pieces, which do not divide "
            f"{workload.sequence_tokens} "
            f"tokens: use --seq {workload.sequence_tokens // divisor * divisor}"
        )
    local = plan.micro_batch_size * (num_micro_batches(workload, plan) if plan.pp > 1 else 1)
    values: dict[str, Any] = {
        "local_batch_size": local,
        "global_batch_size": workload.global_batch_size,
        "seq_len": workload.sequence_tokens,
        "steps": steps(workload),
    }
    if plan.pp > 1 or plan.ep > 1:
        values["disable_cuda_graphs"] = True
    if plan.compute_format == "fp32":
        values["mixed_precision_param"] = "float32"
    if plan.gradient_format != "fp32":
        cannot.append("torchtitan reduces gradients in fp32: plan with --gradient-format fp32")
    if plan.offload != "none":
        if plan.offload_to == "nvme":
            cannot.append("torchtitan offloads to the host's memory, not to NVMe: use --launch deepspeed")
        elif plan.offload == "optimizer":
            cannot.append(
                "torchtitan offloads weights, gradients and optimizer together, and so does this run: use "
                "--offload optimizer+weights, or --launch megatron-lm"
            )
        if plan.offload_to == "memory":
            values["enable_cpu_offload"] = True
    return values


def _parallelism(
    model: Model, workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]
) -> dict[str, Any]:
    values: dict[str, Any] = {"tensor_parallel_degree": plan.tp}
    if plan.tp > 1:
        values["enable_sequence_parallel"] = plan.sequence_parallel
    if plan.zero_stage == 0:
        values |= {"data_parallel_replicate_degree": plan.dp, "data_parallel_shard_degree": 1}
    else:
        values["data_parallel_shard_degree"] = plan.dp
        values["fsdp_reshard_after_forward"] = "always" if plan.zero_stage == 3 else "never"
        if plan.zero_stage == 1 and plan.dp > 1:
            cannot.append(
                "torchtitan shards gradients along with the optimizer, this run is ZeRO 2: use --zero 2 or "
                "3, or "
                "--launch megatron-lm"
            )
    if plan.dp * plan.cp > 1 and not plan.overlap_data_parallel:
        cannot.append(
            "torchtitan always hides data-parallel traffic under compute: use --overlap-data-parallel 1"
        )
    if plan.cp > 1:
        values |= {"context_parallel_degree": plan.cp, "context_parallel_load_balancer": "ptrr"}
    if model.is_moe:
        values["expert_parallel_degree"] = plan.ep
        if plan.ep > 1 and (plan.expert_tp or plan.tp) > 1:
            cannot.append(
                "torchtitan does not split an expert by tensors: plan with --expert-tp 1, or --launch "
                "megatron-lm"
            )
    if plan.rank_order != "tp-cp-dp-pp" and plan.pp > 1:
        cannot.append(
            f"torchtitan numbers its ranks tp-cp-dp-pp, not {plan.rank_order}: use --rank-order tp-cp-dp-pp, "
            "or "
            "--launch megatron-lm"
        )
    if plan.pp > 1:
        values["pipeline_parallel_degree"] = plan.pp
        values["pipeline_parallel_schedule"] = _schedule(workload, plan, cannot)
        values["pipeline_parallel_microbatch_size"] = plan.micro_batch_size
    return values


def _schedule(workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> str:
    m = num_micro_batches(workload, plan)
    rounds = _rounds(plan)
    if plan.schedule == "zero-bubble" and plan.interleave == 1:
        cannot.append(
            "torchtitan's zero bubble needs two stages a card, this run has them: use --schedule zero-bubble "
            "--interleave 2, or 1f1b"
        )
    if rounds > 1 and m % max(1, m // plan.pp):
        cannot.append(
            f"PyTorch interleaves micro-batches in even rounds of about pp={plan.pp}, into which {m} do not "
            "go: use "
            f"--global-batch {max(1, m // plan.pp) * plan.pp * plan.dp * plan.micro_batch_size}"
        )
    return _SCHEDULES[plan.schedule]


def _rounds(plan: TrainingPlan) -> int:
    """Stages of a card."""
    if plan.schedule == "zero-bubble":
        return max(2, int(plan.interleave))
    return int(plan.interleave) if plan.schedule == "interleaved" else 1


def _stage_counts(model: Model, plan: TrainingPlan) -> list[int]:
    if plan.pp == 1:
        return []
    split, rounds = stages(model, plan), _rounds(plan)
    return [layers // rounds + (turn < layers % rounds) for turn in range(rounds) for layers in split]


def _recompute(plan: TrainingPlan, cannot: list[str], notes: list[str]) -> str:
    if plan.recompute == "full" and (plan.recompute_layers > 1 or plan.recompute_share < 1):
        cannot.append(
            "torchtitan recomputes every layer by itself: plan with --recompute-layers 1 --recompute-share "
            "1, or "
            "--launch megatron-lm"
        )
    if not plan.flash_attention:
        cannot.append("torchtitan's attention never stores the scores: plan with --flash-attention")
    elif plan.recompute == "selective":
        notes.append("Flash attention stores no scores: selective recomputation has nothing left to do.")
    return _RECOMPUTE[plan.recompute]
