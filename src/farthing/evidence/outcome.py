"""Makes the comparisons of a case: predicted, or refused with a reason."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from farthing.errors import FarthingError
from farthing.records.comparison import Case, Comparison, Likeness
from farthing.records.estimate import InferenceEstimate, TrainingEstimate

LONGEST: Final = 160
"""Characters of a reason."""


def compared(
    case: Case,
    quantity: str,
    measured: float,
    predicted: float,
    *,
    simple: float,
    group: str,
    likeness: Likeness,
    rate: bool = False,
) -> Comparison:
    """A measured number and its prediction, both in the source's unit."""
    return Comparison(
        case=case,
        quantity=quantity,
        measured=measured,
        predicted=predicted,
        simple=simple,
        group=group,
        likeness=likeness,
        rate=rate,
    )


def refused(case: Case, quantity: str, measured: float, reason: str, *, group: str = "") -> Comparison:
    """A measured number without a prediction, and why: in one short line, whatever the cells hold."""
    line = " ".join(reason.split())
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."
    return Comparison(case=case, quantity=quantity, measured=measured, reason=line, group=group)


def likeness_of(estimate: InferenceEstimate | TrainingEstimate, what: str) -> Likeness:
    """What makes other cases like this prediction of a time or size of an estimate."""
    return dataclasses.replace(estimate.intervals[0].likeness, what=what)


def number(case: Case, column: str) -> float:
    """A cell as a number; NaN where it is empty.

    Raises
    ------
    FarthingError
        A cell that is no finite number.
    """
    text = case.cells.get(column, "")
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise FarthingError(f"{column} is {text!r}, not a number") from None
    if not math.isfinite(value):
        raise FarthingError(f"{column} is {text!r}, not a finite number")
    return value
