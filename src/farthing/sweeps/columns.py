"""The columns of a sweep's table: what was asked, what an estimate says, and why there is none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final, Literal, get_origin, get_type_hints

from farthing import api
from farthing.records.estimate import InferenceEstimate, MemoryUse, Reliability, TrainingEstimate
from farthing.records.search import Limits, SearchResult, Task
from farthing.sweeps.grid import Question
from farthing.sweeps.read import records

Cell = int | float | bool | str | None

WAYS: Final = ("own", "rent")
PRICES: Final = ("usd_per_s", "usd_per_million_tokens")
FOUND: Final = ("candidates", "evaluated", "fitting")
"""Counts of a search that a row tells."""

INTERVALS: Final = {
    "inference": ("ttft_s", "tpot_s", "tokens_per_s"),
    "training": ("step_s", "tokens_per_s", "memory_total_bytes"),
}
"""Columns between ``low_`` and ``high_`` ones, the ends of their 80% intervals."""


def columns(task: Task) -> dict[str, type]:
    """The columns of a task's rows in their order, and the type of their cells; any cell may be None.

    They are the same in every sweep of a task, so that tables can be put under one another. Names and units
    are those of the records, with a prefix where a record holds others: ``memory_``, ``low_`` and ``high_``
    for the ends of an 80% interval, ``own_`` and ``rent_`` for ways of paying, ``limit_`` and ``search_`` for
    what a search kept to and found. ``error`` says why a question cannot be asked.

    Examples
    --------
    >>> names = list(columns("inference"))
    >>> names[:4], names[-1]
    (['question', 'model', 'cluster', 'batch_size'], 'error')
    """
    found: dict[str, type] = {"question": int, "model": str, "cluster": str}
    kinds = records(task)
    for name in ("workload", "plan", "cost"):
        found |= {field: _kind(hint) for field, hint in get_type_hints(kinds[name]).items()}
    found["objective"] = str
    found |= {f"limit_{field}": _kind(hint) for field, hint in get_type_hints(Limits).items()}
    found |= dict(_figures(task))
    return {**found, **{f"search_{name}": int for name in FOUND}, "error": str}


def _kind(hint: Any) -> type:
    """The type of a field's cells: a list is written as text, sizes of a plan are declared as Any."""
    if get_origin(hint) in (Literal, tuple):
        return str
    kind: type = int if hint is Any else hint
    return kind


def _figures(task: Task) -> Iterator[tuple[str, type]]:
    """Whatever of an estimate is one number or one word."""
    estimate = TrainingEstimate if task == "training" else InferenceEstimate
    for field, hint in get_type_hints(estimate).items():
        names: list[tuple[str, type]] = []
        if hint in (int, float, bool, str) and field not in ("model", "cluster"):
            names = [(field, hint)]
        elif hint is MemoryUse:
            names = [(f"memory_{part}", kind) for part, kind in _numbers(MemoryUse)]
        elif hint == Reliability | None:
            names = list(_numbers(Reliability))
        elif field == "run_usd":
            names = [(f"{way}_run_usd", float) for way in WAYS]
        elif field == "costs":
            names = [(f"{way}_{price}", float) for way in WAYS for price in PRICES]
            names += [(f"{way}_stale", bool) for way in WAYS]
        for name, kind in names:
            yield name, kind
            if name in INTERVALS[task]:
                yield f"low_{name}", float
                yield f"high_{name}", float


def _numbers(record: type) -> Iterator[tuple[str, type]]:
    return ((name, hint) for name, hint in get_type_hints(record).items() if hint in (int, float))


def asked(question: Question) -> dict[str, Any]:
    """Cells of what a question states."""
    search = question.search or {}
    return {
        "question": question.number,
        "model": question.model,
        "cluster": question.cluster,
        **question.workload,
        **question.plan,
        **question.cost,
        **{name if name == "objective" else f"limit_{name}": value for name, value in search.items()},
    }


def estimated(question: Question, found: InferenceEstimate | TrainingEstimate) -> dict[str, Any]:
    """Cells of an estimate: its numbers and words; workload, plan and cost with all defaults filled in."""
    cells: dict[str, Any] = {}
    for record in (found.workload, found.plan, api.CostBasis(**question.cost), found):
        cells |= {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    cells |= {f"memory_{part.name}": getattr(found.memory, part.name) for part in _fields(found.memory)}
    for bar in found.intervals:
        name = f"memory_{bar.name}" if bar.name == "total_bytes" else bar.name
        cells |= {f"low_{name}": bar.low, f"high_{name}": bar.high}
    for cost in found.costs:
        cells |= {f"{cost.way}_{price}": getattr(cost, price) for price in (*PRICES, "stale")}
    if isinstance(found, TrainingEstimate):
        cells |= {f"{way}_run_usd": usd for way, usd in found.run_usd.items()}
        if found.reliability is not None:
            cells |= {part.name: getattr(found.reliability, part.name) for part in _fields(found.reliability)}
    return cells | {name: value for name, value in asked(question).items() if name in ("model", "cluster")}


def searched(found: SearchResult) -> dict[str, Any]:
    """Cells of what a search looked at."""
    cells: dict[str, Any] = {f"search_{name}": getattr(found, name) for name in FOUND}
    cells["objective"] = found.objective
    return cells | {f"limit_{part.name}": getattr(found.limits, part.name) for part in _fields(found.limits)}


def _fields(record: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(record)


def row(cells: dict[str, Any], kinds: dict[str, type]) -> list[Cell]:
    """Cells in the order of the columns, each of its type; what is empty or not finite is None.

    Examples
    --------
    >>> row({"pp": 2, "stage_layers": (10, 12), "mfu": float("nan")},
    ...     {"pp": int, "tp": int, "stage_layers": str, "mfu": float})
    [2, None, '10,12', None]
    """
    return [_cell(cells.get(name), kind) for name, kind in kinds.items()]


def _cell(value: Any, kind: type) -> Cell:
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if value is None or value == "" or (kind in (int, float) and not math.isfinite(value)):
        return None
    cell: Cell = kind(value)
    return cell
