"""What a row of measurements is of, in words: its setup, where it was published, and what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from farthing.evidence.split import KERNELS
from farthing.records.comparison import Case

QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "step_time_s": ("time of a step", "s"),
    "tokens_per_s_per_gpu": ("tokens of a card", "token/s"),
    "tflops_per_gpu": ("model FLOPs of a card", "TFLOP/s"),
    "mfu": ("model FLOPs utilisation", ""),
    "hfu": ("hardware FLOPs utilisation", ""),
    "mem_gb_per_gpu": ("memory of a card", "GB"),
    "gpu_hours": ("whole run", "GPU-hour"),
    "e2e_latency_ms": ("time of a request", "ms"),
    "output_tok_s": ("tokens written", "token/s"),
    "total_tok_s": ("tokens read and written", "token/s"),
    "ttft_ms": ("time to the first token", "ms"),
    "tpot_ms": ("time per output token", "ms"),
    "decode_tok_s_total": ("tokens decoded by all", "token/s"),
    "silicon_ttft_ms": ("time to the first token", "ms"),
    "silicon_tpot_ms": ("time per output token", "ms"),
    "prefill_tok_s": ("prompts read", "token/s"),
    "decode_tok_s": ("tokens decoded", "token/s"),
    "decode_tokens_per_s": ("tokens decoded", "token/s"),
    "prefill_tokens_per_s": ("prompts read", "token/s"),
    "ms_per_token": ("time per token", "ms"),
    "ms_compute_per_token": ("computing per token", "ms"),
    "ms_transfer_per_token": ("transfers per token", "ms"),
    "kB_transferred_per_token": ("traffic per token", "kB"),
    "decode_steps_per_s": ("steps of decoding", "step/s"),
    "parallel_forward_tokens_per_s": ("tokens in a forward pass", "token/s"),
    "aggregate_tokens_per_s": ("tokens of all users", "token/s"),
    "latency_ms": ("time of the kernel", "ms"),
}
"""Name and unit of each measured column or metric."""

KERNEL_COLLECTION: Final = "aiconfigurator-core 0.12.0"
"""The collection that all kernel measurements come from."""

_Part = tuple[str, str]
_SIZES: Final = ("tp", "pp", "vpp", "dp", "cp", "ep")

_PARTS: Final[Mapping[str, tuple[_Part, ...]]] = {
    "training": (
        ("model", "{}"),
        ("n_gpus", "on {}"),
        ("gpu", " x {}"),
        ("framework", "{}"),
        ("dtype", "{}"),
        *((name, f"{name} {{}}") for name in _SIZES),
        ("zero_stage", "ZeRO {}"),
        ("recompute", "recomputation {}"),
        ("micro_batch", "micro-batch {}"),
        ("global_batch", "batch {}"),
        ("seq_len", "sequences of {} tokens"),
    ),
    "inference": (
        ("model", "{}"),
        ("n_gpus", "on {}"),
        ("gpu", " x {}"),
        ("n_nodes", "{} hosts"),
        ("engine", "{}"),
        ("engine_version", " {}"),
        ("weight_dtype", "{} weights"),
        *((name, f"{name} {{}}") for name in _SIZES),
        ("batch", "batch {}"),
        ("concurrency", "{} users"),
        ("input_len", "{} tokens in"),
        ("output_len", "{} tokens out"),
    ),
    "serving_online": (
        ("model_path", "{}"),
        ("system", "on {}"),
        ("backend", "{}"),
        ("backend_version", " {}"),
        ("precision", "{}"),
        ("tp_size", "tp {}"),
        ("attention_dp_size", "attention dp {}"),
        ("moe_ep_size", "ep {}"),
        ("prefill_num_workers", "{} workers read"),
        ("prefill_tp_size", "reading tp {}"),
        ("decode_num_workers", "{} workers write"),
        ("decode_tp_size", "writing tp {}"),
        ("batch_size", "batch {}"),
        ("decode_batch_size", "batch {}"),
        ("isl", "{} tokens in"),
        ("osl", "{} tokens out"),
    ),
    "consumer": (
        ("model", "{}"),
        ("quant", " {}"),
        ("n_gpus", "on {}"),
        ("gpu", " x {}"),
        ("engine", "{}"),
        ("parallelism", "{}"),
        ("link", "{}"),
        ("batch", "batch {}"),
        ("prompt_len", "{} tokens in"),
        ("gen_len", "{} tokens out"),
    ),
    "cluster": (
        ("model", "{}"),
        ("hardware", "on {}"),
        ("quant", "{}"),
        ("parallelism", "{} parallel"),
        ("link_gbps", "{} Gbit/s"),
        ("link_rtt_ms", "{} ms there and back"),
        ("batch", "batch {}"),
        ("context", "{} tokens of context"),
    ),
    "gemm": (
        ("gemm_dtype", "{}"),
        ("m", " {}"),
        ("n", " x {}"),
        ("k", " x {}"),
        ("system", "on {}"),
        ("backend", "{}"),
        ("backend_version", " {}"),
    ),
    "attention": (
        ("phase", "{}"),
        ("attn_dtype", "{}"),
        ("kv_cache_dtype", "cache in {}"),
        ("batch_size", "batch {}"),
        ("isl", "{} tokens"),
        ("step", "step {}"),
        ("num_heads", "{} heads"),
        ("num_key_value_heads", " over {}"),
        ("head_dim", " of {}"),
        ("window_size", "window {}"),
        ("system", "on {}"),
        ("backend", "{}"),
        ("backend_version", " {}"),
    ),
    "collective": (
        ("op_name", "{}"),
        ("dtype", "{}"),
        ("message_size", "{} elements"),
        ("num_gpus", "over {}"),
        ("system", " x {}"),
        ("library", "{}"),
        ("library_version", " {}"),
    ),
}
"""Columns that a setup is told by, each with its words; a blank in front joins it to the one before."""

_ALONE: Final = frozenset({*_SIZES, "n_nodes", "moe_ep_size", "attention_dp_size", "prefill_num_workers"})
"""Sizes that go without saying where they are 1."""

_UNTOLD: Final = frozenset({("parallelism", "none"), ("window_size", "0")})
"""Cells that say that there is nothing to say."""

_UNKNOWN: Final = "not stated"
"""How a cell begins that does not know."""

_FOUND_BY: Final = ("find_string", "search index")
"""What was found by its text alone has no address."""

_FOUND: Final = re.compile(rf"[^();,+]*\b({'|'.join(_FOUND_BY)})\b.*")

_WHOLE: Final = re.compile(r"\d+\.0")


def setup_words(case: Case) -> str:
    """What a row is of, on one line.

    Examples
    --------
    >>> cells = {"model": "Llama-3-8B", "quant": "Q4_K_M", "n_gpus": "1", "gpu": "RTX 3090", "batch": "1"}
    >>> setup_words(Case(file="", id="1", source="us", kind="consumer", cells=cells))
    'Llama-3-8B Q4_K_M, on 1 x RTX 3090, batch 1'
    """
    found = ""
    for column, words in _PARTS[case.kind]:
        cell = case.cells.get(column, "")
        if _WHOLE.fullmatch(cell):
            cell = cell.removesuffix(".0")
        if not cell or (cell == "1" and column in _ALONE):
            continue
        if (column, cell) in _UNTOLD or cell.startswith(_UNKNOWN):
            continue
        told = words.format(cell)
        found += told if told.startswith(" ") or not found else f", {told}"
    return " ".join(found.split())


def published_in(case: Case) -> str:
    """Where a row was published, as its file says; empty where nobody kept it.

    Examples
    --------
    >>> published_in(Case(file="", id="1", source="us", kind="gemm", cells={}))
    'aiconfigurator-core 0.12.0'
    """
    if case.kind in KERNELS:
        return KERNEL_COLLECTION
    cell = case.cells.get("url_or_repo_path") or case.cells.get("silicon_data_source", "")
    return _FOUND.sub("", cell).strip() if any(word in cell for word in _FOUND_BY) else cell
