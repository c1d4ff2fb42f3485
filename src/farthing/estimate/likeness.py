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
from farthing.records.hardware import Accelerator
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload

SMALL_BATCH: Final = 16
"""Sequences at once up to which a batch is small."""

SMALL_PARAMETERS: Final = 1.5e9
"""Models up to this size leave most of a data-centre card idle."""


def inference_likeness(
    about: Subject, workload: InferenceWorkload, plan: InferencePlan, what: str
) -> Likeness:
    """Of a predicted time of a serving load."""
    return serving_likeness(
        what,
        engine=plan.engine,
        card=slowest(about),
        cards=plan.tp * plan.pp,
        tp=plan.tp,
        per_host=about.cluster.groups[0].accelerators_per_host,
        batch_size=workload.batch_size / plan.dp,
    )


def serving_likeness(
    what: str, *, engine: str, card: Accelerator, cards: int, tp: int, per_host: int, batch_size: float
) -> Likeness:
    """Of a replica with so many cards and so many sequences at once."""
    if cards == 1:
        spread = "one card"
    elif cards > per_host:
        spread = "over hosts"
    else:
        spread = "tensor parallel" if tp == cards else "pipeline"
    load = "batch 1" if batch_size <= 1 else "small batch" if batch_size <= SMALL_BATCH else "large batch"
    return Likeness(
        what=what,
        engine=engine_family(engine),
        hardware=efficiency_names(card)[0],
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
        hardware=efficiency_names(slowest(about))[0],
        regime=f"{kind}, {spread}",
    )


def slowest(about: Subject) -> Accelerator:
    """The slowest card."""
    rates = [device.matmul_flop_per_s for device in about.devices]
    return about.cluster.groups[rates.index(min(rates))].accelerator


def error_bar(
    about: Subject, name: str, value: float, likeness: Likeness, *, rate: bool = False, share: float = 0.0
) -> ErrorBar:
    """The interval of a number; a ``rate`` falls as its time grows.

    ``share`` is what the prediction reaches of the hardware's peak: no end of an interval goes beyond that.
    """
    if about.efficiencies[0].id == IDEAL.id:
        basis = "not validated: paper arithmetic, which nothing reaches"
        return ErrorBar(name=name, low=None, high=None, likeness=likeness, cases=0, sources=0, basis=basis)
    found = interval(likeness)
    fastest = max(found.low, min(share, 1.0))
    low, high = (1 / found.high, 1 / fastest) if rate else (fastest, found.high)
    return ErrorBar(
        name=name,
        low=value * low if found.cases else None,
        high=value * high if found.cases else None,
        likeness=likeness,
        cases=found.cases,
        sources=found.sources,
        basis=found.basis,
    )
