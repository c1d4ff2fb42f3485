"""What the edges ask of the front door: the best plan of a question, or the one that is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from farthing import api
from farthing.errors import Infeasible, InvalidInput
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.search import Limits, SearchResult, Task

LIMITS: Final = frozenset(field.name for field in dataclasses.fields(Limits))

_MONEY: Final = frozenset(field.name for field in dataclasses.fields(api.CostBasis))


def plan(
    task: Task,
    model: str | Model,
    cluster: str | Cluster,
    *,
    search: bool = True,
    explain: bool = False,
    front: str | Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    **asked: Any,
) -> tuple[InferenceEstimate | TrainingEstimate, SearchResult | None]:
    """The estimate of the best plan, or of the nearest that does not do, and what else the search found.

    Parameters
    ----------
    task, model, cluster, front, progress, workers
        As in `farthing.search`.
    search
        Search what is left out of the plan; else it takes its default, and there is no search result.
    explain
        Carry the derivation in the estimate's ``terms``.
    **asked
        As in `farthing.search`; without a wish beyond the load, serving is of one sequence.

    Returns
    -------
    tuple
        An estimate, and a `SearchResult` or None.

    Raises
    ------
    InvalidInput
        As `farthing.search`; an objective, a limit or a choice without a search.
    Infeasible
        No plan at all can be evaluated.

    Examples
    --------
    >>> estimate, found = plan("inference", "llama-2-70b", "1x8:h100-sxm")
    >>> estimate.fits, estimate.plan.tp, found.evaluated > 5
    (True, 8, True)
    >>> estimate, found = plan("inference", "llama-2-70b", "1x8:h100-sxm", search=False, tp=4,
    ...                        dp=2, batch_size=2)
    >>> estimate.plan.dp, found
    (2, None)
    """
    one: Any = api.train if task == "training" else api.infer
    fronts = (front,) if isinstance(front, str) else tuple(front)
    if not search:
        _refuse_choices(asked, fronts)
        return one(model, cluster, explain=explain, **asked), None
    wishes = {"objective", *LIMITS} & asked.keys()
    if task == "inference" and not wishes and not fronts:
        asked.setdefault("batch_size", 1)
    result = api.search(
        model, cluster, task=task, front=fronts, progress=progress, workers=workers, **asked
    ).result
    chosen = result.best[0] if result.best else result.miss.choice if result.miss else None
    if chosen is None:
        raise Infeasible(f"no plan of {result.model} on {result.cluster} can be evaluated")
    estimate: Any = chosen.estimate
    if explain:
        told = one(
            model, cluster, workload=estimate.workload, plan=estimate.plan, explain=True, **priced(asked)
        )
        estimate = dataclasses.replace(estimate, terms=told.terms)
    return estimate, result


def priced(asked: Mapping[str, Any]) -> dict[str, Any]:
    """How money is counted, and whether on paper, for another question about the same plan.

    Examples
    --------
    >>> priced({"tp": 8, "years": 4.0})["cost"].years
    4.0
    """
    money = {name: value for name, value in asked.items() if name in _MONEY}
    return {"cost": api.CostBasis(**money), "ideal": asked.get("ideal", False)}


def _refuse_choices(asked: dict[str, Any], front: Sequence[str]) -> None:
    """One plan has no objective, and one value a field."""
    for name in ("objective", "top", *sorted(LIMITS)):
        if name in asked:
            raise InvalidInput(f"without a search one plan is evaluated: leave out {name}")
    if front:
        raise InvalidInput("without a search one plan is evaluated: leave out front")
    for name, value in asked.items():
        if isinstance(value, (tuple, list)) and name != "stage_layers":
            raise InvalidInput(f"without a search one plan is evaluated: give one value of {name}")
