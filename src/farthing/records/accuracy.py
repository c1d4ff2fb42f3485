"""How far predictions are from measurements, in figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from farthing.records.comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Statistics of some comparisons; every source counts the same, however many rows it has.

    Attributes
    ----------
    file, kind, group, quantity, source
        Which comparisons; empty means any.
    cases
        Measured numbers.
    coverage
        Share of them that is predicted.
    evidence
        Predicted numbers that no constant was fitted to; where there are any, the errors are of them alone.
    sources
        How many sources the figures are of.
    median_error, p90_error
        Median and 90th percentile of |predicted / measured - 1|.
    bias
        exp of the mean of log(predicted / measured): 1.1 predicts a tenth too much.
    baseline_error
        Median error of the trivial baseline: one constant times what the peaks give, fitted to the same rows.
    inside_80
        Share of the measurements inside their 80% interval.
    """

    file: str = ""
    kind: str = ""
    group: str = ""
    quantity: str = ""
    source: str = ""
    cases: int
    coverage: float
    evidence: int
    sources: int
    median_error: float
    p90_error: float
    bias: float
    baseline_error: float
    inside_80: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why some numbers are not predicted.

    Attributes
    ----------
    kind, reason
        Of the cases.
    cases
        How many numbers.
    """

    kind: str
    reason: str
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Measurements beside predictions, and what they say.

    Attributes
    ----------
    cases, predicted
        Measured numbers, and how many of them are predicted.
    by_group
        By row of the accuracy table; fitted numbers are left out of the errors.
    by_source
        By file, kind, quantity and source.
    refusals
        Why the others are not predicted, most frequent first.
    comparisons
        Every number.
    """

    cases: int
    predicted: int
    by_group: tuple[Accuracy, ...]
    by_source: tuple[Accuracy, ...]
    refusals: tuple[Refusal, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A measured number that ships with farthing, and how its prediction came out.

    Attributes
    ----------
    kind, file, id
        Which row of which file of measurements.
    group
        Row of the accuracy table that it counts in.
    quantity, name, unit
        What was measured: the file's column or metric, and in words. ``unit`` is the file's.
    source, citation, url
        Who measured, where it was published, and the page; empty where nobody kept it.
    setup
        Model, cards, engine, split and load, in words.
    measured, predicted, low, high
        In the file's unit; the last three are NaN where nothing is predicted, ends of the 80% interval too
        where nothing alike was measured.
    rate
        More is faster.
    fitted
        Constants were fitted to it, so that it is no evidence.
    reason
        Why nothing is predicted; empty where it is.
    """

    kind: str
    file: str
    id: str
    group: str
    quantity: str
    name: str
    unit: str
    source: str
    citation: str
    url: str
    setup: str
    measured: float
    predicted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    rate: bool = False
    fitted: bool = False
    reason: str = ""

    @property
    def error(self) -> float:
        """Predicted over measured less 1; NaN where nothing is predicted."""
        return self.predicted / self.measured - 1 if self.measured else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyOverview:
    """How the measurements that ship with farthing came out.

    Attributes
    ----------
    cases, predicted, fitted
        Measured numbers; how many of them are predicted, and of those how many constants were fitted to.
    by_group
        By row of the accuracy table; fitted numbers are left out of the errors.
    by_source
        By row of the table and source.
    refusals
        Why the others are not predicted, most frequent first.
    """

    cases: int
    predicted: int
    fitted: int
    by_group: tuple[Accuracy, ...]
    by_source: tuple[Accuracy, ...]
    refusals: tuple[Refusal, ...]
