"""What accelerators fetch used."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Resale:
    """A used price over the launch price.

    Attributes
    ----------
    item
        Id of the accelerator.
    age_years
        From its launch to the used price [year].
    share
        Used price over launch price; above 1 in a shortage.
    date, source
        When and where it was for sale, and what the launch price rests on.
    """

    item: str
    age_years: float
    share: float
    date: str
    source: str

    def __post_init__(self) -> None:
        for field in ("age_years", "share"):
            if not getattr(self, field) > 0:
                raise InvalidInput(f"resale of {self.item!r}: {field} must be positive")
