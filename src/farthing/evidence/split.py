"""Which measurements may serve to fit constants; all others are evidence and are never fitted to.

Whole-model measurements are split by source. The kernel measurements come from one collection on a few cards,
so there a fixed quarter of the shapes is fitted and the rest is evidence.
"""

from __future__ import annotations

import csv
import functools
import zlib
from importlib import resources
from typing import Final

from farthing.records.comparison import Case

KERNELS: Final = ("gemm", "attention", "collective")


@functools.cache
def fitted_sources() -> frozenset[tuple[str, str]]:
    """Kind and source of the whole-model measurements that may be fitted."""
    text = (resources.files("farthing.evidence") / "split.csv").read_text("utf-8")
    return frozenset((row["kind"], row["source"]) for row in csv.DictReader(text.splitlines()))


def is_fitted(case: Case) -> bool:
    """Whether constants may have been fitted to this case.

    Examples
    --------
    >>> gemm = {"m": "64", "n": "128", "k": "256", "latency_ms": "0.01"}
    >>> is_fitted(Case(file="", id="1", source="", kind="gemm", cells=gemm))
    False
    """
    if case.kind in KERNELS:
        shape = ",".join(value for name, value in case.cells.items() if name != "latency_ms")
        return zlib.crc32(shape.encode()) % 4 == 0
    return (case.kind, case.source) in fitted_sources()
