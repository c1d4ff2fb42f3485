"""A plan as commands of Megatron-LM."""

from __future__ import annotations

from collections.abc import Sequence

from farthing.launch.commands import Flag, pairs
from farthing.launch.megatron_model import model_flags
from farthing.launch.serving import model_path
from farthing.launch.training import (
    batch_misfit,
    chunks,
    is_even,
    mixed_note,
    num_micro_batches,
    stages,
    steps,
    steps_note,
    torchrun,
    vendor_misfit,
)
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch, LaunchCommand
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

ID = "megatron-lm"
VERSION = "core 0.19.0"
DOCUMENTATION = "https://github.com/NVIDIA/Megatron-LM/blob/core_v0.19.0/megatron/training/arguments.py"

_PRECISION: dict[str, list[Flag]] = {
    "bf16": [("--bf16",)],
    "fp16": [("--fp16",)],
    "fp32": [],
    "fp8": [("--bf16",), ("--fp8-format", "hybrid"), ("--fp8-recipe", "tensorwise")],
    "fp8-block": [("--bf16",), ("--fp8-format", "e4m3"), ("--fp8-recipe", "blockwise")],
    "mxfp8": [("--bf16",), ("--fp8-format", "e4m3"), ("--fp8-recipe", "mxfp8")],
    "nvfp4": [("--bf16",), ("--fp4-format", "e2m1"), ("--fp4-recipe", "nvfp4")],
}
_OPTIMIZERS: dict[str, list[Flag]] = {
    "adam": [("--optimizer", "adam")],
    "adam-bf16": [
        ("--optimizer", "adam"),
        ("--use-precision-aware-optimizer",),
        ("--exp-avg-dtype", "bf16"),
        ("--exp-avg-sq-dtype", "bf16"),
    ],
    "adam-8bit": [
        ("--optimizer", "adam"),
        ("--use-precision-aware-optimizer",),
        ("--exp-avg-dtype", "fp8"),
        ("--exp-avg-sq-dtype", "fp8"),
    ],
    "sgd": [("--optimizer", "sgd")],
    "muon": [("--optimizer", "muon")],
}
_FSDP = {2: "optim_grads", 3: "optim_grads_params"}


def megatron_lm(model: Model, cluster: Cluster, workload: TrainingWorkload, plan: TrainingPlan) -> Launch:
    """``torchrun pretrain_gpt.py`` with the options of a plan.

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
    >>> launch = megatron_lm(model("llama-2-70b"), parse_cluster("16x8:a100-sxm-80gb@ib-hdr"),
    ...     TrainingWorkload(sequence_tokens=4096, global_batch_size=512),
    ...     TrainingPlan(tp=8, pp=8, dp=2, schedule="interleaved", interleave=2))
    >>> "--num-virtual-stages-per-pipeline-rank 2" in launch.commands[0].text, launch.cannot
    (True, ())
    """
    misfit = vendor_misfit(ID, cluster)
    flags, cannot, notes = model_flags(model, workload)
    if workload.lora_rank:
        misfit.append(
            "Megatron-LM trains no LoRA adapters: use --launch torchtitan, or Megatron Bridge, which "
            "converts and "
            "tunes its models"
        )
    if misfit or flags is None:
        return _launch((), [*misfit, *cannot], [])
    cannot += batch_misfit(workload, plan)
    flags += _parallel(model, workload, plan, cannot)
    flags += _sharding(workload, plan, cannot)
    flags += _memory(model, workload, plan, cannot, notes)
    flags += _numbers(model, workload, plan, cannot)
    flags += [
        *pairs(
            micro_batch_size=plan.micro_batch_size,
            global_batch_size=workload.global_batch_size,
            train_iters=steps(workload),
        ),
        *pairs(lr="3e-4", min_lr="3e-5", lr_decay_style="cosine", weight_decay=0.1, adam_beta2=0.95),
        *pairs(attention_dropout=0.0, hidden_dropout=0.0),
        *pairs(tokenizer_type="HuggingFaceTokenizer", tokenizer_model=model_path(model, "TOKENIZER")),
        *pairs(data_path="DATA", split="99,1,0", eval_iters=0, log_interval=10),
    ]
    commands, told = torchrun(cluster, plan, ["pretrain_gpt.py"], flags, _environment(plan, flags))
    notes += told + steps_note(workload) + mixed_note(cluster)
    notes += [
        "Type it in a clone of Megatron-LM at tag core_v0.19.0.",
        "DATA stands for the prefix of a data set made by tools/preprocess_data.py; --mock-data in place of "
        "--data-path DATA measures without one.",
        "Learning rate, its decay and weight decay are examples: they belong to your recipe.",
    ]
    if model_path(model, "TOKENIZER") == "TOKENIZER":
        notes.append("TOKENIZER stands for the folder or the hub id of the tokenizer.")
    return _launch(commands, cannot, notes)


def _launch(commands: Sequence[LaunchCommand], cannot: Sequence[str], notes: Sequence[str]) -> Launch:
    return Launch(
        engine=ID,
        version=VERSION,
        documentation=DOCUMENTATION,
        commands=tuple(commands),
        cannot=tuple(cannot),
        notes=tuple(notes),
    )


def _parallel(model: Model, workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> list[Flag]:
    flags = pairs(tensor_model_parallel_size=plan.tp, pipeline_model_parallel_size=plan.pp)
    if plan.cp > 1:
        flags += pairs(context_parallel_size=plan.cp)
        if workload.sequence_tokens % (2 * plan.cp):
            cannot.append(
                f"Megatron-LM cuts a sequence into 2 x cp = {2 * plan.cp} pieces, which do not divide "
                f"{workload.sequence_tokens} tokens: use --seq "
                f"{workload.sequence_tokens // (2 * plan.cp) * 2 * plan.cp}"
            )
    if model.is_moe:
        flags += pairs(
            expert_model_parallel_size=plan.ep, expert_tensor_parallel_size=plan.expert_tp or plan.tp
        )
    if plan.tp > 1 and plan.sequence_parallel:
        flags.append(("--sequence-parallel",))
    elif plan.tp > 1 and model.is_moe:
        cannot.append(
            "Megatron-LM trains a mixture of experts under tensor parallelism only with sequence "
            "parallelism: "
            "plan with --sequence-parallel"
        )
    if plan.rank_order == "tp-cp-pp-dp":
        flags.append(("--use-tp-pp-dp-mapping",))
    return flags + _pipeline(model, workload, plan, cannot)


def _pipeline(model: Model, workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> list[Flag]:
    if plan.pp == 1:
        return []
    if plan.schedule == "gpipe":
        cannot.append(
            "Megatron-LM has no GPipe schedule, these commands run 1F1B: use --schedule 1f1b, which keeps "
            "fewer "
            "activations at the same bubble"
        )
    if plan.schedule == "zero-bubble":
        cannot.append(
            "Megatron-LM has no zero-bubble schedule, these commands run 1F1B: use --schedule interleaved, "
            "or "
            "--launch torchtitan"
        )
    interleave = plan.interleave if plan.schedule == "interleaved" else 1
    m = num_micro_batches(workload, plan)
    if interleave > 1 and m % plan.pp:
        cannot.append(
            f"Megatron-LM interleaves micro-batches in groups of pp={plan.pp}, which do not divide {m}: use "
            f"--global-batch {max(1, m // plan.pp) * plan.pp * plan.dp * plan.micro_batch_size}"
        )
    if workload.predictors or not is_even(model, plan):
        return _uneven(model, workload, plan, interleave)
    return pairs(num_virtual_stages_per_pipeline_rank=interleave) if interleave > 1 else []


def _uneven(model: Model, workload: TrainingWorkload, plan: TrainingPlan, interleave: int) -> list[Flag]:
    """The layers of the ends where all between are alike; else the layout, stage by stage."""
    split = stages(model, plan)
    if interleave == 1 and not workload.predictors and len(set(split[1:-1])) <= 1 and plan.pp > 2:
        return pairs(decoder_first_pipeline_num_layers=split[0], decoder_last_pipeline_num_layers=split[-1])
    cells = [f"t*{layers}" if layers > 1 else "t" * layers for layers in chunks(model, plan)]
    cells[0] = "E" + cells[0]
    cells[-1] += "m" * workload.predictors + "L"
    return [("--pipeline-model-parallel-layout", "|".join(cells))]


def _sharding(workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> list[Flag]:
    flags: list[Flag] = []
    if plan.zero_stage == 1:
        flags.append(("--use-distributed-optimizer",))
    elif plan.zero_stage > 1:
        flags += [
            ("--use-distributed-optimizer",),
            ("--use-megatron-fsdp",),
            ("--data-parallel-sharding-strategy", _FSDP[plan.zero_stage]),
            ("--ckpt-format", "fsdp_dtensor"),
        ]
        if plan.zero_stage == 3:
            flags.append(("--init-model-with-meta-device",))
        if workload.optimizer not in ("adam", "sgd"):
            cannot.append(
                f"Megatron-FSDP, which is its ZeRO {plan.zero_stage}, knows Adam and SGD, not "
                f"{workload.optimizer}: use --zero 1 or --optimizer adam"
            )
    if plan.overlap_data_parallel and plan.dp * plan.cp > 1:
        flags.append(("--overlap-grad-reduce",))
        if plan.zero_stage:
            flags.append(("--overlap-param-gather",))
    if plan.overlap_tensor_parallel and plan.tp > 1:
        if plan.sequence_parallel:
            flags.append(("--tp-comm-overlap",))
        else:
            cannot.append(
                "Megatron-LM overlaps tensor-parallel traffic only with sequence parallelism: plan with "
                "--sequence-parallel, or --overlap-tensor-parallel 0"
            )
    if plan.overlap_expert_parallel and plan.ep > 1:
        if plan.pp > 1 and (plan.schedule != "interleaved" or plan.interleave == 1):
            cannot.append(
                "Megatron-LM hides expert traffic in a pipeline only where it interleaves: use --schedule "
                "interleaved --interleave 2, or --overlap-expert-parallel 0"
            )
        else:
            flags.append(("--overlap-moe-expert-parallel-comm",))
    return flags


def _memory(
    model: Model, workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str], notes: list[str]
) -> list[Flag]:
    flags: list[Flag] = []
    backend = "auto" if model.is_mla else "flash"
    flags += pairs(attention_backend=backend if plan.flash_attention else "unfused")
    if plan.recompute == "selective" and not plan.flash_attention:
        flags += [("--recompute-granularity", "selective"), ("--recompute-modules", "core_attn")]
    elif plan.recompute == "selective":
        notes.append("Flash attention stores no scores: selective recomputation has nothing left to do.")
    elif plan.recompute == "operations":
        cannot.append(
            "Megatron-LM does not recompute every second product, these commands recompute nothing: use "
            "--recompute full or selective, or --launch torchtitan"
        )
    elif plan.recompute == "full":
        flags += [("--recompute-granularity", "full"), *_full(model, plan, cannot)]
    if plan.loss_chunks > 1:
        cannot.append(
            "Megatron-LM makes all logits of a micro-batch at once: plan with --loss-chunks 1, or use "
            "--launch torchtitan"
        )
    if plan.offload == "none":
        return flags
    if plan.offload_to == "nvme":
        cannot.append("Megatron-LM offloads to the host's memory, not to NVMe: use --launch deepspeed")
    elif plan.offload == "optimizer+weights":
        cannot.append(
            "Megatron-LM keeps the weights on the card, these commands offload the optimizer alone: use "
            "--offload optimizer, or --launch deepspeed"
        )
    if plan.offload_to == "memory":
        flags += [
            ("--optimizer-cpu-offload",),
            ("--optimizer-offload-fraction", "1.0"),
            ("--overlap-cpu-optimizer-d2h-h2d",),
        ]
        if workload.optimizer not in ("adam-bf16", "adam-8bit"):
            flags.append(("--use-precision-aware-optimizer",))
    return flags


def _full(model: Model, plan: TrainingPlan, cannot: list[str]) -> list[Flag]:
    if plan.recompute_share == 1:
        return pairs(recompute_method="uniform", recompute_num_layers=plan.recompute_layers)
    if plan.recompute_layers > 1:
        cannot.append(
            "Megatron-LM recomputes a share of the layers one by one, not in groups: plan with "
            "--recompute-layers 1, or --recompute-share 1"
        )
    rounds = plan.interleave if plan.schedule == "interleaved" else 1
    most = max(stages(model, plan)) / rounds
    return pairs(recompute_method="block", recompute_num_layers=max(1, round(plan.recompute_share * most)))


def _numbers(model: Model, workload: TrainingWorkload, plan: TrainingPlan, cannot: list[str]) -> list[Flag]:
    flags = list(_PRECISION.get(plan.compute_format, [("--bf16",)]))
    if plan.compute_format not in _PRECISION:
        cannot.append(
            f"Megatron-LM does not compute in {plan.compute_format}, these commands compute in bf16: use "
            f"--compute-format bf16 or fp8"
        )
    eight_bits = plan.compute_format in ("fp8", "fp8-block", "mxfp8")
    if plan.weight_format == plan.compute_format and eight_bits:
        if plan.zero_stage and plan.offload == "none":
            flags.append(("--fp8-param-gather",))
        else:
            cannot.append(
                "Megatron-LM stores fp8 weights only under a distributed optimizer on the card, these "
                "commands store bf16: use --zero 1 --offload none"
            )
    elif plan.weight_format not in ("bf16", "fp16", "fp32"):
        cannot.append(f"Megatron-LM trains no {plan.weight_format} weights: use --weights bf16")
    if plan.gradient_format == "bf16":
        flags.append(("--grad-reduce-in-bf16",))
    elif plan.gradient_format == "fp32":
        flags.append(("--accumulate-allreduce-grads-in-fp32",))
    else:
        cannot.append(
            f"Megatron-LM accumulates gradients in fp32 or bf16, not in {plan.gradient_format}: use "
            "--gradient-format fp32"
        )
    if workload.optimizer not in _OPTIMIZERS:
        cannot.append(f"Megatron-LM has no {workload.optimizer}: use --optimizer adam, sgd or muon")
    optimizer = _OPTIMIZERS.get(workload.optimizer, [("--optimizer", "adam")])
    if any(flag[0] == "--use-precision-aware-optimizer" for flag in optimizer) and plan.zero_stage == 0:
        cannot.append(
            f"Megatron-LM keeps {workload.optimizer} states only in its distributed optimizer: use --zero 1"
        )
    return [*flags, *optimizer]


def _environment(plan: TrainingPlan, flags: list[Flag]) -> dict[str, str]:
    """One queue keeps collectives before the products that they feed; sharded weights need several."""
    if ("--use-megatron-fsdp",) in flags or ("--overlap-moe-expert-parallel-comm",) in flags:
        return {"CUDA_DEVICE_MAX_CONNECTIONS": "8"}
    return {"CUDA_DEVICE_MAX_CONNECTIONS": "1"} if plan.tp > 1 or plan.cp > 1 else {}
