"""Errors of past predictions, condensed."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.comparison import Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """What one source's measurements of one likeness say about the predictions.

    Attributes
    ----------
    likeness
        Of the predictions.
    source
        Who measured.
    cases
        How many numbers.
    log_ratios
        Quantiles of the logarithm of measured over predicted time or size, each for the same share of cases.
    """

    likeness: Likeness
    source: str
    cases: int
    log_ratios: tuple[float, ...]
