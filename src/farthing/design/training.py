"""The answer about training: the best builds, what renting asks beside owning, and what would change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final, get_args

from farthing.catalog.prices import is_stale
from farthing.design.alternatives import with_price
from farthing.design.bill import run_build
from farthing.design.pricing import Kit, Kits, Terms
from farthing.design.runs import Job
from farthing.design.serving import Count
from farthing.design.shared import SHARED
from farthing.design.shop import Shop
from farthing.design.training_search import (
    OBJECTIVES,
    FoundRun,
    TrainingSearch,
    rank,
    run_figures,
    run_priced,
)
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis
from farthing.predict.energy import electricity_usd_per_s
from farthing.predict.money import hosting_usd_per_s
from farthing.predict.ownership import break_even_s
from farthing.records.design import (
    Alternative,
    CostChange,
    Demand,
    DesignLimits,
    DesignObjective,
    DesignResult,
    Ownership,
    Way,
    Ways,
)
from farthing.records.hardware import Link
from farthing.records.model import Model
from farthing.records.search import Limits, Removed
from farthing.records.workload import TrainingWorkload
from farthing.units import format_quantity, format_seconds, format_usd

LIMITS: Final[Mapping[str, tuple[str, DesignObjective]]] = {
    "run_s": ("the run's time", "run"),
    "run_usd": ("the run's money", "usd"),
    "capital_usd": ("the capital", "capital"),
    "usd_per_s": ("the money an hour", "usd"),
    "usd_per_million_tokens": ("the price of tokens", "usd"),
    "power_w": ("the power", "power"),
    "most_accelerators": ("the number of accelerators", "usd"),
}
"""Limits in words, and what is best where one of them falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is searched; as of `TrainingSearch`."""

    shop: Shop
    job: Job
    terms: Terms
    accelerators: Sequence[str]
    ways: Ways
    objective: DesignObjective
    rented_network: Link
    top: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """The best of each kind, the best of each way of paying, and the counts."""

    best: list[FoundRun]
    ways: dict[Way, FoundRun]
    count: Count


def design_training(
    shop: Shop,
    model: Model,
    workload: TrainingWorkload,
    given: Mapping[str, Any],
    *,
    plan_limits: Limits,
    limits: DesignLimits,
    ownership: Ownership,
    rented_network: Link,
    ways: Ways = "either",
    objective: DesignObjective = "usd",
    accelerators: Sequence[str] = (),
    top: int = 10,
    ideal: bool = False,
    workers: int = 1,
) -> DesignResult:
    """The best builds that train a model.

    What is bought counts for as long as the run takes it: its price over the years that it is owned, and its
    electricity.

    Parameters
    ----------
    shop
        What is on offer.
    model, workload
        What is trained, on how many tokens; each build makes the same steps.
    given
        Fields of `TrainingPlan` that are fixed, or lists of which one is chosen; the rest is searched.
    plan_limits
        What of each card's memory stays free.
    limits, ownership, ways
        What is asked, and under which terms.
    rented_network
        What joins rented hosts.
    objective
        What is best: ``usd`` of the run, ``capital``, ``power``, or the shortest ``run``.
    accelerators
        Only these; empty for all.
    top
        Builds that are returned, each of another accelerator or way of paying.
    ideal
        Paper arithmetic.
    workers
        Processes that share the search; more than one needs a script that guards its entry.

    Raises
    ------
    InvalidInput
        Questions that contradict themselves.
    """
    _check(workload, limits, ways, objective, top)
    terms = Terms(demand=Demand(), limits=limits, ownership=ownership)
    basis = CostBasis(usd_per_kwh=ownership.usd_per_kwh, years=ownership.years, pue=ownership.pue)
    question = _Question(
        shop=shop,
        job=Job(
            model=model,
            workload=workload,
            given={"offload": "none", **given},
            limits=plan_limits,
            basis=basis,
            ideal=ideal,
        ),
        terms=terms,
        accelerators=accelerators or tuple(shop.accelerators),
        ways=ways,
        objective=objective,
        rented_network=rented_network,
        top=top,
    )
    answer = _answered(question, workers)
    return DesignResult(
        task="training",
        model=model.id,
        objective=objective,
        demand=terms.demand,
        limits=limits,
        ownership=ownership,
        ways=ways,
        condition=shop.condition,
        candidates=answer.count.candidates,
        evaluated=answer.count.evaluated,
        removed=tuple(Removed(rule=rule, candidates=count) for rule, count in answer.count.removed.items()),
        best=tuple(run_build(shop, one, terms) for one in answer.best),
        alternatives=tuple(_alternatives(shop, answer.ways, terms)),
        sensitivity=tuple(_changes(shop, answer.best[0], terms)) if answer.best else (),
        miss="" if answer.best else _miss(question),
    )


def _check(
    workload: TrainingWorkload, limits: DesignLimits, ways: Ways, objective: DesignObjective, top: int
) -> None:
    if objective not in OBJECTIVES:
        raise InvalidInput(f"no objective {objective!r} in training; there are {', '.join(OBJECTIVES)}")
    if ways not in get_args(Ways):
        raise InvalidInput(f"ways must be own, rent or either, not {ways!r}")
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"top must be a whole number of at least 1, not {top!r}")
    if not workload.training_tokens:
        raise InvalidInput("say how many tokens the run trains on (training_tokens), e.g. 100B")
    for name in ("ttft_s", "tpot_s"):
        if getattr(limits, name):
            raise InvalidInput(f"limits: {name} is for inference; training has run_s and run_usd")
    if objective != "run" and not limits.run_s:
        raise InvalidInput(
            "say within what time the run must end (run_s): without it the slowest is cheapest"
        )
    bounds = (limits.capital_usd, limits.usd_per_s, limits.power_w, limits.most_accelerators, limits.run_usd)
    if objective == "run" and not any(bounds):
        raise InvalidInput(
            "the shortest run needs a limit on the run's money (run_usd), capital, money an hour, power or "
            "accelerators"
        )
    if objective == "capital" and ways != "own":
        raise InvalidInput(
            "what is rented takes no capital: ask for ways own (--buy) with the objective capital"
        )


def _answered(question: _Question, workers: int) -> _Answer:
    names = question.accelerators
    workers = min(workers, len(names) // SHARED + 1)
    if workers < 2:
        return _answer(question)
    # Neighbours in the catalogue are alike: dealing them out gives each process as much to do.
    shares = [dataclasses.replace(question, accelerators=names[start::workers]) for start in range(workers)]
    with ProcessPoolExecutor(workers - 1, mp_context=get_context("spawn")) as pool:
        others = [pool.submit(_answer, share) for share in shares[1:]]
        answers = [_answer(shares[0]), *(other.result() for other in others)]
    best = sorted(
        (build for one in answers for build in one.best), key=lambda build: rank(build, question.objective)
    )
    ways: dict[Way, FoundRun] = {}
    count = Count()
    for one in answers:
        for way, build in one.ways.items():
            ways[way] = min(ways.get(way, build), build, key=lambda each: rank(each, question.objective))
        count.candidates += one.count.candidates
        count.evaluated += one.count.evaluated
        for rule, removed in one.count.removed.items():
            count.remove(rule, removed)
    return _Answer(best[: question.top], ways, count)


def _search(question: _Question) -> TrainingSearch:
    return TrainingSearch(
        question.shop,
        question.job,
        question.terms,
        accelerators=question.accelerators,
        ways=question.ways,
        objective=question.objective,
        rented_network=question.rented_network,
    )


def _answer(question: _Question) -> _Answer:
    search = _search(question)
    best = search.best(question.top)
    ways: dict[Way, FoundRun] = {}
    for way in ("own", "rent"):
        known = [build for build in best if build.kit.way == way] or search.best(1, way)
        if known:
            ways[way] = known[0]
    return _Answer(best, ways, search.count)


def _alternatives(shop: Shop, ways: Mapping[Way, FoundRun], terms: Terms) -> Iterator[Alternative]:
    """Renting beside the best build to own."""
    rent, own = ways.get("rent"), ways.get("own")
    if rent is None:
        return
    card = rent.kit.machine.accelerator.id
    price = shop.rental(card)
    assert price is not None  # it was rented at that price
    usd, paid = rent.figures["usd_per_million_tokens"], float("inf")
    if own is not None:
        ownership = terms.ownership
        running = electricity_usd_per_s(own.figures["average_power_w"], ownership.usd_per_kwh)
        running += hosting_usd_per_s(own.figures["rated_w"], ownership.usd_per_kw_month)
        # The rent of as many tokens as the own hardware trains on in a second.
        paid = float(
            break_even_s(own.figures["capital_usd"], running, usd * own.figures["tokens_per_s"] / 1e6)
        )
    yield Alternative(
        name=f"rent {rent.figures['accelerators']:,.0f} x {card}",
        usd_per_million_tokens=usd,
        break_even_s=paid,
        date=price.date,
        source=f"{price.provider}: {price.source}" if price.provider else price.source,
        stale=is_stale(price, shop.today),
    )


def _changes(shop: Shop, best: FoundRun, terms: Terms) -> Iterator[CostChange]:
    """What the best build's tokens cost if one thing changes and the build stays as it is."""
    own, card = terms.ownership, best.kit.machine.accelerator.id
    before = best.figures["usd_per_million_tokens"]
    asked: list[tuple[str, Kit, Terms]] = []
    if best.kit.way == "own":
        asked += [
            ("electricity at half the price", best.kit, with_price(terms, usd_per_kwh=own.usd_per_kwh / 2)),
            ("electricity at twice the price", best.kit, with_price(terms, usd_per_kwh=own.usd_per_kwh * 2)),
            ("a year less of use", best.kit, with_price(terms, years=max(own.years - 1, 0.5))),
            ("a year more of use", best.kit, with_price(terms, years=own.years + 1)),
        ]
    if not best.kit.machine.included:
        for factor, words in ((0.8, "20% cheaper"), (1.2, "20% dearer")):
            kit = dataclasses.replace(
                best.kit,
                card_usd=best.kit.card_usd * factor,
                card_usd_per_hour=best.kit.card_usd_per_hour * factor,
            )
            asked.append((f"{card} {words}", kit, terms))
    for what, kit, under in asked:
        priced = run_priced(Kits([kit], shop), round(best.figures["hosts"]), best.estimate, under)
        usd = run_figures(priced, 0, best.estimate)["usd_per_million_tokens"]
        yield CostChange(what=what, usd_per_million_tokens=usd, factor=usd / before if before else 1.0)


def _miss(question: _Question) -> str:
    """Which single limit is in the way: what the best build would do without it."""
    limits = question.terms.limits
    helped = []
    for name, (what, aim) in LIMITS.items():
        if not getattr(limits, name):
            continue
        freed = dataclasses.replace(question.terms, limits=dataclasses.replace(limits, **{name: 0}))
        if aim == "capital" and question.ways != "own":
            aim = question.objective
        found = _search(dataclasses.replace(question, terms=freed, objective=aim)).best(1)
        if found:
            value = found[0].figures[name.removeprefix("most_")]
            helped.append(f"without the limit on {what}, {found[0].kind[0]} would do ({_shown(name, value)})")
    return "; ".join(helped) or "no single limit is in the way: loosen several, or allow more hosts"


def _shown(name: str, value: float) -> str:
    if name == "run_s":
        return format_seconds(value)
    if name == "power_w":
        return format_quantity(value, "W")
    if name == "most_accelerators":
        return f"{value:,.0f}"
    if name == "usd_per_s":
        return f"{format_usd(value * 3600)} an hour"
    return format_usd(value)
