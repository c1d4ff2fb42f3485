"""The best plans of serving a model on a cluster, out of every legal one."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence
from typing import Any, Final, get_args

import numpy as np

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, ways
from farthing.estimate.engine import chosen_note, refusals, usual_engine
from farthing.estimate.inference import infer_estimate
from farthing.estimate.run import check, default_plan
from farthing.records.estimate import InferenceEstimate, Part
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import (
    Choice,
    InferenceObjective,
    Limits,
    NearestMiss,
    Rearranged,
    Removed,
    SearchResult,
)
from farthing.records.workload import InferenceWorkload
from farthing.search.disaggregation import best_disaggregated
from farthing.search.inference_evaluation import Evaluated, Setting, evaluated
from farthing.search.inference_ranking import (
    HEADROOM_RULE,
    MEMORY_RULE,
    REASONS,
    TTFT_RULE,
    USD_RULE,
    Ranking,
)
from farthing.search.inference_space import SIZES, Axes
from farthing.search.rank import joined, thinned
from farthing.search.rearranged import best_on_fewer, best_rearranged
from farthing.search.reasons import reasons
from farthing.search.table import Search, Table
from farthing.search.wishes import check_known, check_wishes
from farthing.units import format_bytes, format_seconds, format_usd

CHOICE_FIGURES: Final = (
    "paid_tokens_per_s",
    "tokens_per_s",
    "requests_per_s",
    "ttft_s",
    "tpot_s",
    "usd_per_million_tokens",
    "energy_per_token_j",
    "memory_bytes",
    "memory_free_bytes",
    "power_w",
)


def search_inference(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: InferencePlan,
    *,
    axes: Axes,
    objective: InferenceObjective = "tokens-per-s",
    limits: Limits | None = None,
    basis: CostBasis | None = None,
    top: int = 5,
    front: Sequence[InferenceObjective] = (),
    others: bool = True,
    ideal: bool = False,
) -> Search:
    """Evaluate every legal plan and rank them.

    Parameters
    ----------
    model, cluster, workload, plan
        What is asked; the plan holds what is not searched, such as number formats.
    axes
        Values that each axis may take; an open axis of sizes takes all, one of words the plan's.
    objective
        What is best: most tokens per second, or least of the others.
    limits
        What every plan must keep.
    basis
        How money is counted.
    top
        Plans that are returned, each of another kind.
    front
        Two or three objectives whose Pareto front is returned too.
    others
        Also look for what is told beside the best plan: one where some workers read prompts for others that
        decode, one over the machines in another order or over fewer, and the nearest that would be better.
    ideal
        Paper arithmetic.

    Returns
    -------
    Search
        The record, and all candidates as a table.

    Raises
    ------
    InvalidInput
        Objectives that there are not or that nothing is known about; no legal plan at all.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> found = search_inference(model("llama-2-70b"), parse_cluster("1x8:h100-sxm"), InferenceWorkload(),
    ...                          InferencePlan(engine="vllm"), axes=Axes.of(batch_size=1), objective="tpot")
    >>> found.best.plan.tp, found.result.evaluated + sum(r.candidates for r in found.result.removed)
    (8, 160)
    """
    began = time.perf_counter()
    limits, basis = limits or Limits(), basis or CostBasis()
    check_wishes(objective, front, top, get_args(InferenceObjective), "tpot,usd")
    check(model, cluster, workload, InferencePlan())
    setting = Setting(
        model=model,
        cluster=cluster,
        workload=workload,
        plan=plan,
        axes=axes,
        limits=limits,
        basis=basis,
        objective=objective,
        ways=tuple(way for way in ways(cluster, basis) if way.hardware_usd_per_s > 0),
        ideal=ideal,
    )
    _check_known(setting, {objective, *front})
    words, notes = _words(setting)
    try:
        found = evaluated(setting, words)
    except InvalidInput:
        _say_what_is_illegal(setting)
        raise
    ranking = Ranking(setting, found, objective)
    if not ranking.count:
        _say_what_engines_refuse(setting, words)
        _say_what_is_illegal(setting)
        rules = ", ".join(f"{rule} ({count:,})" for rule, count in found.removed.items())
        raise InvalidInput(
            "no plan is legal with what is given: give other values, or leave some out; rules took out "
            f"{rules}"
        )
    chooser = _Chooser(setting, found, notes)
    best = [chooser.choice(row) for row in ranking.best(top)]
    result = SearchResult(
        task="inference",
        model=model.id,
        cluster=cluster.name,
        objective=objective,
        limits=limits,
        candidates=found.candidates,
        evaluated=ranking.count,
        fitting=int(ranking.fits.sum()),
        removed=tuple(Removed(rule=rule, candidates=count) for rule, count in found.removed.items()),
        broken=tuple(Removed(rule=rule, candidates=count) for rule, count in ranking.broken.items()),
        best=tuple(best),
        front_objectives=tuple(front),
        front=tuple(map(chooser.choice, thinned(ranking.front(front)).tolist())) if front else (),
        reasons=reasons(*(_times(objective, one) for one in best[:2])) if len(best) > 1 else (),
        disaggregated=best_disaggregated(setting, words, objective, notes) if others else None,
        rearranged=_rearranged(setting, words, notes, best[0] if best else None) if others else None,
        miss=_miss(setting, ranking, chooser) if others or not best else None,
    )
    return Search(result, lambda: _table(found, ranking), seconds=time.perf_counter() - began)


def _rearranged(
    setting: Setting,
    words: tuple[InferencePlan, ...],
    notes: dict[str, tuple[str, ...]],
    best: Choice | None,
) -> Rearranged | None:
    return best_rearranged(setting, words, notes, best) or best_on_fewer(setting, words, best)


def _fixed(setting: Setting) -> dict[str, Any]:
    """Sizes that have one value each."""
    axes = setting.axes
    named = (*SIZES, "micro_batches")
    fixed = {name: getattr(axes, name)[0] for name in named if len(getattr(axes, name)) == 1}
    if setting.plan.stage_layers:
        fixed.setdefault("pp", len(setting.plan.stage_layers))
    return fixed


def _say_what_engines_refuse(setting: Setting, words: Sequence[InferencePlan]) -> None:
    """Raise what engines cannot do, if none can do what has one value."""
    refused = [
        [rule for rule, asked in refusals(catalog.engine(one.engine), setting.cluster, one) if asked]
        for one in (dataclasses.replace(word, **_fixed(setting)) for word in words)
        if one.engine
    ]
    if refused and all(refused):
        rules = dict.fromkeys(rule for rules in refused for rule in rules)
        raise InvalidInput(f"{', and '.join(rules)}: choose another engine, format or split")


def _say_what_is_illegal(setting: Setting) -> None:
    """Raise what an estimate says of the sizes that have one value each, if it refuses them."""
    fixed, cluster = _fixed(setting), setting.cluster
    batch = max(setting.axes.batch_size, default=1)
    load = dataclasses.replace(setting.workload, batch_size=batch)
    plan = dataclasses.replace(setting.plan, **fixed)
    whole = default_plan(setting.model, cluster, plan, set(fixed), batch)
    if whole.tp * whole.pp * whole.dp > cluster.count:
        # Too many cards may be those of the sizes that were left out: only what is given is to blame.
        whole = plan if {"tp", "dp"} <= fixed.keys() else dataclasses.replace(plan, ep=1)
    check(setting.model, cluster, load, whole)


def _check_known(setting: Setting, wanted: set[str]) -> None:
    money = bool(setting.limits.usd_per_million_tokens)
    check_known(setting.cluster, wanted, priced=bool(setting.ways), money=money)
    for field in ("run_s", "run_usd"):
        if getattr(setting.limits, field):
            raise InvalidInput(f"limits: {field} is for training; serving has ttft_s, tpot_s and others")
    if not setting.workload.output_tokens and (wanted & {"tpot", "energy"} or setting.limits.tpot_s):
        raise InvalidInput(
            "without output_tokens there is no time or energy of an output token: give some, or use ttft, "
            "tokens-per-s, usd or memory"
        )
    batch, most = setting.axes.batch_size, setting.limits.max_batch_size
    if batch and most and min(batch) > most:
        raise InvalidInput(f"a batch_size of {min(batch):,} is above max_batch_size {most:,}: leave one out")


def _words(setting: Setting) -> tuple[tuple[InferencePlan, ...], dict[str, tuple[str, ...]]]:
    """The plan in each combination of formats and engine, and what to say of engines that nobody named."""
    plan, axes = setting.plan, setting.axes
    found: list[InferencePlan] = []
    notes: dict[str, tuple[str, ...]] = {}
    for weights, kv in itertools.product(
        axes.weight_format or (plan.weight_format,), axes.kv_format or (plan.kv_format,)
    ):
        engines = axes.engine or ((plan.engine,) if plan.engine or setting.ideal else ())
        if not engines:
            usual = usual_engine(setting.cluster, weights)
            engines, notes[usual.id] = (usual.id,), (chosen_note(usual),)
        found += [
            dataclasses.replace(plan, weight_format=weights, kv_format=kv, engine=engine)
            for engine in engines
        ]
    return tuple(found), notes


class _Chooser:
    """Full estimates of rows; each is made once."""

    def __init__(self, setting: Setting, found: Evaluated, notes: dict[str, tuple[str, ...]]) -> None:
        self.setting, self.found, self.notes = setting, found, notes
        self.made: dict[int, Choice] = {}

    def choice(self, row: int) -> Choice:
        if row not in self.made:
            plan, batch = self.found.plan(row)
            setting = self.setting
            estimate = infer_estimate(
                setting.model,
                setting.cluster,
                dataclasses.replace(setting.workload, batch_size=batch),
                plan,
                basis=setting.basis,
                ideal=setting.ideal,
                assumed=self.notes.get(plan.engine, ()),
            )
            figures = {name: float(self.found.columns[name][row]) for name in CHOICE_FIGURES}
            if not setting.workload.output_tokens:
                del figures["tpot_s"]
            known = {name: value for name, value in figures.items() if np.isfinite(value)}
            self.made[row] = Choice(inference=estimate, figures=known)
        return self.made[row]


def _times(objective: str, choice: Choice) -> dict[str, float]:
    """Parts of the time to the first token, of a token, or of the whole cluster's for each token put out."""
    estimate = choice.inference
    assert estimate is not None  # the task is inference
    load = estimate.workload
    if objective == "ttft" or not load.output_tokens:
        return _named(estimate.prefill, 1.0)
    steps = _named(estimate.decode, estimate.tpot_s / sum(part.value for part in estimate.decode))
    if objective in ("tpot", "memory"):
        return steps
    written = max(load.output_tokens - 1, 0) / load.output_tokens / load.batch_size
    reading = estimate.batch_prefill_s / load.batch_size / load.output_tokens
    return {"reading the prompts": reading} | {part: value * written for part, value in steps.items()}


def _named(parts: Sequence[Part], factor: float) -> dict[str, float]:
    return {part.name: part.value * factor for part in parts}


def _miss(setting: Setting, ranking: Ranking, chooser: _Chooser) -> NearestMiss | None:
    row = ranking.nearest_miss()
    if row is None:
        return None
    choice = chooser.choice(row)
    estimate = choice.inference
    assert estimate is not None  # the task is inference
    broken = [rule for rule, excess in zip(REASONS, ranking.excess[row], strict=True) if excess > 0]
    if MEMORY_RULE in broken:
        # A card without room has no headroom either.
        broken = [rule for rule in broken if rule != HEADROOM_RULE]
    breaks, help_with = joined([_broken(setting, estimate, choice.figures, rule) for rule in broken])
    return NearestMiss(choice=choice, breaks=breaks, would_help=help_with)


def _broken(
    setting: Setting, estimate: InferenceEstimate, figures: dict[str, float], reason: str
) -> tuple[str, tuple[str, ...]]:
    """How a plan breaks a limit, and what would make it keep it."""
    limits = setting.limits
    if reason == MEMORY_RULE:
        missing, _, advice = estimate.misfit.partition("; would fit: ")
        return missing, tuple(one for one in advice.split(", or ") if one)
    free = estimate.memory.free_bytes
    if reason == HEADROOM_RULE:
        wanted = format_bytes(limits.headroom_share * estimate.memory.capacity_bytes, binary=True)
        return (
            f"leaves {format_bytes(free, binary=True)} of a card free, not {wanted}",
            (f"a headroom of {free / estimate.memory.capacity_bytes:.1%}",),
        )
    if reason == USD_RULE:
        price, most = figures["usd_per_million_tokens"], limits.usd_per_million_tokens
        return (
            f"costs {format_usd(price)} a million tokens, not {format_usd(most)}",
            (f"a limit of {format_usd(price)}", f"hardware for {100 * most / price:.3g}% of the price"),
        )
    if reason == TTFT_RULE:
        took, limit, what, parts = estimate.ttft_s, limits.ttft_s, "to the first token", estimate.prefill
    else:
        took, limit, what, parts = estimate.tpot_s, limits.tpot_s, "a token", estimate.decode
    longest = max(parts, key=lambda part: part.value)
    return (
        f"takes {format_seconds(took)} {what}, not {format_seconds(limit)}",
        (f"a limit of {format_seconds(took)} {what}", f"less time for {longest.name}"),
    )


def _table(found: Evaluated, ranking: Ranking) -> Table:
    """Inputs in words and figures of all evaluated candidates."""
    columns = dict(found.columns)
    if not columns:
        return Table({})
    columns.pop("split")
    words, cut = columns.pop("words"), columns.pop("cut")
    named = {
        name: np.array([getattr(plan, name) for plan in found.words])[words]
        for name in ("weight_format", "kv_format", "engine")
    }
    if any(found.cuts):
        stages = [" ".join(map(str, layers)) for layers in found.cuts]
        named["stage_layers"] = np.array(stages)[cut]
    sizes = {name: columns.pop(name) for name in (*SIZES, "micro_batches", "chunk_tokens", "batch_size")}
    return Table(named | sizes | columns | {"fits": ranking.fits, "reason": ranking.reasons})
