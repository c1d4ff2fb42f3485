"""A plan as commands of llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from farthing import catalog
from farthing.launch.commands import Flag, command_line
from farthing.launch.hosts import Share, address_note, visible, where
from farthing.launch.serving import (
    LISTED,
    Server,
    replicas_note,
    sequences,
    servers,
    split_note,
    stage_layers,
    vendor_misfit,
)
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch, LaunchCommand
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

ID = "llama.cpp"
VERSION = "0c1e57098"
DOCUMENTATION = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"
FILE = "MODEL.gguf"

_CACHES = {
    "fp32": "f32",
    "fp16": "f16",
    "bf16": "bf16",
    **{name: name for name in ("q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")},
}
_FILES = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "mxfp4": "MXFP4_MOE"}
_PORT = 8080
_RPC_PORT = 50052
_MICRO_BATCH = 512
"""Tokens of a pass by default."""


def llama_cpp(model: Model, cluster: Cluster, workload: InferenceWorkload, plan: InferencePlan) -> Launch:
    """Commands of ``llama-server``, and of ``rpc-server`` on the other hosts.

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
    >>> launch = llama_cpp(model("llama-2-70b"), parse_cluster("1x2:rtx-4090+1x1:m2-ultra@10gbe"),
    ...                    InferenceWorkload(batch_size=2),
    ...                    InferencePlan(pp=3, stage_layers=(20, 20, 40), weight_format="q4_k_m"))
    >>> print(launch.commands[1].where, launch.commands[1].text, sep="\\n")
    host 2
    llama-server \\
      --model MODEL.gguf \\
      --rpc HOST_1:50052 \\
      --n-gpu-layers all \\
      --split-mode layer \\
      --tensor-split 20,20,41 \\
      --fit off \\
      --ctx-size 2560 \\
      --parallel 2 \\
      --batch-size 2048 \\
      --ubatch-size 1024 \\
      --flash-attn on \\
      --cache-type-k f16 \\
      --cache-type-v f16 \\
      --host 0.0.0.0 \\
      --port 8080
    """
    cannot = vendor_misfit(ID, cluster, "use the engine of its vendor")
    if cannot:
        return _launch((), cannot, [])
    notes: list[str] = []
    found = servers(cluster, plan, 1)
    if model.is_moe and plan.ep > 1:
        cannot.append(
            "llama.cpp has no expert parallelism, every card holds all experts of its layers: plan with --ep "
            "1, "
            "or use vLLM"
        )
    if plan.tp > 1 and plan.pp > 1:
        cannot.append(
            "llama.cpp splits a model by layers or by tensors, not both: plan with --tp 1 --pp "
            f"{plan.tp * plan.pp}, or use vLLM"
        )
        return _launch((), cannot, notes)
    if plan.tp > 1 and any(len(server.cards) > 1 for server in found):
        cannot.append(
            "llama.cpp splits tensors over the cards of one host only; over RPC it splits by layers: plan "
            "with "
            f"--tp 1 --pp {plan.tp}, or use vLLM"
        )
        return _launch((), cannot, notes)
    flags = _options(model, cluster, workload, plan, cannot, notes)
    commands: list[LaunchCommand] = []
    for place, server in enumerate(found[:LISTED]):
        commands += _server(server, cluster, flags, place if cluster.hosts == 1 else server.number)
    if len(found) > LISTED:
        notes.append(
            f"Commands of the first {LISTED} servers are shown; the others are alike, on the next cards."
        )
    notes += [note for note in replicas_note(found, 1) if not note.startswith("Commands of")]
    notes += split_note(model, cluster, plan)
    if any(len(server.cards) > 1 for server in found):
        notes.append(
            "Start every rpc-server first. llama.cpp puts remote cards before those of the host on which "
            "llama-server runs: it runs on the host of the last stage. Nothing protects an rpc-server: keep "
            "it "
            "inside a private network. Both need a build with -DGGML_RPC=ON."
        )
    if cluster.hosts > 1:
        notes.append(address_note(cluster.hosts))
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


def _options(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: InferencePlan,
    cannot: list[str],
    notes: list[str],
) -> list[Flag]:
    batch = sequences(workload, plan, 1)
    # One pool of tokens for all slots.
    context = workload.longest_context_tokens * batch
    flags: list[Flag] = [("--n-gpu-layers", "all"), *_split(model, cluster, plan, notes), ("--fit", "off")]
    chunk = plan.chunk_tokens or max(_MICRO_BATCH, workload.prompt_tokens)
    flags += [
        ("--ctx-size", str(context)),
        ("--parallel", str(batch)),
        ("--batch-size", str(max(2048, chunk))),
        ("--ubatch-size", str(chunk)),
        ("--flash-attn", "on"),
    ]
    if plan.kv_format in _CACHES:
        kind = _CACHES[plan.kv_format]
        flags += [("--cache-type-k", kind), ("--cache-type-v", kind)]
    else:
        cannot.append(f"llama.cpp keeps no {plan.kv_format} cache: use --kv q8_0, q4_0 or fp16")
    _weights(plan, cannot, notes)
    if plan.micro_batches not in (0, 1) or plan.overlap_communication:
        cannot.append(
            "llama.cpp has no option for batches in flight or for hiding communication under another batch: "
            "plan with --micro-batches 0 --overlap-communication 0, or use vLLM"
        )
    if plan.compute_format:
        notes.append("llama.cpp chooses the format of its products by the weights and the card.")
    if workload.draft_tokens:
        flags += [
            ("--spec-type", "draft-simple"),
            ("--spec-draft-model", "DRAFT_MODEL.gguf"),
            ("--spec-draft-n-max", str(workload.draft_tokens)),
        ]
        notes.append("DRAFT_MODEL.gguf stands for the draft model: a small one with the same tokenizer.")
    if model.encoder:
        flags.append(("--embedding",))
    return flags


def _split(model: Model, cluster: Cluster, plan: InferencePlan, notes: list[str]) -> list[Flag]:
    if plan.tp > 1:
        notes.append(
            "--split-mode tensor is experimental and knows some architectures only; --split-mode row splits "
            "the weights alone and keeps the whole cache on one card."
        )
        return [("--split-mode", "tensor"), ("--tensor-split", ",".join(["1"] * plan.tp))]
    if plan.pp == 1:
        return [("--split-mode", "none")]
    layers = list(stage_layers(model, cluster, plan))
    layers[-1] += 1
    notes.append("--tensor-split counts layers; the LM head is one more, on the last card.")
    return [("--split-mode", "layer"), ("--tensor-split", ",".join(map(str, layers)))]


def _weights(plan: InferencePlan, cannot: list[str], notes: list[str]) -> None:
    weights = plan.weight_format
    if weights not in catalog.engine(ID).weight_formats.split():
        cannot.append(f"llama.cpp does not load {weights} weights: use --weights q4_k_m, q8_0 or fp16")
        notes.append(f"{FILE} stands for a GGUF file of the model.")
        return
    kind = _FILES.get(weights, weights.removesuffix("-file").upper())
    notes.append(
        f"{FILE} stands for a GGUF file in {kind}; llama-quantize makes one: llama-quantize MODEL-F16.gguf "
        f"{FILE} {kind}"
    )
    if plan.dense_format not in ("", weights):
        notes.append(
            f"All tensors but the routed experts must be in {plan.dense_format}: llama-quantize takes "
            "--tensor-type for that."
        )


def _server(server: Server, cluster: Cluster, flags: list[Flag], place: int) -> list[LaunchCommand]:
    """The remote cards, then the host of the last stage, where the front runs."""
    *remote, last = server.cards
    port = _RPC_PORT + place

    def rpc(share: Share) -> LaunchCommand:
        text = command_line(["rpc-server"], [("--host", "0.0.0.0"), ("--port", str(port))], visible(share))
        return LaunchCommand(where=where([share.host], cluster.hosts), text=text)

    joined = [("--rpc", ",".join(f"{share.address}:{port}" for share in remote))] if remote else []
    front = command_line(
        ["llama-server"],
        [
            ("--model", FILE),
            *joined,
            *flags,
            ("--host", "0.0.0.0"),
            ("--port", str(_PORT + place)),
        ],
        visible(last),
    )
    return [*map(rpc, remote), LaunchCommand(where=where([last.host], cluster.hosts), text=front)]
