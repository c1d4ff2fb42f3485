"""Statistics of comparisons: every source counts the same, however many rows it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from farthing.records.comparison import Comparison


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


def table(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """Rows by group, over all sources and for each one: what the accuracy page prints."""
    rows: list[dict[str, object]] = []
    groups = list(dict.fromkeys((one.case.kind, one.group) for one in comparisons if one.group))
    for kind, group in groups:
        mine = [one for one in comparisons if (one.case.kind, one.group) == (kind, group)]
        rows.append({"kind": kind, "group": group, "source": "all", **statistics(mine)})
        for source in dict.fromkeys(one.case.source for one in mine):
            own = [one for one in mine if one.case.source == source]
            rows.append({"kind": kind, "group": group, "source": source, **statistics(own)})
    return rows


def statistics(comparisons: Sequence[Comparison]) -> dict[str, object]:
    """Cases, coverage, and the errors of those that no constant was fitted to (of all, where all were)."""
    predicted = [one for one in comparisons if not one.reason]
    evidence = [one for one in predicted if not one.fitted] or predicted
    weights = source_weights(evidence)
    errors, logs = relative_errors(evidence), np.array([one.log_error for one in evidence])
    simple = np.array([np.log(one.simple / one.measured) for one in evidence])
    centred = np.abs(np.exp(simple - weighted_quantile(simple, weights, 0.5)) - 1)
    inside = np.array([one.low <= one.measured <= one.high for one in evidence])
    return {
        "cases": len(comparisons),
        "coverage": len(predicted) / len(comparisons),
        "evidence": 0 if all(one.fitted for one in predicted) else len(evidence),
        "sources": len({one.case.source for one in evidence}),
        "median_error": weighted_quantile(errors, weights, 0.5),
        "p90_error": weighted_quantile(errors, weights, 0.9),
        "bias": float(np.exp(np.average(logs, weights=weights))) if len(logs) else float("nan"),
        "baseline_error": weighted_quantile(centred, weights, 0.5),
        "inside_80": float(np.average(inside, weights=weights)) if len(inside) else float("nan"),
    }
