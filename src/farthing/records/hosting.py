"""Data centres: what they charge for a place, and how much of their power is overhead."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """What colocation cost somewhere.

    Attributes
    ----------
    usd_per_kw_month
        Rent for each kilowatt that is contracted, used or not [USD/kW/month].
    includes_power
        Whether electricity is in it.
    country
        Id of a country; empty where the price is an average over several.
    region, date, source
        Where, of which time, and where it was read.
    """

    id: str
    name: str
    usd_per_kw_month: float
    includes_power: bool
    country: str = ""
    region: str = ""
    date: str
    source: str

    def __post_init__(self) -> None:
        if not self.usd_per_kw_month > 0:
            raise InvalidInput(f"hosting {self.id!r}: usd_per_kw_month must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """A kind of data centre by its overhead.

    Attributes
    ----------
    pue
        Power of the building over power of the computers, 1 and up.
    date, source
        The time that it is the average of, and where it was read.
    """

    id: str
    name: str
    pue: float
    date: str = ""
    source: str

    def __post_init__(self) -> None:
        if not self.pue >= 1:
            raise InvalidInput(f"facility {self.id!r}: pue must be at least 1")
