"""Inference on consumer hardware: one card to a desk full of them, tokens a second of prompts and answers."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from farthing.errors import FarthingError
from farthing.estimate.likeness import inference_likeness
from farthing.estimate.run import Run, run_of
from farthing.estimate.subject import Subject, subject
from farthing.evidence.consumer_setup import card_of, cluster_of, engine_of, model_of, split_of
from farthing.evidence.load import shipped
from farthing.evidence.outcome import compared, number, refused
from farthing.evidence.weight_names import sized, weight_format
from farthing.predict.parameters import total_parameters
from farthing.records.comparison import Case, Comparison
from farthing.records.engine_efficiency import EngineEfficiency
from farthing.records.hardware import Accelerator, Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload
from farthing.units import GIB

GROUPS: Final = {
    "decode_tok_s": "consumer, decode",
    "prefill_tok_s": "consumer, prefill",
    "total_tok_s": "consumer, saturated",
}
WHAT: Final = {"decode_tok_s": "decode", "prefill_tok_s": "prefill", "total_tok_s": "request"}
_BATCH_TOKENS: Final = 2048
"""Tokens that llama.cpp submits at once (``n_batch``)."""
_SHORT_CONTEXT: Final = 512
"""Tokens of context where a source states none: a chat's first answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a row ran, as the program takes it."""

    model: Model
    cluster: Cluster
    card: Accelerator
    plan: InferencePlan
    workload: InferenceWorkload


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """The prediction of each row, or why there is none."""
    # Rows may come in portions; what a shipped source says elsewhere counts in all of them.
    files = {**_shipped_files(), **stated_files(cases)}
    return [_compare(case, files) for case in cases]


def _compare(case: Case, files: dict[tuple[str, str], tuple[str, str]]) -> Comparison:
    metric = case.cells.get("metric", "")
    group = GROUPS.get(metric, "")
    measured = math.nan
    try:
        measured = number(case, "value")
        if not group or not measured > 0:
            raise FarthingError("the metric is none of tokens a second")
        setup = setup_of(case, files)
        return compared(
            case,
            metric,
            measured,
            rate_of(case, setup),
            simple=rate_of(case, setup, ideal=True),
            group=group,
            likeness=inference_likeness(about_of(setup), setup.workload, setup.plan, WHAT[metric]),
            rate=True,
        )
    except FarthingError as error:
        return refused(case, metric, measured, str(error), group=group)


@functools.cache
def _shipped_files() -> dict[tuple[str, str], tuple[str, str]]:
    return stated_files(shipped("consumer"))


def stated_files(cases: Sequence[Case]) -> dict[tuple[str, str], tuple[str, str]]:
    """Quantisation and file size by source and model: some rows of a source leave out what others say."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for case in cases:
        cells = case.cells
        if cells.get("quant") and cells.get("model_file_gb"):
            found.setdefault((case.source, cells.get("model", "")), (cells["quant"], cells["model_file_gb"]))
    return found


def setup_of(case: Case, files: dict[tuple[str, str], tuple[str, str]]) -> Setup:
    """Model, cards, plan and load of a row.

    Raises
    ------
    FarthingError
        The row says too little, or asks what is not modelled.
    """
    notes = case.cells.get("notes", "")
    if re.search(r"spec_decode \{|speculative n-max|with spec\b", notes):
        raise FarthingError("speculative decoding, whose draft's time is not stated")
    if "(limited memory)" in case.cells.get("model", ""):
        raise FarthingError("weights are read from storage")
    card = card_of(case)
    if card.kind == "gpu" and re.search(r"raspberry pi[^;]* host", notes, re.IGNORECASE):
        raise FarthingError(
            "a board computer hosts the card; what its processor and lanes cost is not modelled"
        )
    engine = engine_of(case, card)
    if case.cells.get("metric") == "prefill_tok_s" and card.vendor == "AMD" and _no_hipblaslt(case):
        raise FarthingError("rocBLAS without hipBLASLt, whose fallback kernels are not modelled")
    if re.search(r"prefix_cache|context_depth", notes):
        raise FarthingError("whether the prompt was cached already is not stated")
    model = model_of(case)
    quant, size = case.cells.get("quant", ""), number(case, "model_file_gb")
    if not quant and (case.source, case.cells.get("model", "")) in files:
        quant, text = files[case.source, case.cells.get("model", "")]
        size = float(text)
    if not quant and "gguf_q4_0" in notes:
        quant = "q4_0"
    if not quant and engine == "ollama" and "gpt-oss" not in case.cells.get("model", "").lower():
        # What its library serves under a name without a tag for the format.
        quant = "q4_k_m"
    kernels = "llama.cpp" if "llama" in engine else engine
    weights, dense = weight_format(quant, case.cells.get("model", ""), kernels)
    file_bytes = size * (GIB if "equal GiB" in notes else 1e9)
    if file_bytes > 0:
        weights, dense = sized(weights, dense, model, file_bytes)
    split = split_of(case, engine, file_bytes if file_bytes > 0 else 2.0 * total_parameters(model), card)
    plan = InferencePlan(
        tp=split.tp,
        pp=split.pp,
        dp=split.dp,
        weight_format=weights,
        dense_format=dense,
        kv_format=_kv_format(notes),
        engine=engine,
        chunk_tokens=_chunk(case, engine),
    )
    return Setup(
        model=model,
        cluster=cluster_of(case, card, split),
        card=card,
        plan=plan,
        workload=workload_of(case, split.dp),
    )


def _no_hipblaslt(case: Case) -> bool:
    """Whether a row's settings leave out hipBLASLt, where the source states them."""
    notes, engine = case.cells.get("notes", ""), case.cells.get("engine", "").lower()
    return "vulkan" not in engine and (
        "hblt0" in notes or re.search(r"hipblaslt=(?:;|0|$)", notes) is not None
    )


def _kv_format(notes: str) -> str:
    match = re.search(r"kv ([^;]+)|([a-z0-9_]+) KV\b", notes)
    text = (match.group(1) or match.group(2)).lower() if match else ""
    names = (("fp8", "fp8"), ("q8", "q8_0"), ("q4_0", "q4_0"), ("int8", "kv-int8"), ("turboquant", "kv-int4"))
    return next((id for word, id in names if word in text), "fp16")


def _chunk(case: Case, engine: str) -> int:
    """Tokens of one pass of a prompt: llama.cpp's micro-batch of 512, vLLM's budget of 2048."""
    stated = re.search(r"(?:ubatch|-ub|b=-b) (\d+)", case.cells.get("notes", ""))
    if stated:
        return int(stated.group(1))
    if "llama" in engine:
        # The project's own tables, and deep contexts under ROCm in the toolboxes, are run with -ub 2048.
        deep = (
            "longctx" in case.cells.get("notes", "") and "vulkan" not in case.cells.get("engine", "").lower()
        )
        return 2048 if deep or "llama.cpp repo benches/" in case.source else 512
    return 2048


def workload_of(case: Case, replicas: int) -> InferenceWorkload:
    """The load of a row: prompt, answer, and the tokens already cached."""
    metric, notes = case.cells.get("metric", ""), case.cells.get("notes", "")
    batch = number(case, "batch")
    if math.isnan(batch) and metric == "total_tok_s":
        raise FarthingError("the number of concurrent requests is not stated")
    sequences = max(int(batch) if batch > 0 else 1, replicas)
    prompt, answer = _tokens(case, "prompt_len"), _tokens(case, "gen_len")
    depth = re.search(r"(?:@ d|KV depth )(\d+)", notes)
    cached = int(depth.group(1)) if depth else 0
    if metric == "prefill_tok_s":
        if not prompt:
            raise FarthingError("the prompt's length is not stated")
        if sequences > 1 and "aggregate_output" in notes:
            raise FarthingError("how a server's concurrent prompts queue is not stated")
        return InferenceWorkload(
            batch_size=sequences,
            prompt_tokens=prompt + cached,
            output_tokens=0,
            prefix_share=cached / (prompt + cached),
        )
    if metric == "total_tok_s" and not (prompt and answer):
        raise FarthingError("the lengths of prompt and answer are not stated")
    if "TTFT" in notes and not (prompt or answer):
        raise FarthingError("the prompt's length is not stated")
    # Benchmarks that generate from nothing, or from a cache of a stated depth, have no prompt.
    start = cached or prompt or (0 if answer else _SHORT_CONTEXT)
    answer = answer or 1
    return InferenceWorkload(
        batch_size=sequences,
        prompt_tokens=max(start, 1),
        output_tokens=answer,
        context_tokens=max(1, round(start + answer / 2)),
    )


def _tokens(case: Case, column: str) -> int:
    try:
        value = number(case, column)
    except FarthingError:
        return 0
    return int(value) if value > 0 else 0


def about_of(setup: Setup, *, ideal: bool = False, overheads: EngineEfficiency | None = None) -> Subject:
    """What a row's prediction is about."""
    plan = setup.plan
    return subject(
        setup.model,
        setup.cluster,
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        kv_format=plan.kv_format,
        dense_format=plan.dense_format,
        engine=plan.engine,
        ideal=ideal,
        overheads=overheads,
    )


def rate_of(
    case: Case, setup: Setup, *, ideal: bool = False, constants: EngineEfficiency | None = None
) -> float:
    """Tokens a second as the row's metric counts them; ``constants`` in place of the engine's own."""
    metric, notes = case.cells.get("metric", ""), case.cells.get("notes", "")
    plan, load = setup.plan, setup.workload
    about = about_of(setup, ideal=ideal, overheads=constants)
    run = run_of(about, load, plan)
    sequences = run.replica_sequences
    if metric == "prefill_tok_s":
        return float(run.new_prompt_tokens * sequences * plan.dp / _prompts_s(run, setup))
    step_s = float(run.decode()[1])
    if metric == "decode_tok_s" and not _includes_prompts(notes):
        # One stream's rate where the source says so; else of all streams together.
        return (1 if "per-user decode" in notes or "single_stream" in notes else load.batch_size) / step_s
    prompts_s = _prompts_s(run, setup)
    whole_s = prompts_s + load.output_tokens * step_s
    if metric == "decode_tok_s":
        # Of one stream, whose steps wait for the prompts of the others.
        waiting_s = prompts_s * (sequences - 1) / sequences if "per-user decode" in notes else prompts_s
        return load.output_tokens / (load.output_tokens * step_s + waiting_s)
    counted = load.output_tokens
    if "prompt+generated" in notes or "input+output" in notes:
        counted += load.prompt_tokens
    return load.batch_size * counted / whole_s


def _prompts_s(run: Run, setup: Setup) -> float:
    """Time of all prompts [s]; llama.cpp's stages idle until each batch of 2048 tokens is through, or without
    pipelining until each micro-batch is, where they lie on several hosts."""
    step, whole_s = run.prefill(run.replica_sequences)
    if setup.plan.pp == 1 or "llama.cpp" not in setup.plan.engine:
        return float(whole_s)
    tokens = run.new_prompt_tokens * run.replica_sequences
    together = (
        setup.plan.chunk_tokens if setup.cluster.hosts > 1 else max(_BATCH_TOKENS, setup.plan.chunk_tokens)
    )
    drained: int = math.ceil(tokens / together) - 1
    return float(whole_s) + drained * float(step.total_s - step.slowest_s)


def _includes_prompts(notes: str) -> bool:
    """Whether a decode rate counts the time of prompts: a server's, over whole requests."""
    return "aggregate_output" in notes or "per-user decode" in notes
