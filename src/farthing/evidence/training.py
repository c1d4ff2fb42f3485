"""Compares training rows: step time, throughput, utilisation, memory, GPU-hours."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from farthing import api, catalog
from farthing.errors import FarthingError
from farthing.evidence.fine_tuning import (
    counted_tokens,
    fine_tuning_row,
    is_fine_tuning,
    is_small,
    memory_gib,
    trains_adapters,
)
from farthing.evidence.outcome import compared, likeness_of, number, refused
from farthing.evidence.shown_memory import shown_bytes
from farthing.evidence.training_rows import Row, training_row
from farthing.predict.device import peak_flop_per_s
from farthing.predict.trace import untraced
from farthing.predict.work import model_flop
from farthing.records.comparison import Case, Comparison
from farthing.records.estimate import TrainingEstimate
from farthing.units import GIB, HOUR

QUANTITIES: Final = (
    "step_time_s",
    "tokens_per_s_per_gpu",
    "tflops_per_gpu",
    "mfu",
    "hfu",
    "mem_gb_per_gpu",
    "gpu_hours",
)

PRE_TRAINING: Final = "LLM pre-training, full layout, 8 cards or more"
FEW_CARDS: Final = "LLM pre-training, full layout, fewer than 8 cards"
INCOMPLETE: Final = "LLM pre-training, layout incomplete"
KORTHIKANTI: Final = "Korthikanti et al. table 5"
NARAYANAN: Final = "Narayanan et al. table 1"
MEMORY: Final = "training memory"
GPU_HOURS: Final = "GPU-hours of whole runs"
ADAPTERS: Final = "fine-tuning with adapters"
FINE_TUNING: Final = "fine-tuning of all weights"
SMALL: Final = "encoders and small models on 1-8 cards"
SMALL_CLUSTER: Final = "encoders and small models on more cards"


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """The comparisons of all the numbers of training rows."""
    found: list[Comparison] = []
    for case in cases:
        found += _compared(case)
    return found


def _quantities(case: Case) -> Iterable[str]:
    return [name for name in QUANTITIES if case.cells.get(name)]


def _compared(case: Case) -> list[Comparison]:
    try:
        measured = {name: number(case, name) for name in _quantities(case)}
        special = is_fine_tuning(case) or is_small(case)
        row = fine_tuning_row(case) if special else training_row(case)
        estimate = api.train(row.model, row.cluster, workload=row.workload, plan=row.plan)
    except FarthingError as error:
        reason = str(error)
        return [
            refused(case, name, math.nan, reason, group=group_of(case, None, name))
            for name in _quantities(case)
        ]
    found = []
    for name, value in measured.items():
        if name == "gpu_hours" and not row.workload.training_tokens:
            reason = "the tokens of the run are not known"
            found.append(refused(case, name, value, reason, group=group_of(case, row, name)))
            continue
        if not value > 0:
            found.append(refused(case, name, value, "not a positive number", group=group_of(case, row, name)))
            continue
        unknown = _memory_reason(case, row, value) if name == "mem_gb_per_gpu" and not special else ""
        if unknown:
            found.append(refused(case, name, value, unknown, group=MEMORY))
            continue
        predicted, simple = _predicted(case, row, estimate, name, value)
        what = "training memory" if name == "mem_gb_per_gpu" else "training step"
        found.append(
            compared(
                case,
                name,
                value,
                predicted,
                simple=simple,
                group=group_of(case, row, name),
                likeness=likeness_of(estimate, what),
                rate=name not in ("step_time_s", "mem_gb_per_gpu", "gpu_hours"),
            )
        )
    return found


def _memory_reason(case: Case, row: Row, measured: float) -> str:
    """Why a row of pre-training says too little of its memory, or contradicts itself; else empty."""
    if "analytic" not in case.cells.get("notes", "").lower():
        card = row.cluster.groups[0].accelerator
        if measured * GIB > card.memory_bytes:
            return "more memory than the card has"
    if row.micro_batch_stated or row.workload.global_batch_size == row.plan.dp:
        return ""
    return "the micro-batch is not stated"


def group_of(case: Case, row: Row | None, quantity: str) -> str:
    """The row of the accuracy table that a number counts in."""
    if quantity == "mem_gb_per_gpu":
        return MEMORY
    if quantity == "gpu_hours":
        return GPU_HOURS
    if is_small(case):
        return SMALL if number(case, "n_gpus") <= 8 else SMALL_CLUSTER
    if trains_adapters(case):
        return ADAPTERS
    if is_fine_tuning(case):
        return FINE_TUNING
    if case.source.startswith("Korthikanti"):
        return KORTHIKANTI
    if case.source.startswith("Narayanan"):
        return NARAYANAN
    if row is None or not row.stated:
        return INCOMPLETE
    return PRE_TRAINING if number(case, "n_gpus") >= 8 else FEW_CARDS


def _predicted(
    case: Case, row: Row, estimate: TrainingEstimate, name: str, measured: float
) -> tuple[float, float]:
    """The prediction of one number, and what peaks alone give for it, both in the source's unit."""
    plan = row.plan
    card = row.cluster.groups[0].accelerator
    peak = peak_flop_per_s(card, catalog.number_format(plan.compute_format).compute)
    cards = estimate.accelerators
    ideal_s = estimate.hfu * estimate.step_s
    if name == "step_time_s":
        return estimate.step_s, ideal_s
    if name == "tokens_per_s_per_gpu":
        counted = counted_tokens(case, row) / cards
        return counted / estimate.step_s, counted / ideal_s
    if name == "mem_gb_per_gpu":
        states = sum(part.value for part in estimate.memory.parts if part.name in STATES)
        special = is_fine_tuning(case) or is_small(case)
        if special:
            return memory_gib(case, row, estimate), states / GIB
        return shown_bytes(case, row, plan.engine, estimate) / GIB, states / GIB
    if name == "gpu_hours":
        return estimate.accelerator_s / HOUR, estimate.accelerator_s / HOUR * ideal_s / estimate.step_s
    flop = counted_flop(case, row, estimate, name)
    rate = flop / cards / estimate.step_s
    best = flop / cards / ideal_s
    if name == "tflops_per_gpu":
        return rate / 1e12, best / 1e12
    return rate / peak, best / peak


CAUSAL: Final = r"megatron[- ]bridge|automodel|(?<!un)packed"
"""Programs, and ways to fill a sequence, whose work is counted without the masked half of attention."""

STATES: Final = ("weights", "gradients", "optimizer")


def counted_flop(case: Case, row: Row, estimate: TrainingEstimate, name: str) -> float:
    """The work of a step as the source counts it.

    Sources count the whole square of attention or, later, its causal half, and of packed sequences little;
    Megatron's older formula counts what is recomputed. What was measured has no part in the choice.
    """
    whole = estimate.model_flop
    tokens = row.workload.global_batch_size * row.workload.sequence_tokens
    head = (2 if row.workload.lora_rank else 3) * 2.0 * row.model.vocab * row.model.hidden * tokens
    head *= 1 + row.workload.predictors
    recomputed = whole
    if row.plan.recompute == "full":
        recomputed = whole + (whole - head) / 3
    if name == "hfu":
        return max(recomputed, estimate.hfu / estimate.mfu * whole if row.plan.recompute != "full" else 0.0)
    if name == "mfu":
        return whole
    short = float(
        untraced(model_flop(row.model, tokens, 0, predictors=row.workload.predictors))
    ) * whole_share(row)
    causal = (whole + short) / 2
    text = f"{case.cells.get('framework', '')} {case.cells.get('notes', '')}".lower()
    if "hardware flops" in text or "hardware-flops" in text or row.plan.engine == "gpt-neox":
        return recomputed
    newer = re.search(CAUSAL, text) or ("megatron-core" in text and "nemo" not in text)
    return causal if newer else whole


def whole_share(row: Row) -> float:
    """Share of the passes that adapters leave: frozen weights have no gradients of their own."""
    return 2 / 3 if row.workload.lora_rank else 1.0
