"""The front of the serving simulation: a question in plain arguments, and what happened."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis
from farthing.estimate.disaggregated import with_engines
from farthing.estimate.disaggregated_text import disaggregated_plan
from farthing.estimate.engine import with_engine
from farthing.estimate.run import default_plan
from farthing.estimate.subject import filled, plain, refuse_unknown
from farthing.records.hardware import Cluster
from farthing.records.lengths_text import parse_lengths
from farthing.records.model import Model
from farthing.records.plan import DisaggregatedPlan, InferencePlan
from farthing.records.serving import Front, Lengths, Objectives, Scheduler, ServingResult, Traffic
from farthing.records.workload import InferenceWorkload
from farthing.simulate.serving.counting import Counting, expected
from farthing.simulate.serving.deployed import Deployed, deployed, scheduler_of, unfitted
from farthing.simulate.serving.measures import Watcher
from farthing.simulate.serving.play import play
from farthing.simulate.serving.rate import find_rate, find_replicas
from farthing.simulate.serving.trace import Trace, read_trace

Seek = Literal["", "rate", "replicas"]

_ENDLESS = 1 << 40
"""A batch that asks for as many replicas as the cards allow."""


def simulate_serving(
    model: Model,
    cluster: Cluster,
    *,
    plan: InferencePlan | DisaggregatedPlan | None = None,
    workload: InferenceWorkload | None = None,
    traffic: Traffic | None = None,
    trace: str | Path | Trace | None = None,
    trace_columns: Mapping[str, str] | None = None,
    scheduler: Scheduler | str | None = None,
    front: Front | None = None,
    objectives: Objectives | None = None,
    cost: CostBasis | None = None,
    seek: Seek = "",
    warm_up: int = 0,
    ideal: bool = False,
    watchers: Sequence[Watcher] = (),
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> ServingResult:
    """Requests played against a planned service, pass by pass.

    Parameters
    ----------
    model, cluster
        What is served on what.
    plan
        Of one kind of replica, ``dp`` of them; or of workers that read prompts and others that decode. Sizes
        that are left out follow from the cluster, which is filled with replicas.
    workload
        Drafting and the popularity of experts; sizes are not taken from it.
    traffic
        What comes; by default made from ``options``.
    trace, trace_columns
        A file of recorded requests, and which of its columns are which, where it is of no known layout.
    scheduler
        How passes are put together: an id of the catalogue's, a record, or by default the engine's own, with
        fields from ``options``.
    front, objectives, cost
        Records; by default made from ``options``.
    seek
        ``rate``: the highest rate that keeps the objectives; ``replicas``: the fewest replicas that keep them
        at the rate given.
    warm_up
        Requests at the beginning that count in no latency.
    ideal
        Paper arithmetic.
    watchers
        Told of every pass and request, of a search only of those of the run that it found; see
        `farthing.simulate.serving.measures.Watcher`.
    progress
        Told with each request that ends how many have ended in the run, and how many will come, 0 where that
        is open.
    **options
        Any field of `InferencePlan`, `Traffic`, `Scheduler`, `Front`, `Objectives`, `CostBasis` and of the
        workload but its sizes; ``prompt_tokens`` and ``output_tokens`` are fixed lengths, ``prompt`` and
        ``output`` may be texts such as ``lognormal:1000:0.8``. Texts ``prefill`` and ``decode`` such as
        ``tp=2,dp=2``, with ``prefill_pool`` and ``decode_pool`` such as ``1x4``, make a plan of two sides.

    Returns
    -------
    ServingResult

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, questions that contradict themselves.
    Infeasible
        A plan that does not fit; objectives that no load keeps.
    """
    options = {name: plain(value) for name, value in options.items()}
    if seek not in get_args(Seek):
        raise InvalidInput(f"seek must be rate, replicas or empty, not {seek!r}")
    if isinstance(warm_up, bool) or not isinstance(warm_up, int) or warm_up < 0:
        raise InvalidInput(f"warm_up must be a whole number of at least 0, not {warm_up!r}")
    # Words that several records know, in the order of who means them here.
    played = trace if isinstance(trace, Trace) or trace is None else read_trace(trace, columns=trace_columns)
    load = _traffic(traffic, played, options, seek)
    asked = filled(objectives, Objectives, options)
    gate = filled(front, Front, options)
    basis = filled(cost, CostBasis, options)
    drafting = filled(workload, InferenceWorkload, options)
    if plan is None:
        plan = disaggregated_plan(options, cluster, model.native_format)
    chosen = set(options) & {"tp", "pp", "dp"}
    split, notes = _plan(model, cluster, plan, options, chosen, ideal=ideal)
    engine = split.decode.engine if isinstance(split, DisaggregatedPlan) else split.engine
    puts, scheduling = _scheduler(scheduler, engine, cluster, options, ideal=ideal)
    refuse_unknown(
        options, InferencePlan, Traffic, Scheduler, Front, Objectives, CostBasis, InferenceWorkload
    )
    coming = load.requests or (played.requests if played else 0)
    if coming and warm_up >= coming:
        raise InvalidInput(f"warm_up={warm_up:,} leaves none of {coming:,} requests to measure; lower it")
    typical = _typical_tokens(load, played)
    made = deployed(
        model,
        cluster,
        split,
        puts,
        drafting,
        typical_tokens=typical,
        ideal=ideal,
        notes=(*notes, *scheduling),
    )

    counting = () if progress is None else (Counting(progress, expected(load, played)),)

    def run(of: Deployed, at: Traffic, told: Sequence[Watcher] = ()) -> ServingResult:
        for one in counting:
            one.restart()
        return play(
            of,
            at,
            front=gate,
            objectives=asked,
            basis=basis,
            trace=played,
            warm_up=warm_up,
            watchers=(*counting, *told),
        )

    if not seek:
        return run(made, load, watchers)
    sought = find_rate if seek == "rate" else find_replicas
    found = sought(made, load, asked, run)
    if watchers:
        # The same once more, now that it is known which run is the answer.
        sized = dataclasses.replace(made, replicas=found.replicas - found.prefill_replicas)
        run(sized, found.traffic, watchers)
    return found


def _traffic(traffic: Traffic | None, trace: Trace | None, options: dict[str, Any], seek: Seek) -> Traffic:
    """The load; fixed lengths may be plain numbers of tokens."""
    for name in ("prompt", "output"):
        tokens = options.pop(f"{name}_tokens", None)
        if tokens is not None:
            options[name] = Lengths(tokens=tokens)
        if isinstance(options.get(name), str):
            options[name] = parse_lengths(options[name])
    if traffic is None:
        if trace is not None:
            options.setdefault("arrivals", "trace")
        elif options.get("users"):
            options.setdefault("arrivals", "closed")
        if seek == "rate" and options.get("arrivals") != "closed" and trace is None:
            # Where the search begins.
            options.setdefault("requests_per_s", 1.0)
    load = filled(traffic, Traffic, options)
    if load.arrivals == "trace" and trace is None:
        raise InvalidInput("arrivals from a trace need one: give trace, the path of a file")
    if load.arrivals != "trace" and trace is not None:
        raise InvalidInput(f"a trace has its own arrivals: leave out arrivals={load.arrivals}")
    return load


def _plan(
    model: Model,
    cluster: Cluster,
    plan: InferencePlan | DisaggregatedPlan | None,
    options: dict[str, Any],
    chosen: set[str],
    *,
    ideal: bool,
) -> tuple[InferencePlan | DisaggregatedPlan, tuple[str, ...]]:
    """A complete plan, and what it assumes."""
    if isinstance(plan, DisaggregatedPlan):
        return (plan, ()) if ideal else with_engines(plan, cluster)
    if plan is None and model.native_format:
        options.setdefault("weight_format", model.native_format)
    split = filled(plan, InferencePlan, options)
    assumed: tuple[str, ...] = ()
    if not ideal:
        split, assumed = with_engine(split, cluster)
    if plan is None:
        split = default_plan(model, cluster, split, chosen, _ENDLESS)
    return split, assumed


def _scheduler(
    scheduler: Scheduler | str | None,
    engine: str,
    cluster: Cluster,
    options: dict[str, Any],
    *,
    ideal: bool,
) -> tuple[Scheduler, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if isinstance(scheduler, str):
        # The name of an engine stands for its default on such cards.
        usual = catalog.usual_scheduler(scheduler, cluster.groups[0].accelerator)
        found = usual or catalog.scheduler(scheduler)
    elif scheduler is None:
        found, notes = scheduler_of(engine, cluster)
    else:
        found = scheduler
    return filled(unfitted(found) if ideal else found, Scheduler, options), notes


def _typical_tokens(traffic: Traffic, trace: Trace | None) -> float:
    """Of a request in the cache, once it is answered."""
    if trace is not None:
        return max(trace.mean_prompt + trace.mean_output, 1.0)
    return traffic.prompt.tokens + traffic.output.tokens
