"""A plan as commands of SGLang."""

from __future__ import annotations

from collections.abc import Sequence

from farthing.launch.commands import Flag, command_line, pairs
from farthing.launch.hosts import address, address_note, visible, where
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
from farthing.records.launch import Launch, LaunchCommand
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

ID = "sglang"
VERSION = "0.5.23"
DOCUMENTATION = "https://docs.sglang.io/docs/advanced_features/server_arguments"

_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_QUANTIZATION: dict[str, list[Flag]] = {
    "fp8": [("--quantization", "fp8")],
    "mxfp8": [("--quantization", "mxfp8")],
    "bnb-nf4": [("--load-format", "bitsandbytes"), ("--quantization", "bitsandbytes")],
    "int8": [("--quantization", "w8a8_int8")],
    "int8-sq": [("--quantization", "w8a8_int8")],
    "nvfp4": [("--quantization", "modelopt_fp4")],
}
_CHECKPOINTS = {
    "fp8-block": "FP8 with 128x128 blocks",
    "int8": "W8A8 INT8",
    "int8-sq": "W8A8 INT8 of SmoothQuant",
    "nvfp4": "NVFP4 of ModelOpt",
    "mxfp4": "MXFP4",
    "w8a16": "W8A16 (compressed-tensors)",
    "w4a16": "W4A16, group 128 (compressed-tensors)",
    "w4a16-g32": "W4A16, group 32 (compressed-tensors)",
    "gptq-int8": "GPTQ 8-bit, group 128",
    "gptq-int4": "GPTQ 4-bit, group 128",
    "awq-int4": "AWQ 4-bit, group 128",
    "torchao-int4": "torchao INT4",
}
"""Formats that the checkpoint itself must be in."""
_CACHES = {"fp8": "fp8_e4m3", "fp8-e5m2": "fp8_e5m2", "nvfp4": "nvfp4", "mxfp8": "mxfp8"}
_INIT_PORT = 20000


def sglang(model: Model, cluster: Cluster, workload: InferenceWorkload, plan: InferencePlan) -> Launch:
    """Commands of ``python -m sglang.launch_server``.

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
    >>> launch = sglang(model("llama-2-70b"), parse_cluster("2x8:h100-sxm@ib-ndr"),
    ...                 InferenceWorkload(batch_size=16), InferencePlan(tp=16))
    >>> print(launch.commands[1].where, launch.commands[1].text, sep="\\n")
    host 2
    python3 -m sglang.launch_server \\
      --model-path meta-llama/Llama-2-70b-hf \\
      --tp-size 16 \\
      --pp-size 1 \\
      --dtype bfloat16 \\
      --context-length 1280 \\
      --max-running-requests 16 \\
      --chunked-prefill-size -1 \\
      --nnodes 2 \\
      --node-rank 1 \\
      --dist-init-addr HOST_1:20000
    """
    cannot = vendor_misfit(ID, cluster, "use llama.cpp") + mixed_misfit("SGLang", cluster)
    if any("does not run on" in sentence for sentence in cannot):
        return _launch((), cannot, [])
    joined = joined_replicas(model, plan)
    found = servers(cluster, plan, joined)
    flags, lacks, notes = engine_flags(model, workload, plan, joined=joined)
    cannot += lacks
    environment = {}
    split = stage_layers(model, cluster, plan)
    if plan.pp > 1 and (split != even_layers(model.layers, plan.pp) or model.layers % plan.pp):
        environment["SGLANG_PP_LAYER_PARTITION"] = ",".join(map(str, split))
    notes += split_note(model, cluster, plan) + replicas_note(found, joined)
    program = ["python3", "-m", "sglang.launch_server"]
    commands: list[LaunchCommand] = []
    if all(len(server.cards) == 1 for server in found):
        commands += commands_on_hosts(found, cluster, program, [*flags, ("--host", "0.0.0.0")], **environment)
    elif straddling(found):
        cannot += straddling(found)
    elif not all(server.alike for server in found):
        cannot.append(
            "SGLang takes as many cards on each of its hosts: choose tp x pp as a multiple of what each host "
            "gives, or use vLLM on Ray"
        )
    else:
        for server in found[:LISTED]:
            commands += _over_hosts(server, cluster, program, flags, environment)
        if any("$NODE_RANK" in command.text for command in commands):
            notes.append(
                "Set NODE_RANK before the command: export NODE_RANK=1 on the second host, and so on."
            )
    if cluster.hosts > 1:
        notes.append(address_note(cluster.hosts))
    return _launch(commands, cannot, notes + path_note(model))


def _launch(commands: Sequence[LaunchCommand], cannot: Sequence[str], notes: Sequence[str]) -> Launch:
    return Launch(
        engine=ID,
        version=VERSION,
        documentation=DOCUMENTATION,
        commands=tuple(commands),
        cannot=tuple(cannot),
        notes=tuple(notes),
    )


def engine_flags(
    model: Model, workload: InferenceWorkload, plan: InferencePlan, *, joined: int = 1
) -> tuple[list[Flag], list[str], list[str]]:
    """Options of one server of ``joined`` replicas, what SGLang cannot do, and notes.

    Addresses, ports and node numbers are not among them: a server of prefill or decode alone takes the same.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> flags, _, _ = engine_flags(model("deepseek-v3"), InferenceWorkload(batch_size=64),
    ...                            InferencePlan(tp=1, dp=16, ep=16, weight_format="fp8-block"), joined=16)
    >>> flags[1:5]
    [('--tp-size', '16'), ('--pp-size', '1'), ('--attn-dp-size', '16'), ('--ep-size', '16')]
    """
    cannot: list[str] = []
    notes: list[str] = []
    # Its tp-size counts all cards of a stage; attention data parallelism lies inside.
    flags: list[Flag] = [("--model-path", model_path(model))]
    flags += pairs(tp_size=plan.tp * joined, pp_size=plan.pp)
    if joined > 1:
        flags += pairs(attn_dp_size=joined)
    if model.is_moe and plan.ep > 1:
        flags += pairs(ep_size=plan.ep)
    flags += _formats(model, plan, cannot, notes)
    batch = sequences(workload, plan, joined)
    flags += pairs(context_length=workload.longest_context_tokens, max_running_requests=batch)
    if plan.chunk_tokens:
        # It divides the chunk by the attention replicas.
        flags += pairs(chunked_prefill_size=plan.chunk_tokens * joined)
    elif not model.encoder:
        flags += pairs(chunked_prefill_size=-1)
    if plan.micro_batches:
        flags += pairs(pp_max_micro_batch_size=-(-batch // plan.micro_batches))
    if plan.overlap_communication:
        if joined > 1:
            flags.append(("--enable-two-batch-overlap",))
        else:
            cannot.append(
                "SGLang overlaps communication with another batch only where experts lie on data-parallel "
                "cards: plan with ep = tp x dp, or --overlap-communication 0"
            )
    if workload.draft_tokens:
        flags += pairs(
            speculative_algorithm="STANDALONE",
            speculative_draft_model_path="DRAFT_MODEL",
            speculative_num_steps=workload.draft_tokens,
            speculative_eagle_topk=1,
            speculative_num_draft_tokens=workload.draft_tokens + 1,
        )
        notes.append("DRAFT_MODEL stands for the draft model: a small one with the same tokenizer.")
    if model.encoder:
        flags.append(("--is-embedding",))
    return flags, cannot, notes


def _formats(model: Model, plan: InferencePlan, cannot: list[str], notes: list[str]) -> list[Flag]:
    flags: list[Flag] = []
    weights = plan.weight_format
    gguf = weights.startswith(("q", "iq", "tq"))
    if weights in _DTYPES:
        flags.append(("--dtype", _DTYPES[weights]))
        if plan.compute_format not in ("", weights):
            cannot.append(
                f"SGLang computes {weights} weights in {weights}, not in {plan.compute_format}: plan with "
                f"--weights {plan.compute_format}"
            )
    else:
        if plan.compute_format in SIXTEEN_BITS:
            flags.append(("--dtype", _DTYPES[plan.compute_format]))
        if published_in(model, weights):
            pass  # The checkpoint says so.
        elif gguf:
            flags += [("--load-format", "gguf"), ("--quantization", "gguf")]
            notes.append(f"The model's path must be that of a .gguf file in {weights}.")
        elif weights in _QUANTIZATION or weights in _CHECKPOINTS:
            flags += _QUANTIZATION.get(weights, [])
            if weights in _CHECKPOINTS:
                notes.append(
                    f"Serve a checkpoint whose weights are in {_CHECKPOINTS[weights]} in place of 16 bits."
                )
        else:
            cannot.append(f"SGLang {VERSION} does not load {weights} weights: use --weights awq-int4 or fp8")
    if plan.dense_format not in ("", weights):
        notes.append(
            f"The checkpoint must hold all but the routed experts in {plan.dense_format}: its config.json "
            "says which modules are left out."
        )
    if plan.kv_format in _CACHES:
        flags.append(("--kv-cache-dtype", _CACHES[plan.kv_format]))
    elif plan.kv_format not in SIXTEEN_BITS:
        cannot.append(f"SGLang keeps no {plan.kv_format} cache: use --kv fp8 or fp16")
    return flags


def _over_hosts(
    server: Server, cluster: Cluster, program: list[str], flags: list[Flag], environment: dict[str, str]
) -> list[LaunchCommand]:
    """A process a host; past a few hosts one command for the rest, which reads its number from NODE_RANK."""
    front = address(server.cards[0].host)

    def text(rank: str, variables: dict[str, str]) -> str:
        own = [*flags, *pairs(nnodes=len(server.cards), node_rank=rank)]
        own += [("--dist-init-addr", f"{front}:{_INIT_PORT}")]
        if rank == "0":
            own += [("--host", "0.0.0.0"), ("--port", str(PORT))]
        return command_line(program, own, variables | environment)

    listed = len(server.cards) if len(server.cards) <= LISTED else 1
    found = [
        LaunchCommand(where=where([share.host], cluster.hosts), text=text(str(rank), visible(share)))
        for rank, share in enumerate(server.cards[:listed])
    ]
    rest = [share.host for share in server.cards[listed:]]
    if rest:
        found.append(LaunchCommand(where=where(rest, cluster.hosts), text=text("$NODE_RANK", {})))
    return found
