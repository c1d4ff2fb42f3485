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
    attention_share
        The same as ``matmul_share`` for the fused attention of a long prompt.
    memory_share
        Share of the peak bandwidth of a long sequential read.
    kernel_s
        Fixed time of one kernel: launch, ramp up and drain.
    collective_share
        Share of the link rate that a large collective reaches.
    collective_step_s
        Fixed software time of one step of a collective, on top of the link's latency.
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
    attention_share: float = 1.0
    memory_share: float = 1.0
    kernel_s: float = 0.0
    collective_share: float = 1.0
    collective_step_s: float = 0.0
    quantised_tiles: bool = True
    fitted_on: str = ""


IDEAL = Efficiency(id="ideal", quantised_tiles=False, fitted_on="none: every efficiency is 1")
"""Paper arithmetic: peaks reached, no fixed times."""
