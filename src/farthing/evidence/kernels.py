"""Single kernels of serving engines: matrix products, attention and collectives, one card or one host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import FarthingError
from farthing.evidence import names
from farthing.evidence.outcome import compared, number, refused
from farthing.predict.attention import (
    QUERY_TILE,
    attention_flop,
    attention_time_s,
    decode_blocks,
    mean_context_tokens,
    prompt_blocks,
)
from farthing.predict.collectives import (
    Axis,
    all_reduce_time_s,
    axis_all_gather_time_s,
    axis_all_to_all_time_s,
)
from farthing.predict.compute import matmul_time_s
from farthing.predict.device import CACHE_SPEED, Device, device, peak_flop_per_s
from farthing.predict.fabric import parallel_axis
from farthing.records.comparison import Case, Comparison, Likeness
from farthing.records.efficiency import (
    AttentionEfficiency,
    CollectiveEfficiency,
    Efficiency,
    ProductEfficiency,
)
from farthing.records.hardware import Accelerator

Column = NDArray[np.float64]

SYSTEMS: Final = {
    "a100_sxm": "a100-sxm-80gb",
    "a100_pcie": "a100-pcie-80gb",
    "b60": "arc-pro-b60",
    "h20_sxm": "h20",
}
"""Machines whose name is not the card's id with underscores."""

_SIXTEEN_BITS: Final = dict.fromkeys(("float16", "fp16", "half", "bf16", "auto"), "bfloat16")
_EIGHT_BITS: Final = dict.fromkeys(("fp8_e4m3", "fp8_e5m2", "float8_e4m3fn"), "fp8")
SYNONYMS: Final[Mapping[str, Mapping[str, str]]] = {
    "gemm_dtype": {
        **_SIXTEEN_BITS,
        **_EIGHT_BITS,
        **dict.fromkeys(("fp8_static", "fp8_ootb"), "fp8"),
        **dict.fromkeys(("int8", "w8a8"), "sq"),
        **dict.fromkeys(("w4a16", "int4", "awq", "gptq"), "int4_wo"),
        "w8a16": "int8_wo",
        "fp4": "nvfp4",
    },
    "phase": {"prefill": "context", "decode": "generation"},
    "attn_dtype": {**_SIXTEEN_BITS, **_EIGHT_BITS},
    "kv_cache_dtype": {**_SIXTEEN_BITS, **_EIGHT_BITS, "int8": "fp8"},
    "op_name": {
        "allreduce": "all_reduce",
        "allgather": "all_gather",
        "reducescatter": "reduce_scatter",
        "all_to_all": "alltoall",
    },
    "dtype": {
        **dict.fromkeys(("float16", "fp16"), "half"),
        "bf16": "bfloat16",
        "fp32": "float",
        **dict.fromkeys(("fp8", "uint8"), "int8"),
    },
}
"""Other names of what the sources call otherwise: of one width and, in products, of one rate."""

PRODUCTS: Final = {
    "bfloat16": ("bf16", 2.0, 2.0),
    "fp8": ("fp8", 1.0, 1.0),
    "fp8_block": ("fp8", 1.0, 1.0),
    "nvfp4": ("fp4", 0.5625, 0.5625),
    "sq": ("int8", 1.0, 1.0),
    "int8_wo": ("bf16", 1.0, 2.0),
    "int4_wo": ("bf16", 0.5, 2.0),
}
"""Compute format, bytes of a weight and of an activation of the products that the sources name."""

ATTENTION_WORDS: Final = ("system", "backend", "phase", "attn_dtype", "kv_cache_dtype", "window_size")
ATTENTION_NUMBERS: Final = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim")

COLLECTIVE_WORDS: Final = ("system", "library", "op_name", "dtype", "num_gpus")
ELEMENT_BYTES: Final = {"half": 2.0, "bfloat16": 2.0, "int8": 1.0, "float": 4.0, "float32": 4.0}
"""Message sizes count elements of these formats."""

MOST_KV_SHARE: Final = 0.95
"""Refresh and turn-around leave no more of a memory's peak rate."""

BLACKWELL: Final = "blackwell"
"""Data-centre cards whose attention is TensorRT-LLM's in all engines."""

MOST_XQA_HEADS: Final = 32
"""Query heads that share keys, at most, in TensorRT-LLM's XQA kernels."""

HELD_SHARE: Final = 0.8
"""Part of the last-level cache that a repeated product finds its operands in."""

PARTLY_HELD: Final = 0.25
"""Hits of operands just too large for the cache; they fall with the square of the size."""


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """Predictions of kernels' times, in the order of the cases."""
    makers: Mapping[str, Callable[[list[Case]], list[Comparison]]] = {
        "gemm": lambda rows: _by_columns(
            rows, ("system", "backend", "gemm_dtype"), ("m", "n", "k"), _product
        ),
        "collective": lambda rows: _by_columns(rows, COLLECTIVE_WORDS, ("message_size",), _collective),
        "attention": lambda rows: _by_columns(rows, ATTENTION_WORDS, ATTENTION_NUMBERS, _attention),
    }
    return makers[cases[0].kind](list(cases)) if cases else []


def card_of(system: str) -> Accelerator:
    """The card of a machine's name; raises `UnknownName`."""
    id = SYSTEMS.get(system, system.replace("_", "-"))
    if id not in catalog.accelerators():
        id = names.accelerator_of(system.replace("_", " ")) or id
    return catalog.accelerator(id)


def _word(case: Case, column: str) -> str:
    text = case.cells.get(column, "").strip().lower().removesuffix(".0")
    return SYNONYMS.get(column, {}).get(text, text)


def _by_columns(
    cases: list[Case],
    words: tuple[str, ...],
    numbers: tuple[str, ...],
    make: Callable[[dict[str, str], dict[str, Column]], tuple[Column, Column, str, Likeness]],
) -> list[Comparison]:
    """Predict cases that share their words as columns of numbers."""
    found: dict[int, Comparison] = {}
    groups: dict[tuple[str, ...], list[tuple[int, list[float]]]] = {}
    for place, case in enumerate(cases):
        try:
            values = [number(case, column) for column in ("latency_ms", *numbers)]
            sizes = dict(zip(numbers, values[1:], strict=True))
            if values[0] <= 0 or not all(sizes[name] >= (0 if name == "step" else 1) for name in numbers):
                raise FarthingError("a size or the time is missing")
        except FarthingError as error:
            found[place] = refused(case, "latency_ms", np.nan, str(error))
            continue
        groups.setdefault(tuple(_word(case, word) for word in words), []).append((place, values))
    for key, rows in groups.items():
        table = np.array([values for _, values in rows]).T
        columns = dict(zip(numbers, table[1:], strict=True))
        try:
            seconds, simple, group, likeness = make(dict(zip(words, key, strict=True)), columns)
        except FarthingError as error:
            for place, values in rows:
                found[place] = refused(cases[place], "latency_ms", values[0], str(error))
            continue
        for (place, values), time, least in zip(rows, seconds, simple, strict=True):
            found[place] = compared(
                cases[place],
                "latency_ms",
                values[0],
                float(time * 1e3),
                simple=float(least * 1e3),
                group=group,
                likeness=likeness,
            )
    return [found[place] for place in range(len(cases))]


def cached_share(touched_bytes: Column, card: Accelerator) -> Column:
    """Share of a repeated kernel's traffic that the last-level cache serves."""
    share = np.minimum(HELD_SHARE * card.l2_bytes / touched_bytes, 1.0)
    return np.where(share >= 1, 1.0, PARTLY_HELD * share**2)


def product_time_s(
    sizes: Mapping[str, Column],
    dtype: str,
    engine: str,
    card: Accelerator,
    constants: Efficiency,
    kernels: ProductEfficiency | None,
) -> Column:
    """Time of a product as a benchmark measures it: activations quantised, operands partly cached."""
    compute, weight, activation = PRODUCTS[dtype]
    m, n, k = sizes["m"], sizes["n"], sizes["k"]
    machine = product_device(card, compute, constants, kernels)
    weights = n * k * weight
    # Benchmarks take several copies of the weights in turn so that they do not stay in the cache; vLLM's
    # takes one where copies would be slow to make.
    if engine == "vllm":
        copies = np.full_like(m, 1.0 if dtype in ("fp8_block", "nvfp4") else 6.0)
    else:
        copies = np.clip(np.ceil(card.l2_bytes / weights), 1, 5)
    held = copies * weights + m * k * activation + m * n * 2
    time: Column = matmul_time_s(
        m,
        n,
        k,
        device=machine,
        weight_bytes_per_element=weight,
        activation_bytes_per_element=activation,
        output_bytes_per_element=2.0,
        cached_share=cached_share(held, card),
    )
    if kernels is None:
        return time
    converted = kernels.quantise_s + kernels.quantise_row_s * m
    converted = converted + kernels.quantise_passes * m * k / machine.reached_memory_bytes_per_s
    whole: Column = np.maximum(time + converted, kernels.launch_s)
    return whole


def product_device(
    card: Accelerator, compute: str, constants: Efficiency, kernels: ProductEfficiency | None
) -> Device:
    """The card at the rate that an engine's products in a format reach."""
    machine = device(card, compute, constants)
    if kernels is None:
        return machine
    tiling = replace(machine.tiling, split_s=kernels.split_s or machine.tiling.split_s)
    return replace(machine, matmul_share=kernels.matmul_share, tiling=tiling)


def _product(words: dict[str, str], sizes: dict[str, Column]) -> tuple[Column, Column, str, Likeness]:
    card, dtype = card_of(words["system"]), words["gemm_dtype"]
    if dtype not in PRODUCTS:
        raise FarthingError(f"no such product: {dtype}")
    constants = catalog.efficiency(card)
    kernels = None
    if dtype != "bfloat16":
        kernels = catalog.product_efficiency(words["backend"], dtype, constants.id)
    time = product_time_s(sizes, dtype, words["backend"], card, constants, kernels)
    compute, weight, activation = PRODUCTS[dtype]
    m, n, k = sizes["m"], sizes["n"], sizes["k"]
    simple = np.maximum(
        2 * m * n * k / peak_flop_per_s(card, compute),
        (n * k * weight + m * k * activation + m * n * 2) / card.memory_bytes_per_s,
    )
    likeness = Likeness(what="matrix product", engine=words["backend"], hardware=constants.id, regime=dtype)
    return time, simple, f"matrix products, {card.name}", likeness


def attention_kernel_time_s(
    sizes: Mapping[str, Column],
    words: Mapping[str, str],
    card: Accelerator,
    constants: Efficiency,
    kernels: AttentionEfficiency | None,
) -> Column:
    """Time of an engine's attention as a benchmark measures it: new keys and values are stored too."""
    sequences, new, heads, kv_heads = (
        sizes[name] for name in ("batch_size", "isl", "num_heads", "num_key_value_heads")
    )
    width, window = sizes["head_dim"], int(words["window_size"] or 0)
    work, read, written = attention_needs(sizes, words)
    machine = device(card, "bf16", constants)
    share = kernels.rate_share if kernels else 1.0
    if kernels:
        machine = replace(machine, attention_s=kernels.start_s)
    held = cached_share(read + written, card)
    if words["phase"] == "context":
        machine = replace(
            machine,
            attention_flop_per_s=peak_flop_per_s(card, attention_compute(words)),
            attention_share=min(machine.attention_share * share, 1.0),
        )
        group = heads / kv_heads if packs_prompts(words, card) else 1.0
        blocks = prompt_blocks(sequences, new, sizes["step"], heads=heads, window=window, group=group)
        kept = written * (1 - held * (1 - 1 / CACHE_SPEED)) / machine.reached_memory_bytes_per_s
    else:
        machine = replace(machine, kv_share=min(machine.kv_share * share, MOST_KV_SHARE))
        context = mean_context_tokens(new, sizes["step"], window=window)
        alone, padding = heads_alone(heads / kv_heads, words, card)
        blocks = decode_blocks(
            sequences, context, heads=heads, kv_heads=kv_heads, alone=alone, padding=padding
        )
        kept = 0.0 * width
    time = attention_time_s(
        work, read, device=machine, decode=words["phase"] != "context", blocks=blocks, cached_share=held
    )
    whole: Column = time + kept
    return whole


def attention_compute(words: Mapping[str, str]) -> str:
    """Format that the products of attention run in, as `peak_flop_per_s` names it."""
    return "fp8" if words["attn_dtype"] == "fp8" else "bf16"


def packs_prompts(words: Mapping[str, str], card: Accelerator) -> bool:
    """Whether query heads that share keys fill a block of a prompt together.

    FlashAttention 3 does so for batches of unlike lengths (``should_pack_gqa`` in hopper/heuristics.h of
    Dao-AILab/flash-attention): vLLM and SGLang on Hopper. FlashInfer always does (``packed_qo_len`` in
    include/flashinfer/attention/scheduler.cuh): SGLang on cards before Hopper and on RTX Blackwell, and vLLM
    there where FlashAttention 2 cannot read an 8-bit cache. FlashAttention 2, TensorRT-LLM and its kernels
    for Blackwell do not.
    """
    if (
        words["backend"] not in ("vllm", "sglang")
        or card.vendor != "NVIDIA"
        or card.architecture == BLACKWELL
    ):
        return False
    return card.architecture == "hopper" or words["backend"] == "sglang" or words["kv_cache_dtype"] == "fp8"


def heads_alone(
    group: Column, words: Mapping[str, str], card: Accelerator
) -> tuple[NDArray[np.bool_], float]:
    """Where a decode step's query heads each read the keys for themselves, and padding of their tiles.

    FlashAttention 2 swaps heads for queries only where there is no window (``seqlenq_ngroups_swapped`` in
    csrc/flash_attn/flash_api.cpp of Dao-AILab/flash-attention); a head then has a tile of 64 rows to itself.
    TensorRT-LLM falls back from its XQA kernels to masked multi-head attention, a head at a time on vector
    units, where more than 32 heads share keys (``supportConfigHMMA`` and ``supportConfigQGMMA`` in
    decoderXQAImplJIT/kernelUtils.cpp of NVIDIA/TensorRT-LLM).
    """
    if card.vendor == "NVIDIA" and card.architecture != BLACKWELL:
        if words["backend"] == "trtllm":
            return group > MOST_XQA_HEADS, 1.0
        second = card.architecture != "hopper" and words["kv_cache_dtype"] != "fp8"
        if words["backend"] == "vllm" and second and int(words["window_size"] or 0):
            return group > 1, QUERY_TILE / 2
    return np.zeros_like(group, dtype=bool), 1.0


def attention_needs(sizes: Mapping[str, Column], words: Mapping[str, str]) -> tuple[Column, Column, Column]:
    """Work [FLOP], bytes that attention reads and writes, bytes that storing new keys and values takes."""
    sequences, new, heads, kv_heads = (
        sizes[name] for name in ("batch_size", "isl", "num_heads", "num_key_value_heads")
    )
    width, stored = sizes["head_dim"], 1.0 if words["kv_cache_dtype"] == "fp8" else 2.0
    window = int(words["window_size"] or 0)
    context = mean_context_tokens(new, sizes["step"], window=window)
    work: Column = attention_flop(sequences * new, context, heads=heads, qk_dim=width, v_dim=width)
    kept = sizes["step"] + new
    if words["phase"] != "context" and window:
        kept = np.minimum(kept, window)
    read = sequences * 2 * width * (kept * kv_heads * stored + new * heads * 2.0)
    return work, read, sequences * new * kv_heads * width * 2 * (2 + stored)


def _attention(words: dict[str, str], sizes: dict[str, Column]) -> tuple[Column, Column, str, Likeness]:
    card, phase = card_of(words["system"]), words["phase"]
    if words["window_size"] and not words["window_size"].isdigit():
        raise FarthingError("window_size is not a whole number")
    if phase not in ("context", "generation"):
        raise FarthingError(f"no such phase of attention: {phase}")
    if unknown := {words["attn_dtype"], words["kv_cache_dtype"]} - {"bfloat16", "fp8"}:
        raise FarthingError(f"no such format of attention: {', '.join(sorted(unknown))}")
    constants = catalog.efficiency(card)
    kernels = catalog.attention_efficiency(words["backend"], attention_format(words), constants.id, phase)
    time = attention_kernel_time_s(sizes, words, card, constants, kernels)
    work, read, _ = attention_needs(sizes, words)
    simple = np.maximum(
        work / peak_flop_per_s(card, attention_compute(words)), read / card.memory_bytes_per_s
    )
    likeness = Likeness(what="attention", engine=words["backend"], hardware=constants.id, regime=phase)
    return time, simple, "attention", likeness


def attention_format(words: Mapping[str, str]) -> str:
    """Formats of products and of the cache as the table of engines' attention names them."""
    return f"{words['attn_dtype']}/{words['kv_cache_dtype']}"


def collective_time_s(
    message_bytes: Column,
    words: Mapping[str, str],
    card: Accelerator,
    constants: Efficiency,
    kernels: CollectiveEfficiency | None,
) -> Column:
    """Time of a collective of a library, or of an engine that chooses between its own and the library's."""
    cluster = parse_cluster(f"1x{words['num_gpus']}:{card.id}")
    axis = parallel_axis(cluster, cluster.groups[0], int(words["num_gpus"]), efficiency=constants)
    if axis.library is not None:
        library = axis.library
        if words["library"] in LIBRARIES:
            library = replace(library, direct_bytes=0.0)
        elif kernels:
            library = replace(library, direct_s=kernels.start_s)
        axis = replace(axis, library=library)
    time: Column = COLLECTIVES[words["op_name"]](message_bytes, axis)
    return time


LIBRARIES: Final = ("nccl", "oneccl", "rccl")
"""What is measured alone; other names are engines with all-reduce kernels of their own."""

COLLECTIVES: Final[Mapping[str, Callable[[Column, Axis], Column]]] = {
    "all_reduce": all_reduce_time_s,
    "all_gather": axis_all_gather_time_s,
    "reduce_scatter": axis_all_gather_time_s,
    "alltoall": axis_all_to_all_time_s,
}


def _collective(words: dict[str, str], sizes: dict[str, Column]) -> tuple[Column, Column, str, Likeness]:
    card, operation = card_of(words["system"]), words["op_name"]
    if operation not in COLLECTIVES:
        raise FarthingError(f"no such collective: {operation}")
    if words["dtype"] not in ELEMENT_BYTES or not words["num_gpus"].isdigit() or int(words["num_gpus"]) < 2:
        raise FarthingError("a collective needs a number format and two cards")
    constants = catalog.efficiency(card)
    kernels = catalog.collective_efficiency(words["library"], constants.id)
    message = sizes["message_size"] * ELEMENT_BYTES[words["dtype"]]
    time = collective_time_s(message, words, card, constants, kernels)
    ideal = catalog.link(card.link) if card.link else None
    rate = ideal.bytes_per_s if ideal else parse_cluster(f"1x2:{card.id}").groups[0].intra_link.bytes_per_s
    share = (1 - 1 / int(words["num_gpus"])) * (2 if operation == "all_reduce" else 1)
    likeness = Likeness(what="collective", engine=words["library"], hardware=constants.id, regime=operation)
    return time, share * message / rate + 1e-6, "collectives", likeness
