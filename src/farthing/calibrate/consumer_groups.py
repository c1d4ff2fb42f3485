"""Which constants of engines on consumer chips are fitted together, and to which rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from farthing.evidence.consumer import Setup

Key = tuple[str, str, str]
"""Engine, architecture and format of a row of the table."""


@dataclass(frozen=True, slots=True)
class Group:
    """Constants that are fitted together, on the fitted rows that a test picks."""

    title: str
    picks: Callable[[Setup], bool]
    constants: tuple[tuple[Key, tuple[str, ...]], ...]
    fixed: tuple[tuple[Key, str, str | float], ...] = ()
    rests_on: str = ""
    """Title of a group whose constants count where this one has none."""


def _maker(*vendors: str, kind: str = "") -> Callable[[Setup], bool]:
    return lambda setup: setup.card.vendor in vendors and (setup.card.kind == "cpu") == (kind == "cpu")


_READING: Final = ("kernel_factor", "memory_share", "matmul_share")
_MIXING: Final = ("expert_share", "expert_kernels")
_DEEP: Final = ("kv_share", "attention_share", *_MIXING)
_UNPACKING: Final = ("vector_flop", "matmul_share")
"""Of quantised weights: on the vector units for a few tokens, in tiles for many."""

GROUPS: Final = (
    Group(
        "NVIDIA",
        lambda setup: _maker("NVIDIA")(setup) and "llama.cpp" in setup.plan.engine,
        (
            (("llama.cpp", "nvidia", "*"), (*_READING, "ungraphed_kernel_s", *_MIXING)),
            (("llama.cpp", "nvidia", "gguf"), _UNPACKING),
            (("llama.cpp", "nvidia", "gguf-k"), ("vector_flop",)),
            (("llama.cpp", "nvidia", "gguf-codebook"), ("vector_flop",)),
            # Too few reads in flight for fast memory.
            (("llama.cpp", "ampere", "*"), ("memory_share",)),
            (("llama.cpp", "hopper", "*"), ("memory_share", "matmul_share")),
            # Memory that is shared with the processor.
            (("llama.cpp", "blackwell-gb10", "*"), ("memory_share",)),
            (("llama.cpp", "orin", "*"), ("memory_share",)),
            *(
                (("llama.cpp", architecture, "gguf"), ("matmul_share",))
                for architecture in (
                    *("pascal", "ampere-ga10x", "ampere", "ada", "hopper"),
                    *("blackwell-rtx", "blackwell-gb10", "orin"),
                )
            ),
            (("llama.cpp", "volta", "gguf"), _UNPACKING),
            (("llama.cpp-2024", "nvidia", "*"), ("kernel_factor", "kv_share", "attention_share")),
            (("llama.cpp-2024", "nvidia", "gguf"), ("matmul_share",)),
        ),
        (
            # Its attention reads masked entries; those of other makers' kernels skip blocks of them.
            (("llama.cpp", "nvidia", "*"), "masked_share", 1.0),
            (("llama.cpp", "nvidia", "gguf"), "compute", "int8"),
            # Products of quantised weights load a tile, wait, and compute (mmq.cuh): no asynchronous copies.
            (("llama.cpp", "nvidia", "gguf"), "overlap_power", 1.0),
            (("llama.cpp-2024", "nvidia", "gguf"), "compute", "fp16"),
        ),
    ),
    Group(
        "Apple",
        lambda setup: _maker("Apple")(setup) and "llama.cpp" in setup.plan.engine,
        (
            (("llama.cpp", "apple", "*"), (*_READING, "unit_tiles", "kv_share", *_MIXING)),
            (("llama.cpp", "apple", "float"), ("vector_flop",)),
            (("llama.cpp", "apple", "gguf-plain"), ("vector_flop",)),
            (("llama.cpp", "apple", "gguf-k"), ("vector_flop",)),
            # From the M3 on, integer and floating-point work run side by side.
            (("llama.cpp", "apple-m3-on", "gguf-plain"), ("vector_flop",)),
            (("llama.cpp", "apple-m3-on", "gguf-k"), ("vector_flop",)),
            (("llama.cpp-2024", "apple", "*"), ("kernel_factor", "kv_share", "attention_share")),
        ),
        # Metal kernels make 64 x 32 tiles of whole inner widths, load a tile before they compute, and group
        # the tokens of an expert from 32 on.
        (
            (("llama.cpp", "apple", "*"), "tile_rows", 32.0),
            (("llama.cpp", "apple", "*"), "inner_splits", 0.0),
            (("llama.cpp", "apple", "*"), "prompt_cuts", 0.0),
            (("llama.cpp", "apple", "*"), "overlap_power", 1.0),
            (("llama.cpp", "apple", "*"), "expert_rows", 32.0),
        ),
    ),
    Group(
        "Apple, MLX",
        lambda setup: setup.plan.engine == "mlx",
        ((("mlx", "apple", "*"), (*_READING, "kv_share", "attention_share", "request_s")),),
        ((("mlx", "apple", "*"), "tile_rows", 32.0),),
    ),
    Group(
        "vLLM on GeForce",
        lambda setup: setup.plan.engine == "vllm",
        (
            (
                ("vllm", "geforce", "*"),
                ("memory_share", "matmul_share", "step_s", "sequence_s", "exchange_s", "expert_share"),
            ),
            (("vllm", "ampere-ga10x-geforce", "*"), ("memory_share", "matmul_share", "exchange_s")),
        ),
    ),
    Group(
        "ExLlamaV3",
        lambda setup: setup.plan.engine == "exllamav3",
        ((("exllamav3", "*", "*"), ("memory_share", "matmul_share", "step_s", "exchange_s")),),
    ),
    Group(
        "AMD graphics",
        lambda setup: setup.card.architecture == "rdna3.5" and setup.plan.engine == "llama.cpp",
        (
            (("llama.cpp", "amd", "*"), (*_READING, *_DEEP)),
            (("llama.cpp", "amd", "gguf"), ("memory_share", *_UNPACKING)),
            (("llama.cpp", "amd", "gguf-k"), ("memory_share",)),
        ),
        (
            (("llama.cpp", "amd", "*"), "masked_share", 1.0),
            (("llama.cpp", "amd", "gguf"), "overlap_power", 1.0),
            (("llama.cpp", "amd", "gguf"), "compute", "int8"),
        ),
    ),
    Group(
        "AMD cards",
        lambda setup: (
            _maker("AMD")(setup) and setup.plan.engine == "llama.cpp" and setup.card.architecture != "rdna3.5"
        ),
        tuple(
            constants
            for architecture in ("gcn5", "cdna1", "rdna2")
            for constants in (
                (("llama.cpp", architecture, "gguf"), _UNPACKING),
                (("llama.cpp", architecture, "*"), ("attention_share", "matmul_share")),
            )
        ),
        rests_on="AMD graphics",
    ),
    Group(
        "Vulkan",
        lambda setup: setup.plan.engine == "llama.cpp-vulkan",
        (
            (("llama.cpp-vulkan", "rdna3.5", "*"), (*_READING, *_DEEP)),
            (("llama.cpp-vulkan", "rdna3.5", "gguf"), ("memory_share", "matmul_share")),
            (("llama.cpp-vulkan", "rdna3.5", "gguf-k"), ("memory_share",)),
        ),
        rests_on="AMD graphics",
    ),
    Group(
        "processors",
        lambda setup: setup.card.kind == "cpu" and setup.plan.engine == "llama.cpp",
        (
            (("llama.cpp", "cpu", "*"), ("matmul_share",)),
            (("llama.cpp", "cpu", "gguf-plain"), ("vector_flop", "matmul_share")),
            (("llama.cpp", "cpu", "gguf-k"), ("vector_flop", "matmul_share")),
            (("llama.cpp", "cpu", "gguf-codebook"), ("vector_flop", "matmul_share")),
        ),
    ),
    Group(
        "processors, ik_llama.cpp",
        lambda setup: setup.card.kind == "cpu" and setup.plan.engine == "ik_llama.cpp",
        (
            (("ik_llama.cpp", "cpu", "*"), ("matmul_share",)),
            (("ik_llama.cpp", "cpu", "gguf-plain"), ("vector_flop", "matmul_share")),
            (("ik_llama.cpp", "cpu", "gguf-k"), ("vector_flop", "matmul_share")),
            (("ik_llama.cpp", "cpu", "gguf-codebook"), ("vector_flop", "matmul_share")),
        ),
        rests_on="processors",
    ),
)
