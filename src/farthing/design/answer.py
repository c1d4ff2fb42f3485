"""The answer about serving: the best builds, what else there is, and what would change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, get_args

import numpy as np

from farthing import catalog
from farthing.catalog.cluster import intra_link
from farthing.design.alternatives import alternatives, load_curve, with_demand, with_price
from farthing.design.bill import build
from farthing.design.copies import Task
from farthing.design.kits import KitFinder
from farthing.design.pricing import Terms
from farthing.design.serving import OBJECTIVES, Count, Found, Search
from farthing.design.shared import Question, answered
from farthing.design.shop import Shop
from farthing.errors import Infeasible, InvalidInput
from farthing.estimate.engine import refusals, usual_engine
from farthing.records.design import (
    CostChange,
    Demand,
    DesignLimits,
    DesignObjective,
    DesignResult,
    Ownership,
    Ways,
)
from farthing.records.hardware import Accelerator, Cluster, HostGroup
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import Removed
from farthing.records.workload import InferenceWorkload
from farthing.search.rank import thinned

MANY_HOSTS: Final = 512
"""That are tried where the limit's do not do."""


def design_serving(
    shop: Shop,
    model: Model,
    workload: InferenceWorkload,
    plans: Sequence[InferencePlan],
    *,
    demand: Demand,
    limits: DesignLimits,
    ownership: Ownership,
    ways: Ways = "either",
    objective: DesignObjective = "usd",
    accelerators: Sequence[str] = (),
    top: int = 10,
    front: Sequence[DesignObjective] = (),
    ideal: bool = False,
    workers: int = 1,
) -> DesignResult:
    """The best builds that serve a model.

    Parameters
    ----------
    shop
        What is on offer.
    model, workload
        What is served; the batch is searched.
    plans
        One for each combination of formats and engine; without an engine the usual one for each accelerator.
    demand, limits, ownership, ways
        What is asked, and under which terms.
    objective
        What is best.
    accelerators
        Only these; empty for all.
    top
        Builds that are returned, each of another accelerator or way of paying.
    front
        Two or three objectives whose Pareto front is returned too.
    ideal
        Paper arithmetic.
    workers
        Processes that share the search; more than one needs a script that guards its entry.

    Raises
    ------
    InvalidInput
        Questions that contradict themselves.
    """
    _check(demand, limits, ways, objective, front, top)
    longest = workload.longest_context_tokens
    if model.max_context and longest > model.max_context:
        raise InvalidInput(
            f"prompt and answer are {longest:,} tokens, more than the context of {model.id}, "
            f"{model.max_context:,}: ask for shorter ones"
        )
    terms = Terms(demand=demand, limits=limits, ownership=ownership)
    names = accelerators or tuple(shop.accelerators)
    tasks = {
        name: tuple(_tasks(model, workload, plans, shop.accelerators[name], shop, ideal)) for name in names
    }
    question = Question(
        shop=shop,
        tasks=tasks,
        terms=terms,
        ways=ways,
        objective=objective,
        front=tuple(front),
        top=top,
    )
    answer = answered(question, workers)
    found, own, rent = answer.best, answer.ways.get("own"), answer.ways.get("rent")
    kept = [answer.front[place] for place in thinned(np.arange(len(answer.front))).tolist()]
    return DesignResult(
        task="inference",
        model=model.id,
        objective=objective,
        demand=demand,
        limits=limits,
        ownership=ownership,
        ways=ways,
        condition=shop.condition,
        candidates=answer.count.candidates,
        evaluated=answer.count.evaluated,
        removed=tuple(Removed(rule=rule, candidates=count) for rule, count in answer.count.removed.items()),
        best=tuple(build(shop, one, terms) for one in found),
        front_objectives=tuple(front),
        front=tuple(build(shop, one, terms) for one in kept),
        alternatives=alternatives(shop, model, workload, terms, own=own, rent=rent),
        load_curve=load_curve(own, rent, terms) if found else (),
        sensitivity=tuple(_changes(shop, tasks, terms, ways, objective, found[0])) if found else (),
        miss="" if found else _miss(shop, tasks, terms, ways, objective, answer.count),
    )


def _check(
    demand: Demand,
    limits: DesignLimits,
    ways: Ways,
    objective: DesignObjective,
    front: Sequence[DesignObjective],
    top: int,
) -> None:
    known = tuple(OBJECTIVES)
    for name in ("run_s", "run_usd"):
        if getattr(limits, name):
            raise InvalidInput(f"limits: {name} is for training; serving has ttft_s, tpot_s and others")
    for name in (objective, *front):
        if name not in known:
            raise InvalidInput(f"no objective {name!r}; there are {', '.join(known)}")
    if front and not 2 <= len(set(front)) == len(front) <= 3:
        raise InvalidInput("a front is of two or three objectives; write e.g. usd,tpot")
    if ways not in get_args(Ways):
        raise InvalidInput(f"ways must be own, rent or either, not {ways!r}")
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"top must be a whole number of at least 1, not {top!r}")
    bounded = limits.capital_usd or limits.usd_per_s or limits.power_w or limits.most_accelerators
    if not demand.tokens_per_s and not (objective == "tokens-per-s" and bounded):
        raise InvalidInput(
            "state the demand (tokens_per_s, --tokens-per-s); or ask for the most tokens a second "
            "(objective tokens-per-s) within a limit on capital, money an hour, power or accelerators"
        )
    if demand.tokens_per_s and "tokens-per-s" in (objective, *front):
        raise InvalidInput(
            "a demand says how many tokens a second there are: leave out tokens_per_s to ask for the most of "
            "them within a limit, or ask for another objective than tokens-per-s"
        )
    if objective == "capital" and ways != "own":
        raise InvalidInput(
            "what is rented takes no capital: ask for ways own (--buy) with the objective capital"
        )


def _tasks(
    model: Model,
    workload: InferenceWorkload,
    plans: Sequence[InferencePlan],
    card: Accelerator,
    shop: Shop,
    ideal: bool,
) -> Iterator[Task]:
    """The plans that some engine runs on an accelerator."""
    cluster = Cluster(
        name=card.id,
        groups=(
            HostGroup(
                hosts=1,
                accelerators_per_host=1,
                accelerator=card,
                intra_link=intra_link(card, None, shop.links),
            ),
        ),
    )
    for plan in plans:
        engine = plan.engine
        if not engine and not ideal:
            engine = usual_engine(cluster, plan.weight_format).id
        chosen = dataclasses.replace(plan, engine=engine)
        if engine and any(asked for _, asked in refusals(catalog.engine(engine), cluster, chosen)):
            continue
        yield Task(model=model, workload=workload, plan=chosen, ideal=ideal)


def _changes(
    shop: Shop,
    tasks: Mapping[str, Sequence[Task]],
    terms: Terms,
    ways: Ways,
    objective: DesignObjective,
    best: Found,
) -> Iterator[CostChange]:
    """What the tokens of the best accelerator cost if one thing changes, the build adapted to it."""
    name, way = best.kind
    before = best.figures["usd_per_million_tokens"]
    card = {name: tasks[name]}
    # What is sold with its cards has one price for all.
    machine = best.kit.machine
    item = machine.host.id if machine.included and machine.host else name
    price = shop.price(item) if way == "own" else shop.rental(name)
    own = terms.ownership
    asked: list[tuple[str, Shop, Terms]] = []
    if way == "own":
        asked += [
            ("electricity at half the price", shop, with_price(terms, usd_per_kwh=own.usd_per_kwh / 2)),
            ("electricity at twice the price", shop, with_price(terms, usd_per_kwh=own.usd_per_kwh * 2)),
            ("a year less of use", shop, with_price(terms, years=max(own.years - 1, 0.5))),
            ("a year more of use", shop, with_price(terms, years=own.years + 1)),
        ]
    if price is not None:
        for factor, words in ((0.8, "20% cheaper"), (1.2, "20% dearer")):
            asked.append((f"{item} {words}", shop.at_price(item, price.usd * factor, way), terms))
    if terms.demand.tokens_per_s:
        asked += [
            ("half the demand", shop, with_demand(terms, 0.5)),
            ("twice the demand", shop, with_demand(terms, 2.0)),
        ]
    # Small changes leave the parts that are worth a look what they are.
    finder = KitFinder(shop, terms, way, {objective})
    for what, changed, under in asked:
        kits = None if item in changed.given_usd and item != name else finder.at(changed)
        again = Search(changed, card, under, ways=way, objective=objective, finder=kits).best(1)
        if again:
            usd = again[0].figures["usd_per_million_tokens"]
            yield CostChange(what=what, usd_per_million_tokens=usd, factor=usd / before)


def _miss(
    shop: Shop,
    tasks: Mapping[str, Sequence[Task]],
    terms: Terms,
    ways: Ways,
    objective: DesignObjective,
    count: Count,
) -> str:
    """Which single limit is in the way: what the best build would do without it."""
    limits = terms.limits
    if not count.candidates:
        told = [f"{rule}: {number:,}" for rule, number in count.removed.items()]
        return f"nothing is on offer: {'; '.join(told)}"
    words = {
        "ttft_s": "the time to the first token",
        "tpot_s": "the time a token",
        "capital_usd": "the capital",
        "usd_per_s": "the money an hour",
        "usd_per_million_tokens": "the price of tokens",
        "power_w": "the power",
        "most_accelerators": "the number of accelerators",
    }
    helped = []
    for name, what in words.items():
        if not getattr(limits, name):
            continue
        freed = dataclasses.replace(terms, limits=dataclasses.replace(limits, **{name: 0}))
        aim: DesignObjective = {
            "ttft_s": "ttft",
            "tpot_s": "tpot",
            "capital_usd": "capital",
            "power_w": "power",
        }.get(name, objective)  # type: ignore[assignment]
        if aim == "capital" and ways != "own":
            aim = objective
        found = Search(shop, tasks, freed, ways=ways, objective=aim).best(1)
        if found:
            value = found[0].figures.get(name.removeprefix("most_"), found[0].figures[OBJECTIVES[aim]])
            helped.append(f"without the limit on {what}, {found[0].kind[0]} would do ({_shown(name, value)})")
    more = min(8 * limits.most_hosts, MANY_HOSTS)
    if more > limits.most_hosts:
        freed = dataclasses.replace(terms, limits=dataclasses.replace(limits, most_hosts=more))
        found = Search(shop, tasks, freed, ways=ways, objective=objective).best(1)
        if found:
            hosts = found[0].figures["hosts"]
            helped.append(f"with {hosts:,.0f} hosts (--max-hosts), {found[0].kind[0]} would do")
    if helped:
        return "; ".join(helped)
    return "no single limit is in the way: loosen several, or allow more hosts"


def _shown(name: str, value: float) -> str:
    from farthing.units import format_quantity, format_seconds, format_usd

    if name.endswith("_s") and name != "usd_per_s":
        return format_seconds(value)
    if name == "power_w":
        return format_quantity(value, "W")
    if name == "most_accelerators":
        return f"{value:,.0f}"
    if name == "usd_per_s":
        return f"{format_usd(value * 3600)} an hour"
    return format_usd(value)


def refuse_nothing(found: DesignResult) -> None:
    """Raise where no build does.

    Raises
    ------
    Infeasible
        With what is in the way.
    """
    if not found.best:
        raise Infeasible(f"no build of {found.model} keeps the limits: {found.miss}")
