"""A layout for runs that print none: as little model parallelism as fits, as an engineer would start."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from farthing.errors import FarthingError, InvalidInput
from farthing.estimate.training import training_run
from farthing.predict.fabric import joined_cards
from farthing.records.comparison import Case
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

TP: Final = (1, 2, 4, 8)
PP: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
MICRO_BATCHES: Final = (4, 2, 1)

EP: Final = (8, 16, 32, 64)
"""Cards that share the experts of a layer: one host, or as many as the weights need."""

USABLE_SHARE: Final = 0.92
"""Share of the memory that a layout may take."""


def model_parallel_of(case: Case) -> int:
    """Cards that share the model where a row states only their number; 0 where it does not."""
    found = re.search(r"model-parallel size \(tp\*pp\)=([0-9]+)", case.cells.get("notes", ""))
    return int(found.group(1)) if found else 0


def fitting_plan(
    model: Model,
    cluster: Cluster,
    workload: TrainingWorkload,
    options: tuple[tuple[str, Any], ...],
    *,
    given: tuple[tuple[str, int], ...] = (),
    model_parallel: int = 0,
) -> TrainingPlan:
    """The plan with the least model parallelism that fits, then the largest micro-batch.

    Raises
    ------
    InvalidInput
        No layout shares the batch over the cards.
    """
    return _fitting_plan(model, cluster, workload, options, given, model_parallel)


@functools.lru_cache(maxsize=2048)
def _fitting_plan(
    model: Model,
    cluster: Cluster,
    workload: TrainingWorkload,
    options: tuple[tuple[str, Any], ...],
    given: tuple[tuple[str, int], ...],
    model_parallel: int,
) -> TrainingPlan:
    words, sizes = dict(options), dict(given)
    tightest: tuple[float, TrainingPlan] | None = None
    recomputes = [words.pop("recompute", "selective")]
    if "full" not in recomputes:
        recomputes.append("full")
    for recompute in recomputes:
        for tp, pp in _splits(model, cluster, sizes, model_parallel):
            cp = sizes.get("cp", 1)
            dp = cluster.count // (tp * pp * cp)
            if not dp or tp * pp * cp * dp != cluster.count:
                continue
            stated = sizes.get("micro_batch")
            experts = _expert_sizes(model, sizes, tp * cp * dp)
            for ep, micro_batch in itertools.product(experts, (stated,) if stated else MICRO_BATCHES):
                if workload.global_batch_size % (dp * micro_batch):
                    continue
                plan = TrainingPlan(
                    tp=tp,
                    pp=pp,
                    cp=cp,
                    dp=dp,
                    ep=ep,
                    expert_tp=1 if ep > 1 else 0,
                    micro_batch_size=micro_batch,
                    recompute=recompute,
                    **words,
                )
                try:
                    run = training_run(model, cluster, workload, plan, ideal=False)
                except FarthingError:
                    continue
                filled = float(run.memory().total_bytes) / run.capacity_bytes
                if filled <= USABLE_SHARE:
                    return plan
                if tightest is None or filled < tightest[0]:
                    tightest = filled, plan
    if tightest is None:
        raise InvalidInput("no layout shares the batch over the cards")
    return tightest[1]


def _expert_sizes(model: Model, sizes: dict[str, int], cards: int) -> tuple[int, ...]:
    """Expert parallel sizes to try among the cards of a stage."""
    if not model.is_moe or "ep" in sizes:
        return (sizes.get("ep", 1) if model.is_moe else 1,)
    sharing = tuple(ep for ep in EP if cards % ep == 0 and model.experts % ep == 0)
    return sharing or (next(ep for ep in (4, 2, 1) if cards % ep == 0 and model.experts % ep == 0),)


def fitting_recompute(
    model: Model, cluster: Cluster, workload: TrainingWorkload, plan: TrainingPlan
) -> TrainingPlan:
    """The plan, with everything recomputed where it does not fit otherwise."""
    run = training_run(model, cluster, workload, plan, ideal=False)
    if float(run.memory().total_bytes) <= run.capacity_bytes:
        return plan
    return replace(plan, recompute="full")


def _splits(
    model: Model, cluster: Cluster, sizes: dict[str, int], model_parallel: int
) -> Iterator[tuple[int, int]]:
    if model_parallel:
        tp = max(size for size in TP if model_parallel % size == 0)
        yield tp, model_parallel // tp
        return
    tps = (sizes["tp"],) if "tp" in sizes else TP
    pps = (sizes["pp"],) if "pp" in sizes else tuple(pp for pp in PP if pp <= model.layers)
    host = joined_cards(cluster.groups[0])
    pairs = [(tp, pp) for tp, pp in itertools.product(tps, pps) if tp <= host or "tp" in sizes]
    yield from sorted(pairs, key=lambda pair: (pair[0] * pair[1], pair[1]))
