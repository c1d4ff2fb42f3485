"""Answers questions: one row each, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from farthing import api
from farthing.errors import FarthingError, Infeasible
from farthing.records.search import Limits, SearchResult
from farthing.sweeps.columns import Cell, asked, columns, estimated, row, searched
from farthing.sweeps.grid import Grid, Question

Row = list[Cell]


def answers(grid: Grid, places: Sequence[int]) -> list[Row]:
    """The rows of the questions at these places.

    Examples
    --------
    >>> from farthing.sweeps.read import read_sweep
    >>> grid = read_sweep({"task": "inference", "models": "llama-2-7b", "clusters": "rtx-4090",
    ...                    "plan": {"tp": [1, 3]}})
    >>> names = list(columns(grid.task))
    >>> [row[names.index("error")] is None for row in answers(grid, [0, 1])]
    [True, False]
    """
    kinds = columns(grid.task)
    # Odd sizes divide by zero: what comes of that is an empty cell.
    with np.errstate(all="ignore"):
        return [row(_cells(grid, grid[place]), kinds) for place in places]


def _cells(grid: Grid, question: Question) -> dict[str, Any]:
    """Cells by column; a question that cannot be asked keeps what it states, and says why."""
    given = asked(question)
    try:
        return given | (_estimate(grid, question) if question.search is None else _search(grid, question))
    except Infeasible as error:
        return given | {"fits": False, "misfit": str(error)}
    except FarthingError as error:
        return given | {"error": " ".join(str(error).split())}
    except Exception as error:
        # One question that shows a fault of farthing must not cost the others.
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return given | {"error": f"internal error: {words}; please report it"}


def _estimate(grid: Grid, question: Question) -> dict[str, Any]:
    ask = api.train if grid.task == "training" else api.infer
    options = question.workload | question.plan | question.cost
    return estimated(question, ask(grid.models[question.model], grid.clusters[question.cluster], **options))


def _search(grid: Grid, question: Question) -> dict[str, Any]:
    found = _searched(grid, question)
    cells = searched(found)
    if found.best:
        return cells | estimated(question, found.best[0].estimate)
    missed = f"; the nearest misses: {found.miss.breaks}" if found.miss is not None else ""
    return cells | {"fits": False, "misfit": f"no plan keeps every limit{missed}"}


def _searched(grid: Grid, question: Question) -> SearchResult:
    """The search of the plan's open fields: the one place that knows how a search is asked for."""
    terms = dict(question.search or {})
    objective = {name: terms.pop(name) for name in ("objective",) if name in terms}
    found = api.search(
        grid.models[question.model],
        grid.clusters[question.cluster],
        task=grid.task,
        limits=Limits(**terms),
        top=1,
        **objective,
        **question.workload,
        **question.plan,
        **question.cost,
    )
    return found.result
