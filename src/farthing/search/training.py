"""The best plans of training a model on a cluster, out of every legal one."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, ways
from farthing.estimate.training import training_run
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.search import Limits, Removed, SearchResult, TrainingObjective
from farthing.records.workload import TrainingWorkload
from farthing.search.reasons import reasons
from farthing.search.table import Search, Table
from farthing.search.training_choice import Chooser, best_of_sizes, step_parts
from farthing.search.training_miss import nearest_miss
from farthing.search.training_promising import promises, promising
from farthing.search.training_question import Question
from farthing.search.training_space import TrainingSpace, card_numbers, training_space
from farthing.search.training_thorough import Progress, thorough
from farthing.search.wishes import check_known, check_wishes

SHARED: Final = 50_000_000
"""Plans from which on several processes are worth their start."""

COUNTED: Final = 500_000_000
"""The same where the times of few are needed."""


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
    workers: int = 1,
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
    workers
        Processes that share large searches; more than one needs a script that guards its entry with
        ``if __name__ == "__main__"``.

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
    groups = [(variant, rows) for variant in range(len(questions)) for rows in space.rows]
    quick = all(map(promises, questions))
    search = functools.partial(promising, top=top) if quick else thorough
    large = space.evaluated >= (COUNTED if quick else SHARED)
    found = search(questions, groups, workers=workers if large else 1, progress=progress)
    chooser = Chooser(questions, found.variants, found.ranked)
    best = chooser.best(top) if found.ranked else ()
    result = SearchResult(
        task="training",
        model=model.id,
        cluster=cluster.name,
        objective=objective,
        limits=limits,
        candidates=space.candidates,
        evaluated=found.evaluated,
        fitting=found.fitting,
        removed=_counts(space.removed),
        broken=_counts(found.broken),
        best=best,
        front_objectives=tuple(front),
        front=chooser.front() if front else (),
        reasons=reasons(step_parts(best[0]), step_parts(best[1])) if len(best) > 1 else (),
        miss=nearest_miss(questions, found.suspects, best[0] if best else None),
    )
    more_memory = 1.0
    if best and objective == "step":
        more_memory = min(one.roomier for one in found.ranked) / best[0].figures["step_s"]

    def table() -> Table:
        known = thorough(questions, groups) if quick else found
        return best_of_sizes(questions, known.variants, known.ranked)

    return Search(result, table, seconds=time.perf_counter() - began, more_memory=more_memory)


def _counts(rules: Mapping[str, int]) -> tuple[Removed, ...]:
    return tuple(Removed(rule=rule, candidates=count) for rule, count in rules.items())


def _check(
    cluster: Cluster,
    workload: TrainingWorkload,
    objective: str,
    front: Sequence[str],
    limits: Limits,
    top: int,
    priced: bool,
) -> None:
    check_wishes(objective, front, top, get_args(TrainingObjective), "step,memory")
    for field in ("ttft_s", "tpot_s", "max_batch_size"):
        if getattr(limits, field):
            raise InvalidInput(f"limits: {field} is for inference; training has run_s, run_usd and others")
    if (limits.run_s or limits.run_usd) and not workload.training_tokens:
        raise InvalidInput("a limit of a whole run needs training_tokens: say how many, e.g. 2T")
    money = bool(limits.run_usd or limits.usd_per_million_tokens)
    check_known(cluster, {objective, *front}, priced=priced, money=money)


def _space(
    model: Model, cluster: Cluster, workload: TrainingWorkload, given: Mapping[str, Any]
) -> tuple[TrainingSpace, int]:
    """All plans on all cards, or on as many as there are plans for."""
    space = training_space(model, cluster, workload, given)
    if space.rows:
        return space, cluster.count
    rules = space.removed
    for cards in card_numbers(model, workload, given, cluster.count - 1):
        space = training_space(model, cluster, workload, given, cards=cards)
        if space.rows:
            return space, cards
        rules = rules or space.removed
    fixed = {name: value for name, value in given.items() if not isinstance(value, (list, tuple))}
    if fixed.get("interleave", 1) > 1:
        fixed.setdefault("schedule", "interleaved")
    # Says which field breaks what rule.
    training_run(model, cluster, workload, TrainingPlan(**fixed), ideal=False)
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
