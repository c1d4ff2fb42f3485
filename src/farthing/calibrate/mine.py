"""Refits the constants of engines on cards to a user's own runs.

Each constant becomes a factor on the shipped one. The factors are found by damped least squares on the
logarithms of measured over predicted time: a few runs move them little, and no rate beats the hardware's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.catalog import own
from farthing.errors import InvalidInput
from farthing.evidence.accuracy import relative_errors
from farthing.evidence.load import read_file
from farthing.evidence.split import KERNELS
from farthing.evidence.validate import compare, forget_estimates
from farthing.records.comparison import Case, Comparison
from farthing.records.engine_efficiency import EngineEfficiency
from farthing.records.refit import Refit, RefitConstant

INFORMS: Final[Mapping[str, frozenset[str]]] = {
    "matmul_share": frozenset({"prefill", "request", "training step"}),
    "memory_share": frozenset({"decode", "request"}),
}
"""Which measurements say something about a constant."""

LEAST_RUNS: Final = 3
"""Measurements that a constant needs."""

PRIOR_RUNS: Final = 3.0
"""The shipped constants weigh as much as so many runs."""

OUTLIER: Final = 0.5
"""Errors beyond this (as a logarithm) lose weight."""

STEP: Final = math.log(1.1)
ROUNDS: Final = 3
MOST_CASES: Final = 400
"""Rows that are fitted at most, evenly taken: more add time, not knowledge."""

WIDEST: Final = math.log(4.0)

Key = tuple[str, str, str]
"""Engine, architecture, constant."""

Factors = dict[Key, float]
"""Logarithms of factors."""


def refit(path: Path, *, keep: bool = True) -> Refit:
    """Fit the constants to the runs of a file, and keep them.

    Raises
    ------
    InvalidInput
        A file that cannot be read, or of kernels, which have no engine.
    """
    cases = read_file(path)
    if cases and cases[0].kind in KERNELS:
        raise InvalidInput(
            f"{path}: runs of single kernels say nothing of engines; give runs of whole models"
        )
    every = len(cases)
    cases = cases[:: max(1, math.ceil(every / MOST_CASES))]
    before = _compared(cases, {})
    used = [one for one in before if not one.reason]
    counts = _runs(used)
    keys = [key for key, runs in counts.items() if runs >= LEAST_RUNS]
    factors = _fitted(cases, keys)
    after = [one for one in _compared(cases, factors) if not one.reason]
    if not _median(after) < _median(used):
        factors, after = {}, used
    rows = _rows(factors, counts)
    file = ""
    if keep and rows:
        file = str(own.save(rows))
        catalog.engine_efficiency.cache_clear()
    reasons = Counter(one.reason for one in before if one.reason)
    return Refit(
        file=file,
        rows=every,
        rows_fitted=len(cases),
        runs=len(before),
        predicted=len(used),
        error_before=_median(used),
        error_after=_median(after),
        error_unseen=_unseen(cases, keys),
        constants=tuple(
            RefitConstant(engine=e, architecture=a, name=n, factor=math.exp(value), runs=counts[e, a, n])
            for (e, a, n), value in factors.items()
        ),
        missing=tuple(_missing(counts)),
        refusals=tuple(f"{number} x {reason}" for reason, number in reasons.most_common()),
    )


def _runs(used: Sequence[Comparison]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for one in used:
        for name, whats in INFORMS.items():
            found[one.likeness.engine, one.likeness.hardware, name] += one.likeness.what in whats
    return found


def _missing(counts: Mapping[Key, int]) -> list[str]:
    found = []
    for (engine, architecture, name), runs in counts.items():
        if runs < LEAST_RUNS:
            kinds = " or ".join(sorted(INFORMS[name]))
            found.append(
                f"{name} of {engine or 'no engine'} on {architecture} stays: {runs} of the {LEAST_RUNS} "
                f"measurements of {kinds} that it needs"
            )
    return found


def _rows(factors: Factors, counts: Mapping[Key, int]) -> list[EngineEfficiency]:
    found = []
    for engine, architecture in dict.fromkeys((e, a) for e, a, _ in factors):
        shares: dict[str, Any] = {
            n: math.exp(v) for (e, a, n), v in factors.items() if (e, a) == (engine, architecture)
        }
        runs = max(counts[engine, architecture, name] for name in shares)
        found.append(
            EngineEfficiency(
                engine=engine or "none",
                architecture=architecture,
                **shares,
                fitted_on=f"your {runs} runs",
            )
        )
    return found


def _compared(cases: Sequence[Case], factors: Factors) -> list[Comparison]:
    """The comparisons under factors; constants looked up before do not count, nor do they stay."""
    with own.trying(_rows(factors, Counter())):
        _forget()
        found = compare(cases, own=True)
    _forget()
    return found


def _forget() -> None:
    catalog.engine_efficiency.cache_clear()
    forget_estimates()


def _log_ratios(comparisons: Sequence[Comparison]) -> NDArray[np.float64]:
    """Measured over predicted time of each; 0 where nothing is predicted."""
    return np.array([0.0 if one.reason else one.log_error * (1 if one.rate else -1) for one in comparisons])


def _fitted(cases: Sequence[Case], keys: Sequence[Key]) -> Factors:
    factors: Factors = dict.fromkeys(keys, 0.0)
    if not keys:
        return {}
    for _ in range(ROUNDS):
        now = _compared(cases, factors)
        errors = _log_ratios(now)
        pairs = [(one.likeness.engine, one.likeness.hardware) for one in now]
        slopes = {}
        for name in dict.fromkeys(name for _, _, name in keys):
            # Each pair of engine and card has rows of its own: all can be moved at once.
            moved = {key: value + STEP * (key[2] == name) for key, value in factors.items()}
            slopes[name] = (errors - _log_ratios(_compared(cases, moved))) / STEP
        for pair in dict.fromkeys((engine, architecture) for engine, architecture, _ in keys):
            mine = np.array([p == pair and not one.reason for p, one in zip(pairs, now, strict=True)])
            names = [name for e, a, name in keys if (e, a) == pair]
            design = np.column_stack([slopes[name][mine] for name in names])
            weights = np.minimum(1.0, OUTLIER / np.maximum(np.abs(errors[mine]), 1e-9))
            start = np.array([factors[(*pair, name)] for name in names])
            normal = design.T @ (design * weights[:, None]) + PRIOR_RUNS * np.eye(len(names))
            step = np.linalg.solve(normal, design.T @ (errors[mine] * weights) - PRIOR_RUNS * start)
            for name, value in zip(names, np.clip(start + step, -WIDEST, WIDEST), strict=True):
                factors[(*pair, name)] = float(value)
    return {key: value for key, value in factors.items() if abs(value) >= 0.005}


def _median(comparisons: Sequence[Comparison]) -> float:
    return float(np.median(relative_errors(comparisons))) if comparisons else math.nan


def _unseen(cases: Sequence[Case], keys: Sequence[Key]) -> float:
    """Median error where each half of the runs is predicted from the other half."""
    if not keys or len(cases) < 2 * LEAST_RUNS:
        return math.nan
    halves = cases[::2], cases[1::2]
    found: list[Comparison] = []
    for seen, unseen in (halves, halves[::-1]):
        found += [one for one in _compared(unseen, _fitted(seen, keys)) if not one.reason]
    return _median(found)
