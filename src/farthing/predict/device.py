"""What one accelerator can do for one number format: peaks and the share of them that is reached."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

from farthing.errors import InvalidInput
from farthing.predict.trace import Number, named
from farthing.records.efficiency import IDEAL, Efficiency
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency
from farthing.records.hardware import Accelerator

_FALLBACKS: Final[dict[str, tuple[str, ...]]] = {
    "fp4": ("fp4_flop_per_s", "fp8_flop_per_s"),
    "fp8": ("fp8_flop_per_s",),
    "int8": ("int8_op_per_s",),
    "tf32": ("tf32_flop_per_s", "fp32_flop_per_s"),
    "fp32": ("fp32_flop_per_s",),
    "fp16": (),
    "bf16": (),
}
_SIXTEEN_BIT: Final = (
    "fp16_fp32_accumulate_flop_per_s",
    "bf16_flop_per_s",
    "fp16_flop_per_s",
    "fp32_flop_per_s",
)


CACHE_SPEED: Final = 3.0
"""Rate of the last-level cache over that of the memory behind it: 2.3 to 5 on cards of 2020 to 2025."""
QUANTISE_BYTES: Final = {"fp8": 4.0, "int8": 4.0, "fp4": 3.0}
"""Traffic of an element that becomes narrow: 16 bits read, and written twice, as its product and the product
of its gradient want it."""

OPERAND_BYTES: Final = {"fp8": 1.0, "int8": 1.0, "fp4": 0.5625}
"""Bytes of an element of narrow operands; 4-bit ones share a scale of 8 bits among 16."""


MACOS_RESERVED_SHARE: Final = 0.25
"""macOS lets the graphics processor wire about three quarters of the memory by default; the setting
``iogpu.wired_limit_mb`` raises that."""


SCALAR_MATMUL_SHARE: Final = 0.95
"""Share of the fp32 peak that large products reach without TF32; scalar units need little bandwidth. An
assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """The compute units of an accelerator, and what limits one of them at work on a tile.

    Attributes
    ----------
    units
        Units that each make one tile at a time; 0 where work counts as perfectly divisible.
    rows
        Rows that a tile fills up to, where more than a few are multiplied.
    unit_tiles
        Tiles that a unit must have in flight to reach its rate.
    splits
        Whether the inner dimension may be split among idle units.
    load_bytes_per_s
        Rate at which one unit loads operands from the cache [byte/s].
    step_s
        Least time to advance along the inner dimension, however small the tile [s for a byte of an operand].
    wave_s
        Fill and drain of a wave of tiles [s].
    split_s
        Fixed time of splitting the inner dimension among units and of adding the parts [s].
    tail_share
        Part of the last wave's idle time that is paid.
    cache_bytes_per_s
        Rate of the last-level cache [byte/s].
    score_s
        Time in which one unit takes the exponential of one attention score [s].
    read_bytes_per_s
        Rate at which one unit reads keys and values [byte/s].
    block_s
        Start and end of a block of attention [s].
    """

    units: int = 0
    rows: float = 16.0
    unit_tiles: float = 1.0
    splits: bool = True
    load_bytes_per_s: float = math.inf
    step_s: float = 0.0
    wave_s: float = 0.0
    split_s: float = 0.0
    tail_share: float = 1.0
    cache_bytes_per_s: float = math.inf
    score_s: float = 0.0
    read_bytes_per_s: float = math.inf
    block_s: float = 0.0

    def __hash__(self) -> int:
        # A part of the fields tells accelerators apart; remembered times are looked up by it.
        return hash((self.units, self.load_bytes_per_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An accelerator as prediction functions see it.

    Attributes
    ----------
    matmul_flop_per_s, matmul_share
        Dense peak of matrix products in the plan's format [FLOP/s], and the share that large ones reach.
    attention_flop_per_s, attention_share
        The same for attention, which computes in 16 bits.
    memory_bytes, memory_bytes_per_s, memory_share
        Size [byte], peak bandwidth [byte/s], share that long reads reach.
    kv_share
        The same for reading the keys and values of a decode step.
    narrow_attention_factor
        By which attention on 8-bit numbers is faster than on 16-bit ones.
    narrow_prompts
        Prompts attend in 8 bits too, where the cache is an 8-bit latent.
    vector_attention_flop_per_s
        Rate of a decode step's attention where vector units compute it [FLOP/s]; 0 where tensor units do.
    tensor_attention_group
        Query heads a key-value head that are computed on tensor units even so.
    kernel_s, attention_s
        Fixed time of a kernel, and of one of fused attention [s].
    expert_share
        Share of ``reached_matmul_flop_per_s`` that the grouped products of routed experts reach.
    expert_rows, expert_kernels
        Fewest tokens of a pass whose routed experts are grouped, and the kernels of a mixture's layer beyond
        those counted; see `EngineEfficiency`.
    masked_share, sequence_products, cuts_prompts
        How attention treats masked entries, how state-space layers project, and how the attention of prompts
        falls apart; see `EngineEfficiency`.
    overlap_power
        How well matrix kernels compute while they read; see `EngineEfficiency`.
    vector_s
        Time of one weight and one token on the vector units, where few tokens pass [s]; 0 leaves it out.
    tiling
        Its compute units; none leaves tile and wave quantisation out.
    reserved_share
        Share of the memory that the operating system keeps to itself.
    activation_bytes
        Of one element of what training keeps and moves between products [byte].
    operand_bytes
        Of one element of what training's products multiply [byte].
    quantise_bytes
        Traffic of turning one element into the products' narrow format in training, as rows and as columns
        [byte]; 0 where products are computed in 16 bits.
    elementwise_factor, conversion_share
        Of the engine, in training; see `EngineEfficiency`.
    wide
        The same card for the products of layers that a checkpoint leaves in 16 bits; None where none is left.
    """

    matmul_flop_per_s: float
    attention_flop_per_s: float
    memory_bytes: float
    memory_bytes_per_s: float
    matmul_share: float = 1.0
    attention_share: float = 1.0
    memory_share: float = 1.0
    kv_share: float = 1.0
    narrow_attention_factor: float = 1.0
    narrow_prompts: bool = False
    vector_attention_flop_per_s: float = 0.0
    tensor_attention_group: float = 0.0
    kernel_s: float = 0.0
    attention_s: float = 0.0
    expert_share: float = 1.0
    expert_rows: float = 0.0
    expert_kernels: float = 0.0
    masked_share: float = 0.0
    sequence_products: float = 0.0
    cuts_prompts: bool = False
    overlap_power: float = 2.0
    vector_s: float = 0.0
    tiling: Tiling = Tiling()
    reserved_share: float = 0.0
    activation_bytes: float = 2.0
    operand_bytes: float = 2.0
    quantise_bytes: float = 0.0
    elementwise_factor: float = 1.0
    conversion_share: float = 1.0
    wide: Device | None = None

    @property
    def reached_matmul_flop_per_s(self) -> Number:
        """Rate of large matrix products [FLOP/s]."""
        return named("reached matrix rate", self.matmul_flop_per_s * self.matmul_share, "FLOP/s")

    @property
    def reached_attention_flop_per_s(self) -> Number:
        """Rate of fused attention [FLOP/s]."""
        return named("reached attention rate", self.attention_flop_per_s * self.attention_share, "FLOP/s")

    def reached_decode_attention_flop_per_s(self, query_group: float) -> Number:
        """Rate of the attention of a decode step, by the query heads of a key-value head [FLOP/s]."""
        if self.vector_attention_flop_per_s and query_group != self.tensor_attention_group:
            return named("reached rate of the vector units", self.vector_attention_flop_per_s, "FLOP/s")
        return self.reached_attention_flop_per_s

    @property
    def reached_memory_bytes_per_s(self) -> Number:
        """Rate of long reads and writes [byte/s]."""
        return named("reached memory bandwidth", self.memory_bytes_per_s * self.memory_share, "byte/s")

    @property
    def reached_kv_bytes_per_s(self) -> Number:
        """Rate at which a decode step reads keys and values [byte/s]."""
        return named("reached cache bandwidth", self.memory_bytes_per_s * self.kv_share, "byte/s")

    @property
    def kernel_start_s(self) -> Number:
        """Fixed time of a kernel [s]."""
        return named("kernel start", self.kernel_s, "s")

    @property
    def attention_start_s(self) -> Number:
        """Fixed time of fused attention [s]."""
        return named("attention start", self.attention_s, "s")


def peak_flop_per_s(accelerator: Accelerator, compute: str) -> float:
    """Dense peak of matrix products in a compute format.

    Where the card has no unit for the format, the numbers are widened first and the wider rate counts:
    fp8 on an A100 computes in bf16. 16-bit products accumulate in fp32.

    Parameters
    ----------
    accelerator
        The card.
    compute
        ``fp32 tf32 fp16 bf16 fp8 fp4 int8``.

    Returns
    -------
    float
        [FLOP/s]

    Raises
    ------
    InvalidInput
        For another format.

    References
    ----------
    williams-2009

    Examples
    --------
    >>> from farthing.catalog import accelerator
    >>> round(peak_flop_per_s(accelerator("rtx-4090"), "bf16") / 1e12)
    165
    """
    if compute not in _FALLBACKS:
        raise InvalidInput(f"unknown compute format {compute!r}; known: {', '.join(_FALLBACKS)}")
    for field in (*_FALLBACKS[compute], *_SIXTEEN_BIT):
        rate: float = getattr(accelerator, field)
        if rate > 0:
            return rate
    return accelerator.int8_op_per_s


@functools.lru_cache(maxsize=4096)
def device(
    accelerator: Accelerator,
    compute: str,
    efficiency: Efficiency = IDEAL,
    engine: EngineEfficiency = NO_OVERHEAD,
) -> Device:
    """The accelerator with the efficiency constants of its architecture.

    Parameters
    ----------
    accelerator, efficiency, engine
        Records; the engine's factors multiply the architecture's shares, up to the peaks.
    compute
        Format of the matrix products.

    Returns
    -------
    Device

    References
    ----------
    williams-2009

    Examples
    --------
    >>> from farthing.catalog import accelerator
    >>> device(accelerator("a100-sxm-80gb"), "bf16").matmul_flop_per_s / 1e12
    312.0
    """
    share = {
        "fp8": efficiency.matmul_share_8bit,
        "int8": efficiency.matmul_share_8bit,
        "fp4": efficiency.matmul_share_4bit,
    }.get(compute, efficiency.matmul_share)
    peak = peak_flop_per_s(accelerator, compute)
    single = compute in ("fp32", "tf32")
    if peak == peak_flop_per_s(accelerator, "bf16"):
        share = efficiency.matmul_share
    attention_share = efficiency.attention_share
    if single and not (compute == "tf32" and accelerator.tf32_flop_per_s):
        share = attention_share = max(share, SCALAR_MATMUL_SHARE) if efficiency is not IDEAL else 1.0
    return Device(
        matmul_flop_per_s=peak,
        attention_flop_per_s=peak_flop_per_s(accelerator, compute if single else "bf16"),
        memory_bytes=accelerator.memory_bytes,
        memory_bytes_per_s=accelerator.memory_bytes_per_s,
        matmul_share=min(share * engine.matmul_share, 1.0),
        attention_share=min(attention_share * engine.attention_share, 1.0),
        memory_share=min(efficiency.memory_share * engine.memory_share, 1.0),
        kv_share=min((efficiency.kv_share or efficiency.memory_share) * engine.kv_share, 1.0),
        expert_share=engine.expert_share,
        expert_rows=engine.expert_rows,
        expert_kernels=engine.expert_kernels,
        masked_share=engine.masked_share,
        sequence_products=engine.sequence_products,
        cuts_prompts=engine.prompt_cuts > 0,
        overlap_power=engine.overlap_power,
        vector_s=engine.vector_flop / (accelerator.fp32_flop_per_s or peak),
        narrow_attention_factor=max(
            peak_flop_per_s(accelerator, "fp8") / peak_flop_per_s(accelerator, "bf16"), 1.0
        ),
        narrow_prompts=bool(engine.narrow_prompts),
        vector_attention_flop_per_s=accelerator.compute_units * engine.vector_attention_flop_per_s,
        tensor_attention_group=engine.tensor_attention_group,
        kernel_s=efficiency.kernel_s * engine.kernel_factor,
        attention_s=(efficiency.attention_s or efficiency.kernel_s) * engine.kernel_factor,
        tiling=_tiling(accelerator, efficiency, engine),
        reserved_share=MACOS_RESERVED_SHARE if accelerator.vendor == "Apple" else 0.0,
        activation_bytes=4.0 if single else 2.0,
        operand_bytes=OPERAND_BYTES.get(compute, 4.0 if single else 2.0),
        quantise_bytes=QUANTISE_BYTES.get(compute, 0.0),
        elementwise_factor=engine.elementwise_factor,
        conversion_share=engine.conversion_share,
    )


def _tiling(accelerator: Accelerator, efficiency: Efficiency, engine: EngineEfficiency) -> Tiling:
    if not (efficiency.quantised_tiles and accelerator.compute_units):
        return Tiling()
    return Tiling(
        units=accelerator.compute_units,
        rows=engine.tile_rows,
        unit_tiles=engine.unit_tiles,
        splits=engine.inner_splits > 0,
        load_bytes_per_s=efficiency.unit_load_bytes_per_s or math.inf,
        step_s=efficiency.inner_step_s,
        wave_s=efficiency.wave_s,
        split_s=efficiency.split_s,
        tail_share=efficiency.tail_share,
        cache_bytes_per_s=accelerator.memory_bytes_per_s * CACHE_SPEED,
        score_s=efficiency.unit_score_s / accelerator.exponential_speed,
        read_bytes_per_s=efficiency.unit_read_bytes_per_s or math.inf,
        block_s=efficiency.attention_block_s,
    )
