"""How near real kernels come to the peaks: a few physical constants per architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Shares of peak rates that well-shaped work reaches, and fixed times.

    Attributes
    ----------
    id
        Architecture that the constants are for.
    matmul_share, matmul_share_8bit, matmul_share_4bit
        Share of the dense peak that a large matrix product with full tiles reaches.
    sustained_share
        Share of a short benchmark's rate that holds through a training run: clocks sink as the card heats up,
        and operands are not in cache.
    unit_w, unit_flop_per_s
        Power limit [W] and 16-bit peak [FLOP/s] of each compute unit of the card that ``sustained_share`` was
        measured on: power, not the peak, sets the clocks in the end. 0 where power is not known to matter.
    attention_share
        The same as ``matmul_share`` for the fused attention of a long prompt.
    memory_share
        Share of the peak bandwidth of a long sequential read.
    kv_share
        The same for the keys and values of a decode step; 0 takes ``memory_share``.
    kernel_s
        Fixed time of one kernel: launch and end.
    wave_s, tail_share
        Fill and drain of one wave of tiles, and the part of the last wave's idle units that is paid: other
        tile shapes save the rest.
    unit_load_bytes_per_s
        Rate at which one compute unit loads the operands of its tile from the cache; 0 for no limit.
    inner_step_s
        Least time to advance along a product's inner width by one byte of an operand, however small the tile.
    split_s
        Fixed time of splitting the inner width among units and of adding the parts.
    attention_s
        Fixed time of fused attention, the writing of keys and values and the joining of parts counted.
    attention_block_s
        Start and end of a block of attention: the queries of one tile and one head.
    unit_score_s
        Time in which one compute unit takes the exponential of one score.
    unit_read_bytes_per_s
        Rate at which one compute unit reads keys and values; 0 for no limit.
    collective_share
        Share of the link rate that a large collective reaches.
    collective_step_s
        Fixed software time of one step of a collective, on top of the link's latency.
    ring_share, ring_step_s
        The same for a library's rings over links that join cards directly.
    collective_s, collective_ramp_s
        Fixed time of a library's collective there, and what filling its channels takes for long messages.
    collective_copied
        How often each card copies its own part of a message meanwhile.
    direct_s, direct_share
        Fixed time of the all-reduce kernels of serving engines, and the share of the link rate that they
        reach.
    quantised_tiles
        Count tile and wave quantisation; off only where work is assumed perfectly divisible.
    fitted_on
        The measurements behind the figures.
    """

    id: str
    matmul_share: float = 1.0
    matmul_share_8bit: float = 1.0
    matmul_share_4bit: float = 1.0
    sustained_share: float = 1.0
    unit_w: float = 0.0
    unit_flop_per_s: float = 0.0
    attention_share: float = 1.0
    memory_share: float = 1.0
    kv_share: float = 0.0
    kernel_s: float = 0.0
    wave_s: float = 0.0
    tail_share: float = 1.0
    unit_load_bytes_per_s: float = 0.0
    inner_step_s: float = 0.0
    split_s: float = 0.0
    attention_s: float = 0.0
    attention_block_s: float = 0.0
    unit_score_s: float = 0.0
    unit_read_bytes_per_s: float = 0.0
    collective_share: float = 1.0
    collective_step_s: float = 0.0
    ring_share: float = 1.0
    ring_step_s: float = 0.0
    collective_s: float = 0.0
    collective_ramp_s: float = 0.0
    collective_copied: float = 0.0
    direct_s: float = 0.0
    direct_share: float = 1.0
    quantised_tiles: bool = True
    fitted_on: str = ""


IDEAL = Efficiency(id="ideal", quantised_tiles=False, fitted_on="none: every efficiency is 1")
"""Paper arithmetic: peaks reached, no fixed times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductEfficiency:
    """Matrix products in a number format as an engine's kernels make them, on an architecture.

    Attributes
    ----------
    engine, format, architecture
        What the constants are for; ``*`` stands for all.
    matmul_share
        Share of the dense peak of the format that large products reach.
    quantise_s
        Fixed time of the kernels that bring activations into the format.
    quantise_row_s
        Time that these take for each row of activations, however short.
    quantise_passes
        How often these kernels read or write the activations, counted in bytes an element.
    split_s
        As of the architecture, for these kernels; 0 takes that. Long where kernels do not split.
    launch_s
        Host time to issue the product with its conversions, where no graph is replayed.
    fitted_on
        The measurements behind the figures.
    """

    engine: str
    format: str
    architecture: str
    matmul_share: float
    quantise_s: float = 0.0
    quantise_row_s: float = 0.0
    quantise_passes: float = 0.0
    split_s: float = 0.0
    launch_s: float = 0.0
    fitted_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionEfficiency:
    """Fused attention as an engine's kernels make it, on an architecture.

    Attributes
    ----------
    engine, architecture
        What the constants are for; ``*`` stands for all.
    format
        Number formats of the products and of the cache, ``bfloat16/fp8``.
    phase
        ``context`` for prompts, ``generation`` for decode steps.
    rate_share
        Factor on the architecture's rates: of computing for prompts, of reading for decode steps.
    start_s
        Fixed time of a call.
    fitted_on
        The measurements behind the figures.
    """

    engine: str
    format: str
    architecture: str
    phase: str
    rate_share: float
    start_s: float
    fitted_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveEfficiency:
    """All-reduce of an engine's own kernels on an architecture.

    Attributes
    ----------
    library, architecture
        What the constants are for, ``custom_vllm``.
    start_s
        Fixed time of an all-reduce.
    fitted_on
        The measurements behind the figures.
    """

    library: str
    architecture: str
    start_s: float
    fitted_on: str = ""
