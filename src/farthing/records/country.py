"""Countries: what electricity costs there and what a socket gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

from farthing.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country that a rig may stand in.

    Attributes
    ----------
    id
        Its two letters in ISO 3166-1, lower case.
    name, other_names
        In English; ``other_names`` are separated by semicolons.
    usd_per_kwh_household, usd_per_kwh_business
        Average price of electricity with taxes and charges [USD/kWh]; for businesses 0 where unknown.
    volts
        Nominal mains of a household, the lower of two where regions differ [V].
    circuit_amperes
        What an ordinary earthed socket carries; the weaker where several of 10 A and more are common [A].
    date, source
        When and where the prices were read.
    mains_source
        Where ``volts`` and ``circuit_amperes`` are from.
    """

    id: str
    name: str
    other_names: str = ""
    usd_per_kwh_household: float
    usd_per_kwh_business: float = 0.0
    volts: float
    circuit_amperes: float
    date: str
    source: str
    mains_source: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z]{2}", self.id):
            raise InvalidInput(f"country {self.id!r}: the id must be two lower-case letters of ISO 3166-1")
        for field in ("usd_per_kwh_household", "volts", "circuit_amperes"):
            if not getattr(self, field) > 0:
                raise InvalidInput(f"country {self.id!r}: {field} must be positive")
        if not self.usd_per_kwh_business >= 0:
            raise InvalidInput(f"country {self.id!r}: usd_per_kwh_business cannot be negative; 0 is unknown")

    @property
    def names(self) -> tuple[str, ...]:
        """All its English names."""
        return tuple(name.strip() for name in (self.name, *self.other_names.split(";")) if name.strip())
