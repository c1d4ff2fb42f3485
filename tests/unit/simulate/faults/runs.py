"""Small runs that the tests of this folder simulate."""

from __future__ import annotations

from typing import Any

from farthing.records.fault_run import Checkpointing, FaultCause, FaultRun, Recovery, Stragglers

GPU = FaultCause(
    name="gpu", strikes="card", fault_parts=100, part_mtbf_s=700_000.0, hosts_out=1, repair_s=2e4
)
RACK = FaultCause(
    name="rack",
    strikes="rack",
    fault_parts=10,
    part_mtbf_s=200_000.0,
    lifetime="weibull",
    shape=1.5,
    hosts_out=3,
    repair_s=9000.0,
    memory_survives=False,
)
SOFTWARE = FaultCause(name="software", strikes="job", fault_parts=1, part_mtbf_s=10_000.0)
SLOW = Stragglers(straggler_parts=10, straggler_mtbf_s=1e5, slowdown=1.5, notice_s=3000.0)


def small_run(
    *,
    causes: tuple[FaultCause, ...] = (GPU, RACK, SOFTWARE),
    stragglers: Stragglers | None = None,
    duration_s: float = 200_000.0,
    checkpointing: dict[str, Any] | None = None,
    **recovery: Any,
) -> FaultRun:
    """A run of some seventy failures."""
    saved: dict[str, Any] = {"stored_bytes": 30.0, "write_bytes_per_s": 1.0, "read_bytes_per_s": 2.0}
    return FaultRun(
        name="small",
        hosts=32,
        cards=256,
        duration_s=duration_s,
        causes=causes,
        checkpointing=Checkpointing(**{**saved, **(checkpointing or {})}),
        recovery=Recovery(**{"detection_s": 100.0, "restart_s": 200.0, **recovery}),
        stragglers=stragglers,
    )
