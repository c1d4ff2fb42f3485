"""A search that processes share: each takes some accelerators, and the best of all are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final

import numpy as np

from farthing.design.copies import Task
from farthing.design.pricing import Terms
from farthing.design.serving import OBJECTIVES, Count, Found, Search, rank
from farthing.design.shop import Shop
from farthing.records.design import DesignObjective, Way, Ways
from farthing.search.rank import pareto_front

SHARED: Final = 24
"""Accelerators from which on a second process pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is searched.

    Attributes
    ----------
    shop, tasks, terms, ways, objective
        As of `Search`.
    front
        Objectives of a front; empty for none.
    top
        Best builds of different kinds.
    """

    shop: Shop
    tasks: Mapping[str, Sequence[Task]]
    terms: Terms
    ways: Ways
    objective: DesignObjective
    front: tuple[DesignObjective, ...] = ()
    top: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found: the best of each kind, the best of each way of paying, the front, and the counts."""

    best: list[Found]
    ways: dict[Way, Found]
    front: list[Found]
    count: Count


def answered(question: Question, workers: int = 1) -> Answer:
    """The best builds; processes beyond the first need a script that guards its entry."""
    names = list(question.tasks)
    workers = min(workers, len(names) // SHARED + 1)
    if workers < 2:
        return _answer(question)
    # Neighbours in the catalogue are alike: dealing them out gives each process as much to do.
    shares = [_of(question, names[start::workers]) for start in range(workers)]
    with ProcessPoolExecutor(workers - 1, mp_context=get_context("spawn")) as pool:
        others = [pool.submit(_answer, share) for share in shares[1:]]
        answers = [_answer(shares[0]), *(other.result() for other in others)]
    return _joined(question, answers)


def _of(question: Question, names: Sequence[str]) -> Question:
    return replace(question, tasks={name: question.tasks[name] for name in names})


def _answer(question: Question) -> Answer:
    search = Search(
        question.shop,
        question.tasks,
        question.terms,
        ways=question.ways,
        objective=question.objective,
        front=question.front,
    )
    best = search.best(question.top)
    ways: dict[Way, Found] = {}
    for way in ("own", "rent"):
        known = [build for build in best if build.kit.way == way] or search.best(1, way)
        if known:
            ways[way] = known[0]
    front = search.front(question.front) if question.front else []
    return Answer(best=best, ways=ways, front=front, count=search.count)


def _joined(question: Question, answers: Sequence[Answer]) -> Answer:
    objective = question.objective
    best = sorted((build for one in answers for build in one.best), key=lambda one: rank(one, objective))
    ways: dict[Way, Found] = {}
    for one in answers:
        for way, build in one.ways.items():
            if way not in ways or rank(build, objective) < rank(ways[way], objective):
                ways[way] = build
    count = Count()
    for one in answers:
        count.candidates += one.count.candidates
        count.evaluated += one.count.evaluated
        for rule, removed in one.count.removed.items():
            count.remove(rule, removed)
    front = [build for one in answers for build in one.front]
    if front:
        signs = [-1.0 if name == "tokens-per-s" else 1.0 for name in question.front]
        points = np.array([[build.figures[OBJECTIVES[name]] for name in question.front] for build in front])
        front = [front[place] for place in pareto_front(points * np.array(signs)).tolist()]
    return Answer(best=best[: question.top], ways=ways, front=front, count=count)
