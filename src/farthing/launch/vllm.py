"""A plan as commands of vLLM."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from farthing.launch.commands import Flag, command_line, pairs
from farthing.launch.hosts import address, address_note, shares, visible, where
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

ID = "vllm"
VERSION = "0.33.0"
DOCUMENTATION = "https://docs.vllm.ai/en/stable/cli/serve/"

_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_ONLINE = {
    "fp8": "fp8",
    "fp8-block": "fp8_per_block",
    "mxfp8": "mxfp8",
    "w8a16": "int8_per_channel_weight_only",
}
"""Formats that it makes of 16-bit weights while it loads them."""
_CHECKPOINTS = {
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4 (ModelOpt or compressed-tensors)",
    "int8": "W8A8 INT8 (compressed-tensors)",
    "int8-sq": "W8A8 INT8 of SmoothQuant (compressed-tensors)",
    "w4a16": "W4A16, group 128 (compressed-tensors)",
    "w4a16-g32": "W4A16, group 32 (compressed-tensors)",
    "gptq-int8": "GPTQ 8-bit, group 128",
    "gptq-int4": "GPTQ 4-bit, group 128",
    "gptq-int3": "GPTQ 3-bit, group 128",
    "awq-int4": "AWQ 4-bit, group 128",
    "torchao-int4": "torchao INT4",
}
"""Formats that the checkpoint itself must be in; vLLM reads which from its config.json."""
_CACHES = {
    "fp8": "fp8",
    "fp8-e5m2": "fp8_e5m2",
    "nvfp4": "nvfp4",
    "kv-int8": "int8_per_token_head",
    "kv-int4": "int4_per_token_head",
}
_MASTER_PORT = 29501
_RPC_PORT = 13345
_RAY_PORT = 6379


def vllm(model: Model, cluster: Cluster, workload: InferenceWorkload, plan: InferencePlan) -> Launch:
    """Commands of ``vllm serve``.

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
    >>> launch = vllm(model("llama-2-70b"), parse_cluster("1x4:h100-sxm"),
    ...               InferenceWorkload(batch_size=16), InferencePlan(tp=4, kv_format="fp8"))
    >>> print(launch.commands[0].text)
    vllm serve meta-llama/Llama-2-70b-hf \\
      --tensor-parallel-size 4 \\
      --pipeline-parallel-size 1 \\
      --dtype bfloat16 \\
      --kv-cache-dtype fp8 \\
      --max-model-len 1280 \\
      --max-num-seqs 16 \\
      --disable-chunked-prefill \\
      --max-num-batched-tokens 1280 \\
      --host 0.0.0.0 \\
      --port 8000
    """
    cannot = vendor_misfit(ID, cluster, "use llama.cpp") + mixed_misfit("vLLM", cluster)
    if any("does not run on" in sentence for sentence in cannot):
        return _launch((), cannot, [])
    joined = _joined(model, cluster, plan)
    found = servers(cluster, plan, joined)
    flags, lacks, notes = engine_flags(model, workload, plan, joined=joined)
    cannot += lacks
    environment = _stage_environment(model, cluster, plan)
    notes += split_note(model, cluster, plan) + replicas_note(found, joined)
    commands: list[LaunchCommand] = []
    program = ["vllm", "serve", model_path(model)]
    if all(len(server.cards) == 1 for server in found):
        commands += commands_on_hosts(
            found, cluster, program, [*flags, *_joined_flags(joined), ("--host", "0.0.0.0")], **environment
        )
    elif straddling(found):
        cannot += straddling(found)
    elif joined > 1:
        spread, lacks = _joined_over_hosts(found[0], cluster, program, flags, plan, environment)
        commands, cannot = commands + spread, cannot + lacks
    else:
        for server in found[:LISTED]:
            commands += _over_hosts(server, cluster, program, flags, environment)
    if cluster.hosts > 1:
        notes.append(address_note(cluster.hosts))
    if any("$RANK" in command.text for command in commands):
        notes.append(_rank_note(found[0], plan, joined))
    return _launch(tuple(commands), cannot, notes + path_note(model))


def _launch(commands: Sequence[LaunchCommand], cannot: Sequence[str], notes: Sequence[str]) -> Launch:
    return Launch(
        engine=ID,
        version=VERSION,
        documentation=DOCUMENTATION,
        commands=tuple(commands),
        cannot=tuple(cannot),
        notes=tuple(notes),
    )


def _rank_note(server: Server, plan: InferencePlan, joined: int) -> str:
    step = server.cards[0].cards // (plan.tp * plan.pp) if joined > 1 else 1
    last = (len(server.cards) - 1) * step
    return (
        f"Set RANK before the command: export RANK={step} on the second host, {2 * step} on the third, "
        f"{last} on the last."
    )


def engine_flags(
    model: Model, workload: InferenceWorkload, plan: InferencePlan, *, joined: int = 1
) -> tuple[list[Flag], list[str], list[str]]:
    """Options of one server of ``joined`` replicas, what vLLM cannot do, and notes.

    Addresses, ports and node numbers are not among them: a server of prefill or decode alone takes the same.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> flags, cannot, _ = engine_flags(model("llama-2-70b"), InferenceWorkload(), InferencePlan(tp=8))
    >>> flags[0], cannot
    (('--tensor-parallel-size', '8'), [])
    """
    cannot: list[str] = []
    notes: list[str] = []
    flags = pairs(tensor_parallel_size=plan.tp, pipeline_parallel_size=plan.pp)
    if model.is_moe and plan.ep > 1:
        whole = plan.tp * joined
        if plan.ep != whole:
            cannot.append(
                f"vLLM deals experts out over all {whole} cards of tp x dp, not over ep={plan.ep} of them, "
                "and "
                f"so do these commands: plan with --ep {whole}"
            )
        flags.append(("--enable-expert-parallel",))
    flags += _formats(model, plan, cannot, notes)
    batch = sequences(workload, plan, 1)
    context = workload.longest_context_tokens
    flags += pairs(max_model_len=context, max_num_seqs=batch)
    if plan.chunk_tokens:
        budget = max(plan.chunk_tokens, batch)
        flags += [("--enable-chunked-prefill",), *pairs(max_num_batched_tokens=budget)]
        if budget > plan.chunk_tokens:
            notes.append(
                f"vLLM counts a token of each decoding sequence in a chunk: {plan.chunk_tokens} tokens are "
                f"raised to the {batch} sequences."
            )
    elif not model.encoder:
        flags += [("--disable-chunked-prefill",), *pairs(max_num_batched_tokens=max(context, batch))]
    if workload.prefix_share:
        flags.append(("--enable-prefix-caching",))
    if plan.micro_batches not in (0, plan.pp):
        cannot.append(
            f"vLLM keeps as many batches in flight as there are stages ({plan.pp}), not "
            f"{plan.micro_batches}: plan with --micro-batches {plan.pp}"
        )
    if plan.overlap_communication:
        if joined > 1:
            flags.append(("--enable-dbo",))
            notes.append("--enable-dbo overlaps two batches; it needs a DeepEP --all2all-backend.")
        else:
            cannot.append(
                "vLLM overlaps communication with another batch only where experts lie on data-parallel "
                "cards: plan with ep = tp x dp, or --overlap-communication 0"
            )
    if workload.draft_tokens:
        config = {"model": "DRAFT_MODEL", "num_speculative_tokens": workload.draft_tokens}
        flags.append(("--speculative-config", json.dumps(config)))
        notes.append("DRAFT_MODEL stands for the draft model: a small one with the same tokenizer.")
    if model.encoder:
        flags.append(("--runner", "pooling"))
    return flags, cannot, notes


def _formats(model: Model, plan: InferencePlan, cannot: list[str], notes: list[str]) -> list[Flag]:
    flags: list[Flag] = []
    weights = plan.weight_format
    if weights in _DTYPES:
        flags.append(("--dtype", _DTYPES[weights]))
        if plan.compute_format not in ("", weights):
            cannot.append(
                f"vLLM computes {weights} weights in {weights}, not in {plan.compute_format}: plan with "
                f"--weights {plan.compute_format}"
            )
    else:
        if plan.compute_format in SIXTEEN_BITS:
            flags.append(("--dtype", _DTYPES[plan.compute_format]))
        if published_in(model, weights):
            pass  # The checkpoint says so.
        elif weights in _ONLINE:
            flags.append(("--quantization", _ONLINE[weights]))
        elif weights in _CHECKPOINTS:
            notes.append(
                f"Serve a checkpoint whose weights are in {_CHECKPOINTS[weights]} in place of 16 bits."
            )
        else:
            cannot.append(
                f"vLLM {VERSION} does not load {weights} weights: use --weights awq-int4, w4a16 or fp8, or "
                "llama.cpp for GGUF files"
            )
    if plan.dense_format not in ("", weights):
        notes.append(
            f"The checkpoint must hold all but the routed experts in {plan.dense_format}: its config.json "
            "says which modules are left out."
        )
    if plan.kv_format in _CACHES:
        flags.append(("--kv-cache-dtype", _CACHES[plan.kv_format]))
    elif plan.kv_format not in SIXTEEN_BITS:
        cannot.append(f"vLLM keeps no {plan.kv_format} cache: use --kv fp8, kv-int8 or fp16")
    return flags


def _joined(model: Model, cluster: Cluster, plan: InferencePlan) -> int:
    """Replicas behind one front: those that share experts, or dense ones of which each host has as many."""
    if model.is_moe:
        return joined_replicas(model, plan)
    each = plan.tp * plan.pp
    taken = shares(cluster, each * plan.dp)
    alike = len({share.cards for share in taken}) == 1
    return plan.dp if alike and taken[0].cards % each == 0 else 1


def _joined_flags(joined: int) -> list[Flag]:
    return pairs(data_parallel_size=joined) if joined > 1 else []


def _stage_environment(model: Model, cluster: Cluster, plan: InferencePlan) -> dict[str, str]:
    """Layers of the stages, where they are not those that vLLM takes by itself."""
    split = stage_layers(model, cluster, plan)
    if plan.pp == 1 or (model.layers % plan.pp == 0 and split == even_layers(model.layers, plan.pp)):
        return {}
    return {"VLLM_PP_LAYER_PARTITION": ",".join(map(str, split))}


def _over_hosts(
    server: Server, cluster: Cluster, program: list[str], flags: list[Flag], environment: dict[str, str]
) -> list[LaunchCommand]:
    """One replica that spans hosts: a process a host, or Ray where the hosts give unlike numbers of cards."""
    front = address(server.cards[0].host)
    serve = [*flags, ("--host", "0.0.0.0"), ("--port", str(PORT))]
    if not server.alike:
        ray = str(_RAY_PORT)
        found = [
            LaunchCommand(
                where=where([share.host], cluster.hosts),
                text=command_line(
                    ["ray", "start"],
                    [("--head",), ("--port", ray)]
                    if share.host == server.cards[0].host
                    else [("--address", f"{front}:{ray}")],
                    visible(share),
                ),
            )
            for share in server.cards
        ]
        text = command_line(
            program,
            [*serve, ("--distributed-executor-backend", "ray")],
            environment | {"RAY_ADDRESS": f"{front}:{ray}"},
        )
        return [*found, LaunchCommand(where=where([server.cards[0].host], cluster.hosts), text=text)]

    def own(rank: str, first: bool) -> list[Flag]:
        nodes = pairs(nnodes=len(server.cards), node_rank=rank, master_addr=front, master_port=_MASTER_PORT)
        return [*flags, *nodes, *(serve[len(flags) :] if first else [("--headless",)])]

    return _numbered(server, cluster, program, own, [str(n) for n in range(len(server.cards))], environment)


def _numbered(
    server: Server,
    cluster: Cluster,
    program: list[str],
    flags: Callable[[str, bool], list[Flag]],
    ranks: list[str],
    environment: dict[str, str],
) -> list[LaunchCommand]:
    """A command a host with its rank; past a few hosts one command for the rest, which reads it from RANK."""
    listed = len(server.cards) if len(server.cards) <= LISTED else 1
    found = [
        LaunchCommand(
            where=where([share.host], cluster.hosts),
            text=command_line(program, flags(rank, place == 0), visible(share) | environment),
        )
        for place, (share, rank) in enumerate(zip(server.cards[:listed], ranks, strict=False))
    ]
    rest = server.cards[listed:]
    if rest:
        text = command_line(program, flags("$RANK", False), environment)
        found.append(LaunchCommand(where=where([share.host for share in rest], cluster.hosts), text=text))
    return found


def _joined_over_hosts(
    server: Server,
    cluster: Cluster,
    program: list[str],
    flags: list[Flag],
    plan: InferencePlan,
    environment: dict[str, str],
) -> tuple[list[LaunchCommand], list[str]]:
    """Replicas that share experts, several hosts of them."""
    each = plan.tp * plan.pp
    if not server.alike or server.cards[0].cards % each:
        return [], [
            f"vLLM starts data-parallel replicas whole on a host, as many on each: {each} cards of a replica "
            "do "
            f"not divide the {server.cards[0].cards} of a host; choose tp x pp so that they do"
        ]
    front = address(server.cards[0].host)
    local = server.cards[0].cards // each

    def own(rank: str, first: bool) -> list[Flag]:
        sizes = pairs(data_parallel_size=plan.dp, data_parallel_size_local=local)
        start = [] if first else pairs(data_parallel_start_rank=rank)
        meet = pairs(data_parallel_address=front, data_parallel_rpc_port=_RPC_PORT)
        open_at = [("--host", "0.0.0.0"), ("--port", str(PORT))] if first else [("--headless",)]
        return [*flags, *sizes, *start, *meet, *open_at]

    ranks = [str(place * local) for place in range(len(server.cards))]
    return _numbered(server, cluster, program, own, ranks, environment), []
