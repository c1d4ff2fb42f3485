"""Statistics of comparisons: every source counts the same, however many rows it has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.records.accuracy import Accuracy, Refusal, Validation
from farthing.records.comparison import Comparison

_NUMBERS: Final = re.compile(r"\d[\d.,]*(, \d+)*")


def source_weights(comparisons: Sequence[Comparison]) -> NDArray[np.float64]:
    """Weights that give each source the same say; they sum to 1."""
    counts = Counter(one.case.source for one in comparisons)
    return np.array([1 / counts[one.case.source] / len(counts) for one in comparisons])


def weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The value below which that share of the weight lies; NaN of nothing.

    Examples
    --------
    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0]), 0.5)
    2.0
    """
    if not len(values):
        return float("nan")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][min(np.searchsorted(reached, share * reached[-1] - 1e-12), len(values) - 1)])


def relative_errors(comparisons: Sequence[Comparison]) -> NDArray[np.float64]:
    """|predicted / measured - 1| of each."""
    return np.array([abs(one.predicted / one.measured - 1) for one in comparisons])


def grouped(
    comparisons: Sequence[Comparison], key: Callable[[Comparison], tuple[str, ...]]
) -> dict[tuple[str, ...], list[Comparison]]:
    """Comparisons by a key, in order of first sight."""
    found: dict[tuple[str, ...], list[Comparison]] = {}
    for one in comparisons:
        found.setdefault(key(one), []).append(one)
    return found


def by_group(comparisons: Sequence[Comparison]) -> tuple[Accuracy, ...]:
    """One row for each group that has a name."""
    groups = grouped([one for one in comparisons if one.group], lambda one: (one.case.kind, one.group))
    return tuple(
        Accuracy(kind=kind, group=group, **statistics(mine)) for (kind, group), mine in groups.items()
    )


def table(comparisons: Sequence[Comparison]) -> list[Accuracy]:
    """Rows by group, over all sources and for each one: what the accuracy page prints."""
    rows = []
    groups = grouped([one for one in comparisons if one.group], lambda one: (one.case.kind, one.group))
    for (kind, group), mine in groups.items():
        rows.append(Accuracy(kind=kind, group=group, source="all", **statistics(mine)))
        for (source,), own in grouped(mine, lambda one: (one.case.source,)).items():
            rows.append(Accuracy(kind=kind, group=group, source=source, **statistics(own)))
    return rows


def by_source(comparisons: Sequence[Comparison]) -> tuple[Accuracy, ...]:
    """One row for each file, kind, quantity and source."""
    groups = grouped(comparisons, lambda one: (one.case.file, one.case.kind, one.quantity, one.case.source))
    return tuple(
        Accuracy(file=file, kind=kind, quantity=quantity, source=source, **statistics(mine))
        for (file, kind, quantity, source), mine in groups.items()
    )


def refusals(comparisons: Sequence[Comparison]) -> tuple[Refusal, ...]:
    """Reasons counted, most frequent first; those that differ in numbers alone count as one."""
    return counted_refusals((one.case.kind, one.reason) for one in comparisons)


def counted_refusals(reasons: Iterable[tuple[str, str]]) -> tuple[Refusal, ...]:
    """`refusals` of kinds and reasons; an empty reason is none."""
    shown: dict[tuple[str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for (kind, reason), cases in Counter(reasons).items():
        if reason:
            key = (kind, _NUMBERS.sub("N", reason.partition(";")[0]))
            shown.setdefault(key, reason)
            counts[key] += cases
    return tuple(
        Refusal(kind=key[0], reason=shown[key].partition(";")[0], cases=cases)
        for key, cases in counts.most_common()
    )


def validation(comparisons: Sequence[Comparison]) -> Validation:
    """All that a validation says."""
    return Validation(
        cases=len(comparisons),
        predicted=sum(not one.reason for one in comparisons),
        by_group=by_group(comparisons),
        by_source=by_source(comparisons),
        refusals=refusals(comparisons),
        comparisons=tuple(comparisons),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Comparisons as columns: what statistics are made of.

    Attributes
    ----------
    source
        Numbers that tell sources apart.
    measured, predicted, low, high, simple
        As of `Comparison`.
    refused, rate, fitted
        Nothing is predicted; more is faster; constants were fitted to it.
    """

    source: NDArray[np.int64]
    measured: NDArray[np.float64]
    predicted: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    simple: NDArray[np.float64]
    refused: NDArray[np.bool_]
    rate: NDArray[np.bool_]
    fitted: NDArray[np.bool_]

    def only(self, rows: NDArray[Any]) -> Columns:
        """Some rows: a mask, or their places."""
        return Columns(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def columns(comparisons: Sequence[Comparison]) -> Columns:
    """Comparisons as columns."""
    numbers: dict[str, int] = {}
    for one in comparisons:
        numbers.setdefault(one.case.source, len(numbers))

    def floats(name: str) -> NDArray[np.float64]:
        return np.array([getattr(one, name) for one in comparisons], dtype=float)

    return Columns(
        source=np.array([numbers[one.case.source] for one in comparisons], dtype=np.int64),
        measured=floats("measured"),
        predicted=floats("predicted"),
        low=floats("low"),
        high=floats("high"),
        simple=floats("simple"),
        refused=np.array([bool(one.reason) for one in comparisons], dtype=bool),
        rate=np.array([one.rate for one in comparisons], dtype=bool),
        fitted=np.array([one.fitted for one in comparisons], dtype=bool),
    )


def statistics(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Cases, coverage, and the errors of those that no constant was fitted to (of all, where all were).

    Where times and rates are mixed, bias and baseline are those of the times.
    """
    return column_statistics(columns(comparisons))


def column_statistics(rows: Columns) -> dict[str, Any]:
    """`statistics` of comparisons that are columns already."""
    predicted = rows.only(~rows.refused)
    unfitted = predicted.only(~predicted.fitted)
    judged = unfitted if len(unfitted.source) else predicted
    kinds, place, counts = np.unique(judged.source, return_inverse=True, return_counts=True)
    weights = 1 / counts[place] / max(len(kinds), 1)
    mixed = judged.rate.any() and not judged.rate.all()
    signs = np.where(judged.rate, -1.0, 1.0) if mixed else np.ones(len(judged.rate))
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.abs(judged.predicted / judged.measured - 1)
        logs = signs * np.log(judged.predicted / judged.measured)
        simple = signs * np.log(judged.simple / judged.measured)
    known = np.isfinite(simple)
    constant = weighted_quantile(simple[known], weights[known], 0.5)
    centred = np.abs(np.exp(signs[known] * (simple[known] - constant)) - 1)
    bounded = ~np.isnan(judged.low)
    inside = ((judged.low <= judged.measured) & (judged.measured <= judged.high)).astype(float)[bounded]
    return {
        "cases": len(rows.source),
        "coverage": len(predicted.source) / len(rows.source),
        "evidence": len(unfitted.source),
        "sources": len(kinds),
        "median_error": weighted_quantile(errors, weights, 0.5),
        "p90_error": weighted_quantile(errors, weights, 0.9),
        "bias": float(np.exp(np.average(logs, weights=weights))) if len(logs) else float("nan"),
        "baseline_error": weighted_quantile(centred, weights[known], 0.5),
        "inside_80": float(np.average(inside, weights=weights[bounded])) if len(inside) else float("nan"),
    }
