"""What sources' memory figures hold: tensors, what the allocator gave out, or all that the driver shows."""

from __future__ import annotations

from typing import Final

from farthing import catalog
from farthing.evidence.training_rows import Row
from farthing.predict.training_memory import driver_bytes
from farthing.records.comparison import Case
from farthing.records.estimate import TrainingEstimate

ALLOCATOR: Final = ("litgpt", "torchtune", "nemo", "megatron-lm", "torchtitan", "colossal-ai")
"""Engines that report what PyTorch's allocator gave out: what the driver and NCCL hold is not in it."""


def shown_bytes(case: Case, row: Row, engine: str, estimate: TrainingEstimate) -> float:
    """What a source's figure for such a run holds [byte]."""
    plan = row.plan
    memory = estimate.memory
    notes = case.cells.get("notes", "").lower()
    if "allocated" in notes or "analytic" in notes:
        return sum(part.value for part in memory.parts if part.name != "workspace")
    card = row.cluster.groups[0].accelerator
    outside = float(driver_bytes(plan, kind=card.kind))
    if engine in ALLOCATOR:
        return memory.total_bytes - outside
    # The driver shows freed blocks that the allocator keeps, as far as the card has room for them.
    weights = catalog.number_format(plan.weight_format)
    share = catalog.engine_efficiency(plan.engine, card, weights).reserved_share
    kept = share * (memory.total_bytes - outside)
    return memory.total_bytes + max(min(kept, memory.capacity_bytes - memory.total_bytes), 0.0)
