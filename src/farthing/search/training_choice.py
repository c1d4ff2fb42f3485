"""The plans that a training search returns, each estimated in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.training import train_estimate
from farthing.records.plan import TrainingPlan
from farthing.records.search import Choice
from farthing.search.rank import best_of_each, pareto_front, thinned
from farthing.search.table import Table
from farthing.search.training_question import Question
from farthing.search.training_ranking import Ranked
from farthing.search.training_space import OPEN, SIZE_COLUMNS

AS_GIVEN: Final = tuple(field.name for field in fields(TrainingPlan) if field.name not in OPEN)
"""Fields of a plan that a search takes as they are: formats, engine, and the like."""


class Chooser:
    """Picks plans out of the ranked blocks, and estimates them in full; each once."""

    def __init__(
        self, questions: Sequence[Question], variants: Sequence[int], ranked: Sequence[Ranked]
    ) -> None:
        self.questions, self.variants, self.ranked = questions, variants, ranked
        self.made: dict[tuple[int, int, int, int], Choice] = {}

    def best(self, top: int) -> tuple[Choice, ...]:
        """The best plan of each kind."""
        values = np.concatenate([one.best for one in self.ranked])
        counts = [len(one.best) for one in self.ranked]
        block = np.repeat(np.arange(len(counts)), counts)
        row = np.concatenate([np.arange(count) for count in counts])
        kind = np.stack(
            [np.array(self.variants)[block], np.array([one.rows.pp for one in self.ranked])[block]]
            + [
                np.concatenate([getattr(one.rows, name) for one in self.ranked])
                for name in ("tp", "dp", "cp", "ep")
            ]
        )
        _, number = np.unique(kind, axis=1, return_inverse=True)
        found = []
        for index in best_of_each(values, number.reshape(-1))[:top].tolist():
            place, one = int(row[index]), self.ranked[block[index]]
            found.append(
                self.choice(int(block[index]), place, int(one.best_words[place]), int(one.best_way[place]))
            )
        return tuple(found)

    def choice(self, block: int, row: int, words: int, way: int) -> Choice:
        """One plan of a block."""
        key = (block, row, words, way)
        if key not in self.made:
            question, one = self.questions[self.variants[block]], self.ranked[block]
            plan = one.rows.plan(question.run.plan, one.words[words], row, way)
            self.made[key] = choice_of(question, plan)
        return self.made[key]

    def front(self) -> tuple[Choice, ...]:
        """The plans that none beats."""
        fronts = [one.front for one in self.ranked]
        points = np.concatenate([front.points for front in fronts])
        owner = np.concatenate([np.full(len(front.codes), i) for i, front in enumerate(fronts)])
        codes = np.concatenate([front.codes for front in fronts])
        return tuple(
            self.choice(int(owner[row]), *self.ranked[owner[row]].coded(int(codes[row])))
            for row in thinned(pareto_front(points))
        )


def choice_of(question: Question, plan: TrainingPlan) -> Choice:
    """A plan with its estimate and its figures."""
    estimate = train_estimate(replace(question.run, plan=plan), basis=question.basis)
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


def step_parts(choice: Choice) -> dict[str, float]:
    """Where a step's time goes [s]."""
    return {part.name: part.value for part in choice.training.parts} if choice.training else {}


def best_of_sizes(questions: Sequence[Question], variants: Sequence[int], ranked: Sequence[Ranked]) -> Table:
    """The best plan of each combination of sizes, with figures that are infinite where none fits."""
    columns: dict[str, list[NDArray[Any]]] = {}

    def add(name: str, values: Any) -> None:
        columns.setdefault(name, []).append(np.asarray(values))

    for variant, one in zip(variants, ranked, strict=True):
        rows, question = one.rows, questions[variant]
        add("pp", np.full(len(rows), rows.pp))
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
        for name in AS_GIVEN:
            add(name, np.full(len(rows), getattr(question.run.plan, name)))
        add("step_s", one.best_step_s)
        add("tokens_per_s", question.tokens / one.best_step_s)
        add("memory_bytes", one.best_bytes)
        add("fits", np.isfinite(one.best))
    return Table({name: np.concatenate(parts) for name, parts in columns.items()})
