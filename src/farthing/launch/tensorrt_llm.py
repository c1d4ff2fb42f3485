"""A plan as commands of TensorRT-LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from farthing.launch.commands import Flag, command_line, yaml_text
from farthing.launch.hosts import address_note, where
from farthing.launch.serving import (
    LISTED,
    PORT,
    SIXTEEN_BITS,
    Server,
    commands_on_hosts,
    joined_replicas,
    mixed_misfit,
    model_path,
    path_note,
    published_in,
    replicas_note,
    sequences,
    servers,
    split_note,
    stage_layers,
    straddling,
    vendor_misfit,
)
from farthing.predict.stages import even_layers
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch, LaunchCommand, LaunchFile
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

ID = "tensorrt-llm"
VERSION = "main at 00209af149e7, between 1.2 and 1.3"
DOCUMENTATION = "https://nvidia.github.io/TensorRT-LLM/commands/trtllm-serve/trtllm-serve.html"
CONFIG = "trtllm.yaml"

_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_CHECKPOINTS = {
    "fp8": "FP8 of ModelOpt",
    "fp8-block": "FP8 with 128x128 blocks",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4 of ModelOpt",
    "int8-sq": "SmoothQuant INT8 of ModelOpt",
    "int8": "W8A8 INT8 of ModelOpt",
    "w8a16": "W8A16 of ModelOpt",
    "w4a16": "W4A16 of ModelOpt",
    "gptq-int4": "GPTQ 4-bit of ModelOpt",
    "awq-int4": "W4A16 AWQ of ModelOpt",
}
_CACHES = {"fp8": "fp8", "nvfp4": "nvfp4", "int8": "int8"}


def tensorrt_llm(model: Model, cluster: Cluster, workload: InferenceWorkload, plan: InferencePlan) -> Launch:
    """Commands of ``trtllm-serve`` and its YAML file.

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
    >>> launch = tensorrt_llm(model("llama-2-70b"), parse_cluster("1x4:h100-sxm"),
    ...                       InferenceWorkload(batch_size=16), InferencePlan(tp=4, chunk_tokens=512))
    >>> print(launch.files[0].text, end="")
    dtype: bfloat16
    enable_chunked_prefill: true
    kv_cache_config:
      dtype: auto
      enable_block_reuse: false
    """
    cannot = vendor_misfit(ID, cluster, "use vLLM or llama.cpp") + mixed_misfit("TensorRT-LLM", cluster)
    if any("does not run on" in sentence for sentence in cannot):
        return _launch((), (), cannot, [])
    joined = joined_replicas(model, plan)
    notes: list[str] = []
    found = servers(cluster, plan, joined)
    if joined > 1 and plan.tp > 1:
        return _launch(
            (),
            (),
            [
                *cannot,
                "TensorRT-LLM either splits attention over all cards of its tp_size or runs it data-parallel "
                "on "
                f"each of them: tp={plan.tp} with dp={plan.dp} sharing experts is neither; plan with --tp 1 "
                f"--dp {plan.tp * plan.dp} or --tp {plan.tp * plan.dp} --dp 1, or use SGLang",
            ],
            notes,
        )
    config = _config(model, cluster, workload, plan, joined, cannot, notes)
    batch = sequences(workload, plan, 1)
    context = workload.longest_context_tokens
    tokens = max(plan.chunk_tokens or context, batch)
    if plan.chunk_tokens and tokens > plan.chunk_tokens:
        notes.append(
            f"A pass holds a token of each decoding sequence beside the chunk: {plan.chunk_tokens} tokens "
            "are "
            f"raised to the {batch} sequences."
        )
    flags: list[Flag] = [
        ("--tp_size", str(plan.tp * joined)),
        ("--pp_size", str(plan.pp)),
        *([("--ep_size", str(plan.ep))] if model.is_moe and plan.ep > 1 else []),
        ("--max_batch_size", str(batch)),
        ("--max_num_tokens", str(tokens)),
        ("--max_seq_len", str(context)),
        ("--gpus_per_node", str(max(share.cards for share in found[0].cards))),
        ("--config", CONFIG),
        ("--host", "0.0.0.0"),
    ]
    notes += split_note(model, cluster, plan) + replicas_note(found, joined)
    program = ["trtllm-serve", model_path(model)]
    commands: list[LaunchCommand] = []
    if all(len(server.cards) == 1 for server in found):
        commands += commands_on_hosts(found, cluster, program, flags)
        notes.append(f"Put {CONFIG} into the folder from which the command is started.")
    elif straddling(found):
        return _launch((), (), [*cannot, *straddling(found)], [])
    else:
        for server in found[:LISTED]:
            commands.append(_mpirun(server, cluster, program, flags))
        notes.append(f"Put {CONFIG} at the same path on every host; the hosts reach each other by ssh (MPI).")
    if cluster.hosts > 1:
        notes.append(address_note(cluster.hosts))
    file = LaunchFile(name=CONFIG, text=yaml_text(config))
    return _launch((file,), commands, cannot, notes + path_note(model))


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


def _config(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: InferencePlan,
    joined: int,
    cannot: list[str],
    notes: list[str],
) -> dict[str, Any]:
    config: dict[str, Any] = {"dtype": _dtype(model, plan, cannot, notes)}
    config["enable_chunked_prefill"] = plan.chunk_tokens > 0
    if joined > 1:
        config["enable_attention_dp"] = True
    if model.is_moe and plan.tp * joined > max(plan.ep, 1):
        config["moe_tensor_parallel_size"] = plan.tp * joined // plan.ep
        config["moe_expert_parallel_size"] = plan.ep
    split = stage_layers(model, cluster, plan)
    if plan.pp > 1 and (split != even_layers(model.layers, plan.pp) or model.layers % plan.pp):
        config["pp_partition"] = list(split)
    cache = "auto"
    if plan.kv_format in _CACHES:
        cache = _CACHES[plan.kv_format]
    elif plan.kv_format not in SIXTEEN_BITS:
        cannot.append(f"TensorRT-LLM keeps no {plan.kv_format} cache: use --kv fp8, nvfp4 or fp16")
    config["kv_cache_config"] = {"dtype": cache, "enable_block_reuse": workload.prefix_share > 0}
    if workload.draft_tokens:
        config["speculative_config"] = {
            "decoding_type": "Draft_Target",
            "max_draft_len": workload.draft_tokens,
            "speculative_model": "DRAFT_MODEL",
        }
        notes.append("DRAFT_MODEL stands for the draft model: a small one with the same tokenizer.")
    if plan.micro_batches not in (0, plan.pp):
        cannot.append(
            f"TensorRT-LLM keeps as many batches in flight as there are stages ({plan.pp}), not "
            f"{plan.micro_batches}: plan with --micro-batches {plan.pp}"
        )
    if plan.overlap_communication:
        cannot.append(
            "trtllm-serve has no option that runs two batches so that one hides the other's communication: "
            "use SGLang (--enable-two-batch-overlap), or --overlap-communication 0"
        )
    return config


def _dtype(model: Model, plan: InferencePlan, cannot: list[str], notes: list[str]) -> str:
    weights = plan.weight_format
    if weights in _DTYPES:
        if plan.compute_format not in ("", weights):
            cannot.append(
                f"TensorRT-LLM computes {weights} weights in {weights}, not in {plan.compute_format}: plan "
                "with "
                f"--weights {plan.compute_format}"
            )
        return _DTYPES[weights]
    if weights in _CHECKPOINTS:
        if not published_in(model, weights):
            notes.append(
                f"Serve a checkpoint whose weights are in {_CHECKPOINTS[weights]} in place of 16 bits."
            )
    elif not published_in(model, weights):
        cannot.append(f"TensorRT-LLM does not load {weights} weights: use --weights fp8, nvfp4 or awq-int4")
    if plan.dense_format not in ("", weights):
        notes.append(
            f"The checkpoint must hold all but the routed experts in {plan.dense_format}: its quantisation "
            "settings say which modules are left out."
        )
    return _DTYPES.get(plan.compute_format, "auto")


def _mpirun(server: Server, cluster: Cluster, program: list[str], flags: list[Flag]) -> LaunchCommand:
    """One server over several hosts: MPI starts a process a card."""
    count = sum(share.cards for share in server.cards)
    hosts = ",".join(f"{share.address}:{share.cards}" for share in server.cards)
    text = command_line(
        ["mpirun"],
        [
            ("-n", str(count)),
            ("-H", hosts),
            ("trtllm-llmapi-launch", *program),
            *flags,
            ("--port", str(PORT)),
        ],
    )
    return LaunchCommand(where=where([server.cards[0].host], cluster.hosts), text=text)
