"""The fitted rows of the kernels' measurements as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from farthing.evidence.kernels import Column
from farthing.evidence.outcome import number
from farthing.records.comparison import Case


def grouped(cases: Iterable[Case], *columns: str) -> dict[Any, list[Case]]:
    """Cases by the text of a column, or of several."""
    groups: dict[Any, list[Case]] = {}
    for case in cases:
        key = tuple(case.cells[column] for column in columns)
        groups.setdefault(key if len(columns) > 1 else key[0], []).append(case)
    return groups


def columns_of(cases: Sequence[Case], names: Sequence[str]) -> tuple[dict[str, Column], Column]:
    """Columns of sizes, and the measured times [s]."""
    columns = {name: np.array([number(case, name) for case in cases]) for name in names}
    return columns, np.array([number(case, "latency_ms") for case in cases]) * 1e-3


def error_of(predicted: Column, measured: Column) -> float:
    """Mean of the absolute logarithms, outliers cut."""
    return float(np.mean(np.minimum(np.abs(np.log(predicted / measured)), 0.25)))


def versions(cases: Sequence[Case]) -> str:
    """Engines and their versions, in words."""
    return ", ".join(sorted({f"{case.cells['backend']} {case.cells['backend_version']}" for case in cases}))
