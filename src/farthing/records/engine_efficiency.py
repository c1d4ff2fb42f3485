"""How well an engine uses an architecture, and the time that its host side takes."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEfficiency:
    """Constants of an engine on an architecture; factors are relative to the architecture's own `Efficiency`.

    In the table, rows name an engine, an architecture and a number format, any of them ``*``; a field that a
    row leaves empty comes from the next less specific row.

    Attributes
    ----------
    engine, architecture, format
        What the constants are for; ``*`` stands for all.
    matmul_share, attention_share
        Factors on the rates of matrix products and of the attention of a prompt: the engine's kernels,
        conversion of stored weights included.
    memory_share, kv_share
        Factors on the rate at which weights, and keys and values, are read.
    elementwise_factor
        Memory traffic and kernels of norms, activations, scores and the like in training, over those of fused
        kernels: eager frameworks run one kernel for each operation.
    conversion_share
        Share of the memory bandwidth at which training turns frozen low-bit weights into 16 bits, at each use.
    prefill_launch_s, decode_launch_s
        Host time to issue one kernel of a pass; a pass takes at least as long as issuing all of its kernels.
        0 where graphs are replayed.
    step_s, sequence_s
        Host time of a step that the device does not hide, and the part of it that each sequence adds.
    request_s
        Host time from a request's arrival to the start of its first pass, and from its end to the reply.
    exchange_s
        What one exchange between tensor-parallel cards takes on top of the architecture's collective.
    fitted_on
        The measurements behind the figures.
    """

    engine: str = "*"
    architecture: str = "*"
    format: str = "*"
    matmul_share: float = math.nan
    attention_share: float = math.nan
    memory_share: float = math.nan
    kv_share: float = math.nan
    elementwise_factor: float = math.nan
    conversion_share: float = math.nan
    prefill_launch_s: float = math.nan
    decode_launch_s: float = math.nan
    step_s: float = math.nan
    sequence_s: float = math.nan
    request_s: float = math.nan
    exchange_s: float = math.nan
    fitted_on: str = ""


NO_OVERHEAD = EngineEfficiency(
    matmul_share=1.0,
    attention_share=1.0,
    memory_share=1.0,
    kv_share=1.0,
    elementwise_factor=1.0,
    conversion_share=1.0,
    prefill_launch_s=0.0,
    decode_launch_s=0.0,
    step_s=0.0,
    sequence_s=0.0,
    request_s=0.0,
    exchange_s=0.0,
    fitted_on="none: an engine that costs nothing",
)
"""An engine that costs nothing: the architecture's own constants."""
