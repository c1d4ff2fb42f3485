"""What the edges ask of the front door: the best plan of a question, or the one that is given; a load."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from farthing import api
from farthing.errors import Infeasible, InvalidInput
from farthing.records.cluster_comparison import ClusterPlan
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch
from farthing.records.model import Model
from farthing.records.search import Limits, SearchResult, Task

LIMITS: Final = frozenset(field.name for field in dataclasses.fields(Limits))

_MONEY: Final = frozenset(field.name for field in dataclasses.fields(api.CostBasis))


def plan(
    model: str | Model,
    cluster: str | Cluster,
    *,
    task: Task = "inference",
    search: bool = True,
    explain: bool = False,
    front: str | Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    **asked: Any,
) -> tuple[Any, SearchResult | None]:
    """The estimate of the best plan, or of the nearest that does not do, and what else the search found.

    Parameters
    ----------
    model, cluster, task, front, progress, workers
        As in `farthing.search`.
    search
        Search what is left out of the plan; else it takes its default, and there is no search result.
    explain
        Carry the derivation in the estimate's ``terms``.
    **asked
        As in `farthing.search`; without a wish beyond the load, serving is of one sequence.

    Returns
    -------
    tuple
        An `InferenceEstimate` or a `TrainingEstimate`, and a `SearchResult` or None.

    Raises
    ------
    InvalidInput
        As `farthing.search`; an objective, a limit or a choice without a search.
    Infeasible
        No plan at all can be evaluated.

    Examples
    --------
    >>> estimate, found = plan("llama-2-70b", "1x8:h100-sxm")
    >>> estimate.fits, estimate.plan.tp, found.evaluated > 5
    (True, 8, True)
    >>> estimate, found = plan("llama-2-70b", "1x8:h100-sxm", search=False, tp=4, dp=2, batch_size=2)
    >>> estimate.plan.dp, found
    (2, None)
    """
    one: Any = api.train if task == "training" else api.infer
    fronts = (front,) if isinstance(front, str) else tuple(front)
    if not search:
        _refuse_choices(asked, fronts)
        return one(model, cluster, explain=explain, **asked), None
    wishes = {"objective", *LIMITS} & asked.keys()
    if task == "inference" and not wishes and not fronts:
        asked.setdefault("batch_size", 1)
    result = api.search(
        model, cluster, task=task, front=fronts, progress=progress, workers=workers, **asked
    ).result
    chosen = result.best[0] if result.best else result.miss.choice if result.miss else None
    if chosen is None:
        raise Infeasible(f"no plan of {result.model} on {result.cluster} can be evaluated")
    estimate: Any = chosen.estimate
    if explain:
        told = one(
            model, cluster, workload=estimate.workload, plan=estimate.plan, explain=True, **priced(asked)
        )
        estimate = dataclasses.replace(estimate, terms=told.terms)
    return estimate, result


def priced(asked: Mapping[str, Any]) -> dict[str, Any]:
    """How money is counted, and whether on paper, for another question about the same plan.

    Examples
    --------
    >>> priced({"tp": 8, "years": 4.0})["cost"].years
    4.0
    """
    money = {name: value for name, value in asked.items() if name in _MONEY}
    return {"cost": api.CostBasis(**money), "ideal": asked.get("ideal", False)}


def _refuse_choices(asked: dict[str, Any], front: Sequence[str]) -> None:
    """One plan has no objective, and one value a field."""
    for name in ("objective", "top", *sorted(LIMITS)):
        if name in asked:
            raise InvalidInput(f"without a search one plan is evaluated: leave out {name}")
    if front:
        raise InvalidInput("without a search one plan is evaluated: leave out front")
    for name, value in asked.items():
        if isinstance(value, (tuple, list)) and name != "stage_layers":
            raise InvalidInput(f"without a search one plan is evaluated: give one value of {name}")


def launch_of(
    engine: str, model: Model, cluster: Cluster, estimate: Any, found: SearchResult | None
) -> Launch | None:
    """The plan of an answer as commands of an engine; None without an engine, or where no plan does.

    Examples
    --------
    >>> model, cluster = api.find_model("llama-2-7b"), api.find_cluster("rtx-4090")
    >>> launch_of("vllm", model, cluster, *plan(model, cluster)).engine
    'vllm'
    """
    if not engine or not estimate.fits or (found is not None and not found.best):
        return None
    return api.launch(engine, model, cluster, workload=estimate.workload, plan=estimate.plan)


def answer_record(estimate: Any, found: SearchResult | None, launch: Launch | None) -> Any:
    """An answer for JSON: the estimate's fields, what the search found and the commands beside them.

    Examples
    --------
    >>> estimate, found = plan("llama-2-7b", "rtx-4090")
    >>> answer_record(estimate, found, None)["search"] is found
    True
    >>> answer_record(estimate, None, None) is estimate
    True
    """
    beside = {name: one for name, one in (("search", found), ("launch", launch)) if one is not None}
    if not beside:
        return estimate
    return {field.name: getattr(estimate, field.name) for field in dataclasses.fields(estimate)} | beside


MOST_CLUSTERS: Final = 6
"""More do not stand side by side."""


def compare(
    model: str | Model, clusters: Sequence[str | Cluster], *, curves: bool = True, **asked: Any
) -> tuple[ClusterPlan, ...]:
    """What each cluster does with a model by its best plan, beside the first.

    Parameters
    ----------
    model
        As in `farthing.infer`.
    clusters
        At most six.
    curves
        What each plan does with other batches.
    **asked
        As in `plan`, of serving.

    Returns
    -------
    tuple of ClusterPlan
        In the order of the clusters.

    Raises
    ------
    InvalidInput
        No cluster, more than six, options that make no sense.

    Examples
    --------
    >>> ours, theirs = compare("llama-2-70b", ["1x8:rtx-4090", "1x8:h100-sxm"], batch_size=16)
    >>> ours.does, 1 < theirs.relative["tokens_per_s"] < 10
    (True, True)
    """
    named = list(clusters)
    if not 1 <= len(named) <= MOST_CLUSTERS:
        raise InvalidInput(f"compare one to {MOST_CLUSTERS} clusters, not {len(named)}")
    shape = api.find_model(model) if isinstance(model, str) else model
    machines = [api.find_cluster(one) if isinstance(one, str) else one for one in named]
    names = [one if isinstance(one, str) else one.name for one in named]
    plans = [_cluster_plan(shape, *pair, asked) for pair in zip(names, machines, strict=True)]
    first = _figures(plans[0])
    found = tuple(
        dataclasses.replace(
            one,
            relative={name: value / first[name] for name, value in _figures(one).items() if first.get(name)},
        )
        for one in plans
    )
    return with_curves(shape, machines, found, **asked) if curves else found


def with_curves(
    model: Model, clusters: Sequence[Cluster], plans: Sequence[ClusterPlan], **asked: Any
) -> tuple[ClusterPlan, ...]:
    """What `compare` gave without curves, and what each plan does with other batches.

    Examples
    --------
    >>> model, cluster = api.find_model("llama-2-7b"), api.find_cluster("rtx-4090")
    >>> plans = compare(model, [cluster], curves=False)
    >>> with_curves(model, [cluster], plans) == compare(model, [cluster])
    True
    """
    return tuple(
        dataclasses.replace(
            one,
            curve=api.batch_curve(
                model, cluster, workload=one.estimate.workload, plan=one.estimate.plan, **priced(asked)
            ),
        )
        if one.estimate is not None and one.estimate.fits
        else one
        for one, cluster in zip(plans, clusters, strict=True)
    )


def _cluster_plan(model: Model, name: str, machines: Cluster, asked: Mapping[str, Any]) -> ClusterPlan:
    try:
        only: dict[str, Any] = {} if asked.get("search") is False else {"top": 1, "others": False}
        estimate, found = plan(model, machines, **asked, **only)
    except Infeasible as error:
        return ClusterPlan(cluster=name, breaks=str(error))
    breaks = "" if estimate.fits else estimate.misfit
    if found is not None and not found.best and found.miss:
        breaks = found.miss.breaks
    return ClusterPlan(cluster=name, estimate=estimate, breaks=breaks)


_COMPARED: Final = (
    "tokens_per_s",
    "tokens_per_s_per_sequence",
    "served_tokens_per_s",
    "tpot_s",
    "ttft_s",
    "power_w",
    "energy_per_token_j",
)


def _figures(one: ClusterPlan) -> dict[str, float]:
    """What clusters are compared by; unknown figures are left out."""
    if one.estimate is None or not one.does:
        return {}
    figures = {name: float(getattr(one.estimate, name)) for name in _COMPARED}
    for cost in one.estimate.costs:
        figures[f"{cost.way}_usd_per_s"] = cost.usd_per_s
        figures[f"{cost.way}_usd_per_million_tokens"] = cost.usd_per_million_tokens
    return {name: value for name, value in figures.items() if value}


# Loads of a simulated service ----------------------------------------------------------------------------

Seek = Literal["", "rate", "replicas"]

_OF_ARRIVALS: Final = {
    "requests_per_s": ("--rate", ("poisson", "gamma", "diurnal", "trace")),
    "burstiness": ("--burstiness", ("gamma",)),
    "swing": ("--swing", ("diurnal",)),
    "day_s": ("--day", ("diurnal",)),
    "users": ("--users", ("closed",)),
    "think_s": ("--think", ("closed",)),
    "trace": ("--trace", ("trace",)),
    "prompt": ("--prompt", ("poisson", "gamma", "diurnal", "closed")),
    "output": ("--output", ("poisson", "gamma", "diurnal", "closed")),
}
"""Options that only some arrivals have."""


def serving_load(question: Mapping[str, Any], seek: Seek = "") -> dict[str, Any]:
    """The question of a simulated service, the arrivals that follow from it filled in.

    Parameters
    ----------
    question
        Fields as `farthing.simulate_serving` takes them.
    seek
        What is sought.

    Raises
    ------
    InvalidInput
        A question that says two things, or nothing.

    Examples
    --------
    >>> serving_load({"requests_per_s": 2.0, "burstiness": 3.0})["arrivals"]
    'gamma'
    """
    asked = dict(question)
    search = {"": "", "rate": "--find-rate", "replicas": "--size"}[seek]
    if seek == "replicas" and (asked.get("prefill") or asked.get("decode")):
        raise InvalidInput("--size counts like replicas: with --prefill and --decode use --find-rate")
    for name, implied in (
        ("trace", "trace"),
        ("users", "closed"),
        ("burstiness", "gamma"),
        ("swing", "diurnal"),
        ("day_s", "diurnal"),
    ):
        if name in asked:
            asked.setdefault("arrivals", implied)
    arrivals = asked.setdefault("arrivals", "poisson")
    if search and arrivals == "closed":
        raise InvalidInput(
            f"{search} needs requests that come at a rate, and users who wait for their answers set it "
            "themselves: leave --users out"
        )
    if "users" in asked and "requests_per_s" in asked:
        raise InvalidInput("users who wait for their answers set the rate themselves: give --users or --rate")
    for name, (spelled, kinds) in _OF_ARRIVALS.items():
        if name in asked and arrivals not in kinds:
            raise InvalidInput(
                f"{spelled} means nothing to {arrivals} arrivals: {_way_out(name, arrivals, kinds)}"
            )
    if arrivals == "closed" and "users" not in asked:
        raise InvalidInput("--arrivals closed needs --users, e.g. --users 64")
    if arrivals == "trace" and "trace" not in asked:
        raise InvalidInput("--arrivals trace needs --trace with the file of the requests")
    if arrivals not in ("closed", "trace") and "requests_per_s" not in asked and seek != "rate":
        raise InvalidInput(
            "say how requests come: give --rate 5 (a second), --users 64, --trace FILE, or --find-rate"
        )
    if "trace_columns" in asked and "trace" not in asked:
        raise InvalidInput("--trace-columns says where a file keeps what: name it with --trace")
    if "prefix_share" in asked and not asked.get("prefix_groups"):
        raise InvalidInput("--prefix-share needs --prefix-groups, how many beginnings there are")
    if search and not any(name in asked for name in ("ttft_s", "tpot_s", "e2e_s")):
        raise InvalidInput(f"{search} needs objectives: give --ttft, --tpot or --e2e, e.g. --ttft 1s")
    if "share" in asked and not any(name in asked for name in ("ttft_s", "tpot_s", "e2e_s")):
        raise InvalidInput("--share is of requests that keep objectives: give --ttft, --tpot or --e2e too")
    return asked


def _way_out(name: str, arrivals: str, kinds: tuple[str, ...]) -> str:
    if arrivals == "trace":
        return "its requests tell it themselves; leave it out"
    return f"use it with --arrivals {' or '.join(kinds)}" if len(kinds) < 3 else "leave it out"
