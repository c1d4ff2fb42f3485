"""How far a predicted number of an estimate may be off."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.comparison import Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBar:
    """The 80% interval of one number of an estimate.

    Attributes
    ----------
    name
        The field of the estimate; ``total_bytes`` is that of its memory.
    low, high
        In the field's unit; None where nothing like it was measured.
    likeness
        What counts as alike.
    cases, sources
        How many measurements of how many sources it rests on.
    basis
        In words.
    """

    name: str
    low: float | None
    high: float | None
    likeness: Likeness
    cases: int
    sources: int
    basis: str
