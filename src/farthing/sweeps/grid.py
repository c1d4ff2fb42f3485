"""The questions of a sweep: every combination of the values of its axes, made when it is asked for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from farthing import __version__, api
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.search import Task

Axes = Mapping[str, tuple[Any, ...]]
"""Values by field; a table of them stands for every combination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One combination.

    Attributes
    ----------
    number
        Its place in the grid, from 1.
    model, cluster
        Names, as the sweep has them.
    workload, plan, cost
        The fields that the sweep states, of each record.
    search
        Objective and limits where plans are searched, else None.
    """

    number: int
    model: str
    cluster: str
    workload: dict[str, Any]
    plan: dict[str, Any]
    cost: dict[str, Any]
    search: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """All questions of a sweep, without a place in memory for each.

    The last axis changes fastest: models, clusters, workloads, plans, costs, searches.

    Attributes
    ----------
    task
        ``training`` or ``inference``.
    models, clusters
        Records by the name that the sweep has for them.
    workload, plan, cost, search
        Alternatives, one after the other, each a table of axes; an empty ``search`` searches nothing.
    basis
        `basis` of the machine that read the sweep.

    Examples
    --------
    >>> from farthing.sweeps.read import read_sweep
    >>> grid = read_sweep({"task": "inference", "models": ["llama-2-7b", "llama-2-13b"],
    ...                    "clusters": "rtx-4090", "workload": {"batch_size": [1, 2, 4]}})
    >>> len(grid), grid[4].model, grid[4].workload
    (6, 'llama-2-13b', {'batch_size': 2})
    """

    task: Task
    models: Mapping[str, Model]
    clusters: Mapping[str, Cluster]
    workload: tuple[Axes, ...] = ({},)
    plan: tuple[Axes, ...] = ({},)
    cost: tuple[Axes, ...] = ({},)
    search: tuple[Axes, ...] = ()
    basis: str = field(default_factory=lambda: basis())

    @property
    def sizes(self) -> dict[str, int]:
        """Values of each axis, the last the one that changes fastest."""
        return {
            "models": len(self.models),
            "clusters": len(self.clusters),
            "workloads": size(self.workload),
            "plans": size(self.plan),
            "costs": size(self.cost),
            "searches": size(self.search) if self.search else 1,
        }

    def __len__(self) -> int:
        return math.prod(self.sizes.values())

    def __getitem__(self, place: int) -> Question:
        if not 0 <= place < len(self):
            raise IndexError(place)
        places = {}
        rest = place
        for axis, values in reversed(self.sizes.items()):
            rest, places[axis] = divmod(rest, values)
        return Question(
            number=place + 1,
            model=list(self.models)[places["models"]],
            cluster=list(self.clusters)[places["clusters"]],
            workload=combination(self.workload, places["workloads"]),
            plan=combination(self.plan, places["plans"]),
            cost=combination(self.cost, places["costs"]),
            search=combination(self.search, places["searches"]) if self.search else None,
        )

    @property
    def fingerprint(self) -> str:
        """Tells sweeps apart whose rows may differ: names, what they stand for, values, constants."""
        parts = (
            self.task,
            list(self.models.items()),
            list(self.clusters.items()),
            *(
                [list(table.items()) for table in tables]
                for tables in (self.workload, self.plan, self.cost, self.search)
            ),
            self.basis,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def basis() -> str:
    """Tells apart what estimates rest on: farthing's version, and constants and prices of its user's own."""
    own = (__version__, api.own_constants(), api.own_prices())
    return hashlib.sha256(repr(own).encode()).hexdigest()


def size(tables: tuple[Axes, ...]) -> int:
    """Combinations of all alternatives.

    Examples
    --------
    >>> size(({"tp": (1, 2), "pp": (1, 2, 4)}, {"dp": (8,)}))
    7
    """
    return sum(math.prod(map(len, axes.values())) for axes in tables)


def combination(tables: tuple[Axes, ...], place: int) -> dict[str, Any]:
    """The values at a place among the combinations of all alternatives.

    Examples
    --------
    >>> tables = ({"tp": (1, 2), "pp": (1, 2, 4)}, {"dp": (8,)})
    >>> combination(tables, 3), combination(tables, 6)
    ({'tp': 2, 'pp': 1}, {'dp': 8})
    """
    for axes in tables:
        if place < size((axes,)):
            found = {}
            for name, values in reversed(list(axes.items())):
                place, at = divmod(place, len(values))
                found[name] = values[at]
            return {name: found[name] for name in axes}
        place -= size((axes,))
    raise IndexError(place)
