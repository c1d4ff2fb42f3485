"""What a refresh of rental prices brought."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUpdate:
    """Rental offers that were gathered and kept.

    Attributes
    ----------
    file
        Where they are kept.
    offers
        How many, the cheapest of each provider for an accelerator, on demand and spot.
    priced_accelerators
        How many accelerators they are for.
    providers
        Whose offers were read.
    missing_providers
        Who could not be reached; their earlier offers stay.
    unknown_offers
        Offers of cards that the catalogue does not hold, or whose variant nothing tells.
    unknown_names
        Those cards, the most offered first.
    """

    file: str
    offers: int
    priced_accelerators: int
    providers: tuple[str, ...]
    missing_providers: tuple[str, ...] = ()
    unknown_offers: int = 0
    unknown_names: tuple[str, ...] = ()
