"""The front of the package: a design question in plain arguments, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from farthing.catalog.own_prices import read_prices
from farthing.catalog.prices import prices as known_prices
from farthing.design.answer import design_serving
from farthing.design.asked import (
    chosen_accelerators,
    given_prices,
    ownership_terms,
    rented_link,
    serving_plans,
    training_run_asked,
)
from farthing.design.shop import market
from farthing.design.training import design_training
from farthing.errors import InvalidInput
from farthing.estimate.subject import filled, plain, refuse_unknown, serving_load
from farthing.records.design import (
    Condition,
    Demand,
    DesignLimits,
    DesignObjective,
    DesignResult,
    Ownership,
    Ways,
)
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.search import Task
from farthing.records.workload import InferenceWorkload, TrainingWorkload


def design(
    model: Model,
    *,
    task: Task = "inference",
    objective: DesignObjective = "usd",
    ways: Ways = "either",
    condition: Condition = "any",
    accelerators: Sequence[str] | str = (),
    measured: bool = False,
    country: str = "",
    demand: Demand | None = None,
    limits: DesignLimits | None = None,
    ownership: Ownership | None = None,
    workload: InferenceWorkload | TrainingWorkload | None = None,
    usd: Mapping[str, float] | None = None,
    usd_per_hour: Mapping[str, float] | None = None,
    prices: str | Path | None = None,
    top: int = 10,
    front: Sequence[DesignObjective] | str = (),
    ideal: bool = False,
    workers: int = 1,
    **options: Any,
) -> DesignResult:
    """The best builds that do a job.

    Parameters
    ----------
    model
        What is served or trained.
    task
        ``inference`` or ``training``.
    objective
        What is best: ``usd`` per million tokens, ``capital``, ``power``, ``tpot``, ``ttft``, or the most
        ``tokens-per-s`` within a limit on money, power or accelerators. In training ``usd`` of the run,
        ``capital``, ``power``, or the shortest ``run`` within such a limit.
    ways
        ``own``, ``rent`` or ``either``.
    condition
        Accelerators ``new``, ``used`` or ``any``.
    accelerators
        Only these: ids, vendors or architectures.
    measured
        Only accelerators for whose generation kernels were measured, none with assumed efficiencies.
    country
        ISO code or name, for the price of electricity and the circuits of a household.
    demand, limits, ownership, workload
        Records; by default made from ``options``.
    usd, usd_per_hour
        Own prices by item, to buy and to rent.
    prices
        A file of prices, in the columns of the catalogue's, that come before the catalogue's.
    top
        Builds that are returned, each of another accelerator or way of paying.
    front
        Two or three objectives whose Pareto front is returned too.
    ideal
        Paper arithmetic.
    workers
        Processes that share the search; more than one needs a script that guards its entry with
        ``if __name__ == "__main__"``.
    **options
        Any field of `Demand`, `DesignLimits`, `Ownership` and the workload; ``residual_share`` may be
        ``"market"``; ``weight_format``, ``kv_format`` and ``engine`` may be lists. In training any field of
        `TrainingPlan` but the sizes: a value fixes it, a list leaves a choice; ``offload`` is ``none`` unless
        it is given. ``headroom_share`` is what of each card stays free, and ``rented_network`` the id of what
        joins rented hosts.

    Returns
    -------
    DesignResult

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, questions that contradict themselves.
    """
    options = {name: plain(value) for name, value in options.items()}
    shop = market(
        condition=condition,
        given_usd=given_prices(usd, "the price"),
        given_usd_per_hour=given_prices(usd_per_hour, "the rent"),
        rows=known_prices(read_prices(prices)) if prices is not None else None,
    )
    terms = ownership_terms(ownership, options, country=country)
    kept = filled(limits, DesignLimits, options)
    fronts = (front,) if isinstance(front, str) else tuple(front)
    shared: dict[str, Any] = {
        "limits": kept,
        "ownership": terms,
        "ways": ways,
        "objective": objective,
        "accelerators": chosen_accelerators(accelerators, measured=measured),
        "top": plain(top),
        "ideal": ideal,
        "workers": workers,
    }
    if task == "training":
        if fronts:
            raise InvalidInput("a front is of builds that serve; of builds that train ask for one objective")
        if demand is not None or any(name in options for name in Demand.__dataclass_fields__):
            raise InvalidInput("training has no demand: say training_tokens and within what time (run_s)")
        run, given, room = training_run_asked(model, workload, options)
        joined = rented_link(shop, options)
        refuse_unknown(options, DesignLimits, Ownership, TrainingWorkload, TrainingPlan)
        return design_training(shop, model, run, given, plan_limits=room, rented_network=joined, **shared)
    if task != "inference":
        raise InvalidInput(f"task must be inference or training, not {task!r}")
    asked = filled(demand, Demand, options)
    plans = serving_plans(model, options)
    load = serving_load(model, cast("InferenceWorkload | None", workload), options)
    refuse_unknown(options, Demand, DesignLimits, Ownership, InferenceWorkload, InferencePlan)
    return design_serving(shop, model, load, plans, demand=asked, front=cast(Any, fronts), **shared)
