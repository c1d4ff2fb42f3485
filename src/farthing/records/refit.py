"""What a user's own runs say about the constants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitConstant:
    """A constant that was fitted again.

    Attributes
    ----------
    engine, architecture
        What it is for.
    name
        Field of `EngineEfficiency`.
    factor
        On the shipped constant.
    runs
        Measured numbers that it was fitted to.
    """

    engine: str
    architecture: str
    name: str
    factor: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """Constants fitted again to a user's runs.

    Attributes
    ----------
    file
        Where the constants are kept; empty where none changed.
    rows, rows_fitted
        Of the file, and of the even sample of them that is fitted where they are many.
    runs, predicted
        Measured numbers of those, and how many of them are predicted.
    error_before, error_after
        Median |predicted / measured - 1| with the constants as shipped and refitted.
    error_unseen
        The same when each half of the runs is predicted from the other half; NaN of too few runs.
    constants
        What changed.
    missing
        What was left as it is, and what it would take.
    refusals
        Reasons for runs that are not predicted.
    """

    file: str
    rows: int
    rows_fitted: int
    runs: int
    predicted: int
    error_before: float
    error_after: float
    error_unseen: float
    constants: tuple[RefitConstant, ...]
    missing: tuple[str, ...]
    refusals: tuple[str, ...]
