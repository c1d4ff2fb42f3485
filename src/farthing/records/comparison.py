"""A measured number beside what was predicted for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What makes two cases alike, from the prediction's side.

    Attributes
    ----------
    what
        The time or size that is predicted: ``decode``, ``prefill``, ``request``, ``training step``,
        ``training memory``, ``matrix product``, ``attention``, ``collective``.
    engine
        Family of the engine, e.g. ``llama.cpp``.
    hardware
        Architecture of the slowest card, e.g. ``ada-geforce``.
    regime
        What else sets the accuracy: ``one card``, ``tensor parallel``, ``batch 1``, ``adapters``, ...
    """

    what: str
    engine: str = ""
    hardware: str = ""
    regime: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An 80% interval learned from like cases: the truth is expected in ``low .. high`` times the prediction.

    Attributes
    ----------
    likeness
        What was asked for.
    low, high
        Factors on the predicted time or size.
    cases, sources
        How many measurements of how many sources it rests on; 0 means that nothing alike was measured.
    basis
        In words.
    """

    likeness: Likeness
    low: float
    high: float
    cases: int
    sources: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of a file of measurements, as it stands there."""

    file: str
    id: str
    source: str
    kind: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One measured number of a case, and the prediction for it or the reason why there is none.

    Attributes
    ----------
    case
        Where the number stands.
    quantity
        The source's column or metric name.
    measured, predicted, low, high
        In the source's unit; the last three are NaN where nothing is predicted.
    simple
        What the peaks alone would give, in the source's unit; the trivial baseline is a constant times this.
    reason
        Why nothing is predicted; empty where it is.
    group
        Row of the accuracy table that the number counts in.
    likeness
        Of the prediction.
    rate
        Whether more is faster, so that a predicted time that is too long shows as a rate that is too low.
    fitted
        Whether the number served to fit constants.
    """

    case: Case
    quantity: str
    measured: float
    predicted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    simple: float = math.nan
    reason: str = ""
    group: str = ""
    likeness: Likeness = field(default_factory=lambda: Likeness(what=""))
    rate: bool = False
    fitted: bool = False

    @property
    def log_error(self) -> float:
        """Logarithm of predicted over measured; NaN where nothing is predicted."""
        if self.reason or not (self.predicted > 0 and self.measured > 0):
            return math.nan
        return math.log(self.predicted / self.measured)
