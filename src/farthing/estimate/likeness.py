"""What makes predictions alike: engine, slowest card, and the regime that the load is in."""

from __future__ import annotations

from typing import Final

from farthing.catalog import efficiency_names, engine_family
from farthing.estimate.interval import interval
from farthing.estimate.subject import Subject
from farthing.predict.parameters import total_parameters
from farthing.predict.trace import untraced
from farthing.records.comparison import Likeness
from farthing.records.efficiency import IDEAL
from farthing.records.error_bar import ErrorBar
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload

SMALL_BATCH: Final = 16
SMALL_PARAMETERS: Final = 1.5e9


def inference_likeness(
    about: Subject, workload: InferenceWorkload, plan: InferencePlan, what: str
) -> Likeness:
    """Of a predicted time of a serving load."""
    per_host = about.cluster.groups[0].accelerators_per_host
    cards = plan.tp * plan.pp
    if cards == 1:
        spread = "one card"
    elif cards > per_host:
        spread = "over hosts"
    else:
        spread = "tensor parallel" if plan.pp == 1 else "pipeline"
    each = workload.batch_size / plan.dp
    load = "batch 1" if each <= 1 else "small batch" if each <= SMALL_BATCH else "large batch"
    return Likeness(
        what=what,
        engine=engine_family(plan.engine),
        hardware=slowest(about),
        regime=f"{spread}, {load}",
    )


def training_likeness(about: Subject, workload: TrainingWorkload, plan: TrainingPlan, what: str) -> Likeness:
    """Of a predicted step or size of a training run."""
    cards = plan.tp * plan.pp * plan.cp * plan.dp
    spread = (
        "one card"
        if cards == 1
        else "one host"
        if cards <= about.cluster.groups[0].accelerators_per_host
        else "many hosts"
    )
    if workload.lora_rank:
        kind = "adapters"
    else:
        small = float(untraced(total_parameters(about.model))) < SMALL_PARAMETERS
        kind = "small model" if small else "all weights"
    return Likeness(
        what=what,
        engine=engine_family(plan.engine),
        hardware=slowest(about),
        regime=f"{kind}, {spread}",
    )


def slowest(about: Subject) -> str:
    """Architecture of the slowest card."""
    groups = about.cluster.groups
    rates = [device.matmul_flop_per_s for device in about.devices]
    return efficiency_names(groups[rates.index(min(rates))].accelerator)[0]


def error_bar(about: Subject, name: str, value: float, likeness: Likeness, *, rate: bool = False) -> ErrorBar:
    """The interval of a number; a ``rate`` falls as its time grows."""
    if about.efficiencies[0].id == IDEAL.id:
        basis = "not validated: paper arithmetic, which nothing reaches"
        return ErrorBar(name=name, low=None, high=None, likeness=likeness, cases=0, sources=0, basis=basis)
    found = interval(likeness)
    low, high = (1 / found.high, 1 / found.low) if rate else (found.low, found.high)
    return ErrorBar(
        name=name,
        low=value * low if found.cases else None,
        high=value * high if found.cases else None,
        likeness=likeness,
        cases=found.cases,
        sources=found.sources,
        basis=found.basis,
    )
