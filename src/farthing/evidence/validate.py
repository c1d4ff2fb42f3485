"""Compares every case with its prediction."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Sequence
from typing import Final

from farthing.evidence.split import is_fitted
from farthing.records.comparison import Case, Comparison

MODULES: Final = {
    "training": "training",
    "inference": "inference",
    "serving_online": "serving_online",
    "consumer": "consumer",
    "cluster": "cluster",
    "gemm": "kernels",
    "attention": "kernels",
    "collective": "kernels",
}
"""Module that reads each kind of case; its ``compare`` takes cases of that kind."""


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """The prediction of each measured number of the cases, or the reason why there is none, in order."""
    found: list[Comparison] = []
    for kind, group in _by_kind(cases):
        module = importlib.import_module(f"farthing.evidence.{MODULES[kind]}")
        found += [
            dataclasses.replace(one, fitted=True) if is_fitted(one.case) else one
            for one in module.compare(group)
        ]
    return found


def _by_kind(cases: Iterable[Case]) -> list[tuple[str, list[Case]]]:
    groups: list[tuple[str, list[Case]]] = []
    for case in cases:
        if not groups or groups[-1][0] != case.kind:
            groups.append((case.kind, []))
        groups[-1][1].append(case)
    return groups
