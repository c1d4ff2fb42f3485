"""The condensed errors of predictions, from which intervals are made."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from importlib import resources
from typing import Final

from farthing.errors import CatalogError
from farthing.records.comparison import Likeness
from farthing.records.residual import Residual

DATA: Final = resources.files("farthing.catalog") / "data"
RESIDUALS: Final = "efficiency/residuals.csv"
WIDENING: Final = "efficiency/widening.csv"


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text("utf-8").splitlines()))


@functools.cache
def residuals() -> Mapping[str, tuple[Residual, ...]]:
    """All residuals by what they are of."""
    found: dict[str, list[Residual]] = {}
    for number, row in enumerate(_rows(RESIDUALS), start=1):
        try:
            residual = Residual(
                likeness=Likeness(
                    what=row["what"], engine=row["engine"], hardware=row["hardware"], regime=row["regime"]
                ),
                source=row["source"],
                cases=int(row["cases"]),
                log_ratios=tuple(map(float, row["log_ratios"].split())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CatalogError(RESIDUALS, str(number), "log_ratios", f"cannot be read: {error}") from None
        found.setdefault(residual.likeness.what, []).append(residual)
    return {what: tuple(rows) for what, rows in found.items()}


@functools.cache
def widening() -> Mapping[str, float]:
    """Factor on an interval's width by what it is of: unseen sources then fall inside as often as said."""
    try:
        return {row["what"]: float(row["factor"]) for row in _rows(WIDENING)}
    except (KeyError, TypeError, ValueError) as error:
        raise CatalogError(WIDENING, "", "factor", f"cannot be read: {error}") from None


def forget() -> None:
    """Read the files again when next asked."""
    residuals.cache_clear()
    widening.cache_clear()
