"""What a replica runs on."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.simulate.serving.passes import PassTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a replica runs on.

    Attributes
    ----------
    passes
        How long passes take.
    kv_blocks
        Of its cache.
    lanes
        Batches in flight: in its pipeline, or one on each of the ranks that share experts.
    lockstep
        Whether these begin and end their passes together: ranks that share experts wait for the slowest.
    swap_s_per_block
        Moving a block to the host's memory and back [s].
    reads_only
        It hands prompts over to workers that decode.
    """

    passes: PassTimes
    kv_blocks: int
    lanes: int = 1
    lockstep: bool = False
    swap_s_per_block: float = 0.0
    reads_only: bool = False
