"""The best plans of training a model on a cluster, out of every legal one."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import numpy as np

from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, ways
from farthing.estimate.training import default_plan, train_estimate, training_run
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.search import (
    Choice,
    Limits,
    NearestMiss,
    Reason,
    Removed,
    SearchResult,
    TrainingObjective,
)
from farthing.records.workload import TrainingWorkload
from farthing.search.rank import Column, best_of_each, joined, pareto_front
from farthing.search.table import Search, Table
from farthing.search.training_columns import blocks
from farthing.search.training_ranking import FIGURES, Question, Ranked, nearest_miss, rank
from farthing.search.training_space import SIZE_COLUMNS, Rows, TrainingSpace, training_space
from farthing.units import DAY, format_bytes, format_seconds, format_usd

FRONT: Final = 32
"""Most plans of a front that are estimated in full; a longer front keeps its ends and is thinned evenly."""

Progress = Callable[[int, int], None]


def search_training(
    model: Model,
    cluster: Cluster,
    workload: TrainingWorkload,
    given: Mapping[str, Any],
    *,
    objective: TrainingObjective = "step",
    limits: Limits | None = None,
    basis: CostBasis | None = None,
    top: int = 5,
    front: Sequence[TrainingObjective] = (),
    ideal: bool = False,
    progress: Progress | None = None,
) -> Search:
    """Evaluate every legal plan and rank them.

    Parameters
    ----------
    model, cluster, workload
        What is asked.
    given
        Fields of `TrainingPlan`: a value fixes a field, a list leaves a choice, the rest is searched.
    objective
        What is best: the least of step time, USD, energy or memory.
    limits
        What every plan must keep.
    basis
        How money is counted.
    top
        Plans that are returned, each of another kind: another parallel size, format or engine.
    front
        Two or three objectives whose Pareto front is returned too.
    ideal
        Paper arithmetic.
    progress
        Called with the blocks done and all blocks.

    Returns
    -------
    Search
        The record, and as a table the best plan of each combination of sizes.

    Raises
    ------
    InvalidInput
        Objectives that there are not or that nothing is known about; no legal plan at all.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> found = search_training(model("llama-2-7b"), parse_cluster("1x8:a100-sxm-80gb"),
    ...     TrainingWorkload(sequence_tokens=4096, global_batch_size=64), {"pp": 1, "offload": "none"})
    >>> found.best.plan.pp, found.best.fits
    (1, True)
    >>> found.result.candidates == found.result.evaluated + sum(r.candidates for r in found.result.removed)
    True
    """
    began = time.perf_counter()
    limits, basis = limits or Limits(), basis or CostBasis()
    paying = tuple(way for way in ways(cluster, basis) if way.hardware_usd_per_s > 0)
    _check(cluster, workload, objective, front, limits, top, bool(paying))
    space, cards = _space(model, cluster, workload, given)
    questions = [
        Question(
            run=training_run(model, cluster, workload, variant, ideal=ideal),
            cards=cards,
            objective=objective,
            front=tuple(front),
            limits=limits,
            basis=basis,
            ways=paying,
        )
        for variant in space.variants
    ]
    pieces = [
        (variant, block) for variant in range(len(questions)) for rows in space.rows for block in blocks(rows)
    ]
    ranked = []
    for variant, block in pieces:
        ranked.append(rank(questions[variant], block))
        if progress:
            progress(len(ranked), len(pieces))
    variants = [variant for variant, _ in pieces]
    chooser = _Chooser(questions, space.variants, variants, ranked)
    best = chooser.best(top)
    chosen = [chooser.choice(*one) for one in best]
    removed = dict(space.removed)
    for one in ranked:
        for rule, count in one.removed.items():
            removed[rule] = removed.get(rule, 0) + count
    legal = {rule: count for rule, count in removed.items() if rule in space.removed}
    result = SearchResult(
        task="training",
        model=model.id,
        cluster=cluster.name,
        objective=objective,
        limits=limits,
        candidates=space.candidates,
        evaluated=sum(one.evaluated for one in ranked),
        fitting=sum(one.fitting for one in ranked),
        removed=tuple(Removed(rule=rule, candidates=count) for rule, count in legal.items()),
        broken=tuple(
            Removed(rule=rule, candidates=count) for rule, count in removed.items() if rule not in legal
        ),
        best=tuple(chosen),
        front_objectives=tuple(front),
        front=chooser.front() if front else (),
        reasons=_reasons(chosen[0], chosen[1]) if len(chosen) > 1 else (),
        miss=_miss(questions, pieces, ranked, chosen),
    )
    table = functools.partial(_table, questions, variants, ranked)
    return Search(result, table, seconds=time.perf_counter() - began)


def _check(
    cluster: Cluster,
    workload: TrainingWorkload,
    objective: str,
    front: Sequence[str],
    limits: Limits,
    top: int,
    priced: bool,
) -> None:
    for name in (objective, *front):
        if name not in FIGURES:
            raise InvalidInput(f"no objective {name!r}; there are {', '.join(get_args(TrainingObjective))}")
    if front and not (2 <= len(set(front)) == len(front) <= 3):
        raise InvalidInput(
            f"a front is of two or three objectives, not {', '.join(front)}; write e.g. step,memory"
        )
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"top must be a whole number of at least 1, not {top!r}")
    for field in ("ttft_s", "tpot_s", "max_batch_size"):
        if getattr(limits, field):
            raise InvalidInput(f"limits: {field} is for inference; training has run_s, run_usd and others")
    if (limits.run_s or limits.run_usd) and not workload.training_tokens:
        raise InvalidInput("a limit of a whole run needs training_tokens: say how many, e.g. 2T")
    wanted = {objective, *front}
    if not priced and ("usd" in wanted or limits.run_usd or limits.usd_per_million_tokens):
        raise InvalidInput(
            f"no price of {cluster.name} is known: state usd_per_accelerator or usd_per_accelerator_hour"
        )
    unknown = [g.accelerator.name for g in cluster.groups if not g.accelerator.tdp_w]
    if "energy" in wanted and unknown:
        raise InvalidInput(f"the power of {', '.join(unknown)} is unknown, so that no plan needs the least")


def _space(
    model: Model, cluster: Cluster, workload: TrainingWorkload, given: Mapping[str, Any]
) -> tuple[TrainingSpace, int]:
    """All plans on all cards, or on as many as there are plans for."""
    sizes = [given.get(axis) for axis in ("tp", "pp", "cp", "dp")]
    if all(isinstance(size, int) for size in sizes):
        product = int(np.prod([int(size) for size in sizes if size is not None]))
        numbers: Iterable[int] = (min(product, cluster.count),)
    else:
        numbers = range(cluster.count, 0, -1)
    first: TrainingSpace | None = None
    for cards in numbers:
        space = training_space(model, cluster, workload, given, cards=cards)
        if space.rows:
            return space, cards
        first = first or space
    fixed = {name: value for name, value in given.items() if not isinstance(value, (list, tuple))}
    if fixed.get("interleave", 1) > 1:
        fixed.setdefault("schedule", "interleaved")
    plan = default_plan(model, cluster, TrainingPlan(**fixed), set(fixed))
    training_run(model, cluster, workload, plan, ideal=False)  # says which field breaks what rule
    rules = first.removed if first else {}
    if not rules:
        named = ", ".join(f"{axis}={given[axis]}" for axis in ("tp", "pp", "cp", "dp") if axis in given)
        raise InvalidInput(
            f"no split of up to {cluster.count:,} cards of {cluster.name} has {named}: allow other sizes"
            if named
            else "no plan is legal with what is given: give other values, or leave some out"
        )
    counts = ", ".join(f"{rule} ({count:,})" for rule, count in rules.items())
    raise InvalidInput(
        f"no plan is legal with what is given: give other values, or leave some out; rules took out {counts}"
    )


class _Chooser:
    """Picks plans out of the ranked blocks, and estimates them in full; each once."""

    def __init__(
        self,
        questions: Sequence[Question],
        variants: Sequence[TrainingPlan],
        of_block: Sequence[int],
        ranked: Sequence[Ranked],
    ) -> None:
        self.questions, self.variants, self.of_block, self.ranked = questions, variants, of_block, ranked
        self.made: dict[TrainingPlan, Choice] = {}

    def best(self, top: int) -> list[tuple[int, int, int, int]]:
        """Block, row, words and way of the best plan of each kind."""
        if not self.ranked:
            return []
        values = np.concatenate([one.best for one in self.ranked])
        block = np.concatenate([np.full(len(one.best), i) for i, one in enumerate(self.ranked)])
        row = np.concatenate([np.arange(len(one.best)) for one in self.ranked])
        kind = np.stack(
            [np.array(self.of_block)[block], np.array([one.rows.pp for one in self.ranked])[block]]
            + [
                np.concatenate([getattr(one.rows, name) for one in self.ranked])
                for name in ("tp", "dp", "cp", "ep")
            ]
        )
        _, number = np.unique(kind, axis=1, return_inverse=True)
        found = []
        for index in best_of_each(values, number.reshape(-1))[:top].tolist():
            one = self.ranked[block[index]]
            place = int(row[index])
            found.append((int(block[index]), place, int(one.best_words[place]), int(one.best_way[place])))
        return found

    def choice(self, block: int, row: int, words: int, way: int) -> Choice:
        variant = self.of_block[block]
        plan = self.ranked[block].plan(self.variants[variant], row, words, way)
        return self.estimated(plan, variant)

    def estimated(self, plan: TrainingPlan, variant: int) -> Choice:
        if plan not in self.made:
            self.made[plan] = choice_of(self.questions[variant], plan)
        return self.made[plan]

    def front(self) -> tuple[Choice, ...]:
        """The plans that none beats."""
        fronts = [one.front for one in self.ranked]
        points = np.concatenate([front.points for front in fronts])
        owner = np.concatenate([np.full(len(front.codes), i) for i, front in enumerate(fronts)])
        codes = np.concatenate([front.codes for front in fronts])
        rows = pareto_front(points)
        if len(rows) > FRONT:
            rows = rows[np.linspace(0, len(rows) - 1, FRONT).round().astype(int)]
        return tuple(
            self.choice(int(owner[row]), *self.ranked[owner[row]].coded(int(codes[row]))) for row in rows
        )


def choice_of(question: Question, plan: TrainingPlan) -> Choice:
    """A plan with its estimate and its figures."""
    about = question.run.about
    run = type(question.run)(about=about, workload=question.run.workload, plan=plan)
    estimate = train_estimate(run, basis=question.basis)
    figures = {
        "step_s": estimate.step_s,
        "tokens_per_s": estimate.tokens_per_s,
        "mfu": estimate.mfu,
        "memory_bytes": estimate.memory.total_bytes,
        "energy_j": estimate.power_w * estimate.step_s,
    }
    if estimate.costs:
        figures["usd_per_million_tokens"] = min(cost.usd_per_million_tokens for cost in estimate.costs)
    if estimate.run_s:
        figures["run_s"] = estimate.run_s
        if estimate.run_usd:
            figures["run_usd"] = min(estimate.run_usd.values())
    return Choice(training=estimate, figures=figures)


def _reasons(winner: Choice, runner_up: Choice) -> tuple[Reason, ...]:
    """Where a step's time goes, the largest difference first."""
    ours, theirs = (
        {part.name: part.value for part in choice.training.parts}
        for choice in (winner, runner_up)
        if choice.training
    )
    found = [
        Reason(part=part, winner_s=ours.get(part, 0.0), runner_up_s=theirs.get(part, 0.0))
        for part in {**ours, **theirs}
    ]
    return tuple(sorted(found, key=lambda reason: -abs(reason.runner_up_s - reason.winner_s)))


def _miss(
    questions: Sequence[Question],
    pieces: Sequence[tuple[int, Rows]],
    ranked: Sequence[Ranked],
    chosen: Sequence[Choice],
) -> NearestMiss | None:
    """The plan that exceeds a limit by the least, of those that would be better than the best one."""
    bound = float("inf")
    if chosen:
        bound = chosen[0].figures[FIGURES[questions[0].objective]] * (1 - 1e-9)
    nearest: tuple[float, TrainingPlan, int] | None = None
    for (variant, block), one in zip(pieces, ranked, strict=True):
        better = np.flatnonzero(one.least < bound)
        found = nearest_miss(questions[variant], block.part(better), bound) if len(better) else None
        if found is not None and (nearest is None or found[0] < nearest[0]):
            nearest = *found, variant
    if nearest is None:
        return None
    question = questions[nearest[2]]
    choice = choice_of(question, nearest[1])
    assert choice.training is not None  # the task is training
    breaks, help_with = joined(list(_broken(question, choice.training, choice.figures)))
    return NearestMiss(choice=choice, breaks=breaks, would_help=help_with)


def _broken(
    question: Question, estimate: TrainingEstimate, figures: Mapping[str, float]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Which limits a plan breaks, each with what would make it keep it."""
    limits = question.limits
    free, capacity = estimate.memory.free_bytes, estimate.memory.capacity_bytes
    if not estimate.fits:
        missing, _, advice = estimate.misfit.partition("; would fit: ")
        yield missing, tuple(one for one in advice.split(", or ") if one)
    elif free < limits.headroom_share * capacity:
        wanted = format_bytes(limits.headroom_share * capacity, binary=True)
        yield (
            f"leaves {format_bytes(free, binary=True)} of a card free, not {wanted}",
            (f"a headroom of {free / capacity:.1%}",),
        )
    if limits.run_s and estimate.run_s > limits.run_s:
        yield (
            f"takes {format_seconds(estimate.run_s)}, not {format_seconds(limits.run_s)}",
            (f"a limit of {estimate.run_s / DAY:,.3g} days", "more cards"),
        )
    if limits.run_usd and figures["run_usd"] > limits.run_usd:
        yield (
            f"costs {format_usd(figures['run_usd'])}, not {format_usd(limits.run_usd)}",
            (
                f"a limit of {format_usd(figures['run_usd'])}",
                f"hardware for {100 * limits.run_usd / figures['run_usd']:.3g}% of the price",
            ),
        )
    price, most = figures["usd_per_million_tokens"], limits.usd_per_million_tokens
    if most and price > most:
        yield (
            f"costs {format_usd(price)} a million tokens, not {format_usd(most)}",
            (f"a limit of {format_usd(price)}", f"hardware for {100 * most / price:.3g}% of the price"),
        )


def _table(questions: Sequence[Question], variants: Sequence[int], ranked: Sequence[Ranked]) -> Table:
    """The best plan of each combination of sizes, with its figures."""
    if not ranked:
        return Table({})
    columns: dict[str, list[Column]] = {}

    def add(name: str, values: Any) -> None:
        columns.setdefault(name, []).append(np.asarray(values))

    for variant, one in zip(variants, ranked, strict=True):
        rows, count = one.rows, len(one.best)
        add("pp", np.full(count, rows.pp))
        for name in (*SIZE_COLUMNS, "sequence_parallel"):
            add(name, getattr(rows, name))
        for name in one.words[0]:
            add(name, np.array([words[name] for words in one.words])[one.best_words])
        for name, field in (
            ("recompute", "word"),
            ("recompute_share", "share"),
            ("recompute_layers", "layers"),
        ):
            add(name, np.array([getattr(way, field) for way in rows.recomputations])[one.best_way])
        base = questions[variant].run.plan
        for name in ("weight_format", "compute_format", "gradient_format", "engine"):
            add(name, np.full(count, getattr(base, name)))
        add("step_s", one.best_step_s)
        add("tokens_per_s", questions[variant].tokens / one.best_step_s)
        add("memory_bytes", one.best_bytes)
        add("fits", np.isfinite(one.best))
    return Table({name: np.concatenate(parts) for name, parts in columns.items()})
