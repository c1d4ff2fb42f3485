"""One named number of a derivation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A value, how it was computed, and from what.

    Attributes
    ----------
    name
        In words: ``weights per card``.
    value, unit
        In SI base units.
    formula
        In symbols: ``parameters × bytes per weight / tp``.
    numbers
        The same with the numbers put in: ``70e9 × 2 / 8``.
    reference
        Key of the bibliography; empty for plain arithmetic.
    terms
        The named numbers that the formula uses.
    """

    name: str
    value: float
    unit: str = ""
    formula: str = ""
    numbers: str = ""
    reference: str = ""
    terms: tuple[Term, ...] = ()
