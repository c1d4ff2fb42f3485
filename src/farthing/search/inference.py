"""The best plans of serving a model on a cluster, out of every legal one."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, ways
from farthing.estimate.engine import chosen_note, usual_engine
from farthing.estimate.inference import infer_estimate
from farthing.estimate.run import check
from farthing.records.estimate import InferenceEstimate, Part
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import (
    Choice,
    InferenceObjective,
    Limits,
    NearestMiss,
    Reason,
    Removed,
    SearchResult,
)
from farthing.records.workload import InferenceWorkload
from farthing.search.inference_evaluation import Evaluated, Setting, evaluated
from farthing.search.inference_space import SIZES, Axes
from farthing.search.rank import best_of_each, pareto_front
from farthing.search.table import Column, Search, Table
from farthing.units import format_bytes, format_seconds, format_usd

OBJECTIVES: Final = {
    "tokens-per-s": ("paid_tokens_per_s", -1.0),
    "ttft": ("ttft_s", 1.0),
    "tpot": ("tpot_s", 1.0),
    "usd": ("usd_per_million_tokens", 1.0),
    "energy": ("energy_per_token_j", 1.0),
    "memory": ("memory_total_bytes", 1.0),
}
"""The figure that each objective looks at, and 1 where less is better. Tokens per second are those put out
with their prompts read in between, which is also what money is counted by."""

CHOICE_FIGURES: Final = (
    "paid_tokens_per_s",
    "tokens_per_s",
    "requests_per_s",
    "ttft_s",
    "tpot_s",
    "usd_per_million_tokens",
    "energy_per_token_j",
    "memory_total_bytes",
    "memory_free_bytes",
    "power_w",
)
FRONT: Final = 32
"""Most plans of a front that are estimated in full; a longer front keeps its ends and is thinned evenly."""

DIGITS: Final = 2.0**36
"""Figures that agree in so many parts are equal: rounding must not make a plan better."""

REASONS: Final = ("", "memory", "headroom", "ttft", "tpot", "usd")


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
    ideal
        Paper arithmetic.

    Returns
    -------
    Search
        The record, and all candidates as a table.

    Raises
    ------
    InvalidInput
        Objectives that there are not or that nothing is known about, sizes that no cards have.

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
    _check(objective, front, top)
    check(model, cluster, workload, InferencePlan())
    setting = Setting(
        model=model,
        cluster=cluster,
        workload=workload,
        plan=plan,
        axes=axes,
        limits=limits,
        basis=basis,
        ways=tuple(way for way in ways(cluster, basis) if way.hardware_usd_per_s > 0),
        ideal=ideal,
    )
    _check_known(setting, {objective, *front})
    words, notes = _words(setting)
    found = evaluated(setting, words)
    ranking = _Ranking(setting, found, objective)
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
        best=tuple(best),
        front=tuple(chooser.choice(row) for row in _thinned(ranking.front(front))) if front else (),
        reasons=_reasons(objective, *best[:2]) if len(best) > 1 else (),
        miss=_miss(setting, ranking, chooser),
        seconds=time.perf_counter() - began,
    )
    return Search(result, lambda: _table(found, ranking))


def _check(objective: str, front: Sequence[str], top: int) -> None:
    for name in (objective, *front):
        if name not in OBJECTIVES:
            raise InvalidInput(f"no objective {name!r}; there are {', '.join(get_args(InferenceObjective))}")
    if front and not (2 <= len(set(front)) == len(front) <= 3):
        raise InvalidInput(f"a front is of two or three objectives, not {', '.join(front)}")
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"top must be a whole number of at least 1, not {top!r}")


def _check_known(setting: Setting, wanted: set[str]) -> None:
    if not setting.ways and ("usd" in wanted or setting.limits.usd_per_million_tokens):
        raise InvalidInput(
            f"no price of {setting.cluster.name} is known: state usd_per_accelerator or "
            "usd_per_accelerator_hour"
        )
    unknown = [g.accelerator.name for g in setting.cluster.groups if not g.accelerator.tdp_w]
    if "energy" in wanted and unknown:
        raise InvalidInput(f"the power of {', '.join(unknown)} is unknown, so that no plan needs the least")
    if not setting.workload.output_tokens and wanted & {"tpot", "energy"}:
        raise InvalidInput("without output_tokens there is no time or energy of an output token")


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


def _rounded(values: Column) -> Column:
    """Figures without their last digits, which the order of a sum decides."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissa * DIGITS), exponent))


class _Ranking:
    """Which candidates keep the limits, and which are best."""

    def __init__(self, setting: Setting, found: Evaluated, objective: str) -> None:
        self.columns, self.objective = found.columns, objective
        self.count = len(found.columns.get("tp", ()))
        self.kinds = self._kinds(len(found.words)) if self.count else np.empty(0, dtype=np.int64)
        self.excess = self._excess(setting) if self.count else np.empty((0, 0))
        self.fits: Column = np.asarray((self.excess <= 0).all(axis=1))

    def _kinds(self, words: int) -> NDArray[np.int64]:
        return np.asarray(self.columns["split"] * words + self.columns["words"])

    def _excess(self, setting: Setting) -> Column:
        """By which share a candidate breaks each of `REASONS` but the first; 0 or less keeps it."""
        limits, columns = setting.limits, self.columns
        capacity, free = columns["memory_capacity_bytes"], columns["memory_free_bytes"]
        kept = np.full(self.count, -1.0)

        def beyond(name: str, limit: float) -> Column:
            return columns[name] / limit - 1 if limit else kept

        return np.stack(
            [
                -free / capacity,
                limits.headroom_share - free / capacity if limits.headroom_share else kept,
                beyond("ttft_s", limits.ttft_s),
                beyond("tpot_s", limits.tpot_s),
                beyond("usd_per_million_tokens", limits.usd_per_million_tokens),
            ],
            axis=1,
        )

    def values(self, objective: str) -> Column:
        """Less is better; whatever the limits say."""
        name, sign = OBJECTIVES[objective]
        return sign * _rounded(self.columns[name])

    def best(self, top: int) -> list[int]:
        """Rows of the best of each kind."""
        if not self.count:
            return []
        values = np.where(self.fits, self.values(self.objective), np.inf)
        return [int(row) for row in best_of_each(values, self.kinds)[:top]]

    def front(self, objectives: Sequence[str]) -> list[int]:
        """Rows that none beats in all objectives."""
        if not self.count:
            return []
        figures = np.stack([self.values(name) for name in objectives], axis=1)
        figures[~self.fits] = np.inf
        return [int(row) for row in pareto_front(figures)]

    def nearest_miss(self) -> int | None:
        """The row that breaks a limit by the least, of those that would be better than the best that does."""
        rows = np.flatnonzero(~self.fits)
        if not len(rows):
            return None
        values = self.values(self.objective)
        if self.fits.any():
            rows = rows[values[rows] < values[self.fits].min()]
            if not len(rows):
                return None
        worst = _rounded(self.excess[rows].max(axis=1))
        return int(rows[np.lexsort((values[rows], worst))[0]])


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
            known = {name: value for name, value in figures.items() if np.isfinite(value)}
            self.made[row] = Choice(inference=estimate, figures=known)
        return self.made[row]


def _thinned(rows: list[int]) -> list[int]:
    if len(rows) <= FRONT:
        return rows
    return [rows[round(place)] for place in np.linspace(0, len(rows) - 1, FRONT)]


def _reasons(objective: str, winner: Choice, runner_up: Choice) -> tuple[Reason, ...]:
    """Where the time that the objective looks at goes, the largest difference first."""
    ours, theirs = (_times(objective, choice.inference) for choice in (winner, runner_up) if choice.inference)
    found = [
        Reason(part=part, winner_s=ours.get(part, 0.0), runner_up_s=theirs.get(part, 0.0))
        for part in {**ours, **theirs}
    ]
    return tuple(sorted(found, key=lambda reason: -abs(reason.runner_up_s - reason.winner_s)))


def _times(objective: str, estimate: InferenceEstimate) -> dict[str, float]:
    """Parts of the time to the first token, of a token, or of the whole cluster's for each token put out."""
    if objective == "ttft":
        return _named(estimate.prefill, 1.0)
    steps = _named(estimate.decode, estimate.tpot_s / sum(part.value for part in estimate.decode))
    load = estimate.workload
    if objective in ("tpot", "memory") or not load.output_tokens:
        return steps
    written = max(load.output_tokens - 1, 0) / load.output_tokens / load.batch_size
    reading = estimate.batch_prefill_s / load.batch_size / load.output_tokens
    return {"reading the prompts": reading} | {part: value * written for part, value in steps.items()}


def _named(parts: Sequence[Part], factor: float) -> dict[str, float]:
    return {part.name: part.value * factor for part in parts}


def _miss(setting: Setting, ranking: _Ranking, chooser: _Chooser) -> NearestMiss | None:
    row = ranking.nearest_miss()
    if row is None:
        return None
    choice = chooser.choice(row)
    estimate = choice.inference
    assert estimate is not None  # the task is inference
    reason = REASONS[1 + int(ranking.excess[row].argmax())]
    breaks, help_with = _broken(setting, estimate, choice.figures, reason)
    return NearestMiss(choice=choice, breaks=breaks, would_help=tuple(help_with))


def _broken(
    setting: Setting, estimate: InferenceEstimate, figures: dict[str, float], reason: str
) -> tuple[str, Iterator[str]]:
    limits = setting.limits
    if reason == "memory":
        missing, _, advice = estimate.misfit.partition("; would fit: ")
        return missing, (one for one in advice.split(", or ") if one)
    free = estimate.memory.free_bytes
    if reason == "headroom":
        wanted = limits.headroom_share * estimate.memory.capacity_bytes
        words = f"leaves {format_bytes(free, binary=True)} of a card free, not "
        return words + format_bytes(wanted, binary=True), iter(
            (f"a headroom of {free / estimate.memory.capacity_bytes:.1%}",)
        )
    if reason == "usd":
        price, most = figures["usd_per_million_tokens"], limits.usd_per_million_tokens
        return (
            f"costs {format_usd(price)} a million tokens, not {format_usd(most)}",
            iter((f"hardware for {most / price:.0%} of the price",)),
        )
    took, limit = (estimate.ttft_s, limits.ttft_s) if reason == "ttft" else (estimate.tpot_s, limits.tpot_s)
    what = "to the first token" if reason == "ttft" else "a token"
    parts = estimate.prefill if reason == "ttft" else estimate.decode
    longest = max(parts, key=lambda part: part.value)
    return (
        f"takes {format_seconds(took)} {what}, not {format_seconds(limit)}",
        iter((f"a limit of {format_seconds(took)}", f"less time for {longest.name}")),
    )


def _table(found: Evaluated, ranking: _Ranking) -> Table:
    """Inputs in words and figures of all evaluated candidates."""
    columns = dict(found.columns)
    split, words = columns.pop("split", None), columns.pop("words", None)
    if split is None or words is None:
        return Table({})
    named = {
        name: np.array([getattr(plan, name) for plan in found.words])[words]
        for name in ("weight_format", "kv_format", "engine")
    }
    broken = np.where(ranking.fits, 0, 1 + ranking.excess.argmax(axis=1))
    sizes = {name: columns.pop(name) for name in (*SIZES, "micro_batches", "chunk_tokens", "batch_size")}
    return Table(named | sizes | columns | {"fits": ranking.fits, "reason": np.array(REASONS)[broken]})
