"""Refreshes rental offers through the package gpuhunt, which publishes what clouds ask."""

from __future__ import annotations

import contextlib
import datetime
import fnmatch
import functools
import importlib
import math
import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from farthing.catalog import own_prices
from farthing.catalog.load import table
from farthing.catalog.prices import prices
from farthing.errors import FarthingError, InvalidInput
from farthing.records.hardware import Price
from farthing.records.price_update import PriceUpdate
from farthing.units import GIB

OLDEST: Final = (0, 1, 34)
"""Earlier ones publish all clouds in one catalogue."""

TIMEOUT_S: Final = 30.0
"""Without an answer for so long, a cloud's catalogue counts as unreachable."""

SAME_MEMORY: Final = 0.07
"""Sizes so near are the same card's: catalogues mix GB, GiB and what the driver leaves."""

RESERVED: Final = "gcp-dws-calendar-mode"
"""Offers so flagged are booked ahead for a term; they are not on demand."""

PROVIDERS: Final = {
    "aws": "AWS",
    "azure": "Azure",
    "cloudrift": "CloudRift",
    "gcp": "GCP",
    "lambdalabs": "Lambda",
    "nebius": "Nebius",
    "oci": "Oracle Cloud",
    "runpod": "RunPod",
    "verda": "Verda",
}
"""What prices call the clouds that gpuhunt collects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """What a name of gpuhunt means.

    Attributes
    ----------
    gpu, memory_bytes
        Its name and memory of a card.
    offer
        Pattern of provider and machine: the same name may be several variants of a card.
    accelerator, accelerators
        Our id, and how many of it one of theirs is.
    """

    gpu: str
    memory_bytes: float
    offer: str
    accelerator: str
    accelerators: int
    source: str


@functools.cache
def _names() -> Mapping[str, tuple[Rented, ...]]:
    found: dict[str, tuple[Rented, ...]] = {}
    for row in table("gpuhunt.csv", Rented).values():
        found[row.gpu.lower()] = (*found.get(row.gpu.lower(), ()), row)
    return found


def rented(gpu: str, memory_gib: float, offer: str = "") -> Rented | None:
    """Which accelerator an offer is of; None where the catalogue lacks it or nothing tells the variant.

    Parameters
    ----------
    gpu, memory_gib
        gpuhunt's name of the card, and its memory [GiB].
    offer
        Provider and machine.

    Examples
    --------
    >>> rented("H100", 80, "lambdalabs gpu_8x_h100_sxm5").accelerator
    'h100-sxm'
    >>> rented("A10", 24).accelerator, rented("A10", 4), rented("H100", 80, "somewhere gpu-h100")
    ('a10', None, None)
    """
    for row in _names().get(gpu.lower(), ()):
        near = math.isclose(memory_gib * GIB, row.memory_bytes, rel_tol=SAME_MEMORY)
        if near and fnmatch.fnmatchcase(offer.lower(), row.offer):
            return row
    return None


def cheapest(
    offers: Iterable[Any], dates: Mapping[str, str], version: str
) -> tuple[tuple[Price, ...], Counter[str]]:
    """The cheapest offer of each provider for an accelerator, on demand and spot; and what is unknown.

    Parameters
    ----------
    offers
        gpuhunt's ``CatalogItem``, of machines with cards or without.
    dates
        By provider, the day that its offers were collected.
    version
        Of gpuhunt.

    Returns
    -------
    tuple
        Prices by accelerator, and how many offers each name that is not known has.
    """
    found: dict[tuple[str, str, bool], Price] = {}
    unknown: Counter[str] = Counter()
    for offer in offers:
        usable = offer.gpu_count and offer.gpu_name and 0 < offer.price < own_prices.MOST_USD
        if not usable or RESERVED in offer.flags:
            continue
        row = rented(offer.gpu_name, offer.gpu_memory or 0.0, f"{offer.provider} {offer.instance_name}")
        if row is None:
            unknown[f"{offer.gpu_name} {offer.gpu_memory or 0:g} GiB"] += 1
            continue
        count = offer.gpu_count * row.accelerators
        provider = PROVIDERS.get(offer.provider, offer.provider)
        price = Price(
            item=row.accelerator,
            kind="rental",
            usd=offer.price / count,
            per="accelerator-hour",
            provider=provider,
            spot=offer.spot,
            region=offer.location,
            date=dates[offer.provider],
            source=f"gpuhunt {version}, {provider}; {offer.instance_name}"
            + (f", price of {count} accelerators divided" if count > 1 else ""),
        )
        key = (row.accelerator, provider, offer.spot)
        if key not in found or price.usd < found[key].usd:
            found[key] = price
    return tuple(found[key] for key in sorted(found)), unknown


def update_prices() -> PriceUpdate:
    """Refresh rental offers and go by them from now on.

    A provider that cannot be reached keeps its earlier offers. ``GPUHUNT_CATALOG_URL`` names another place
    than gpuhunt's own that publishes its catalogue, such as a mirror.

    Raises
    ------
    InvalidInput
        The package gpuhunt is not installed, or nothing can be written.
    FarthingError
        No offers could be read; says which prices stay in use.
    """
    gpuhunt, version = _package()
    source = gpuhunt.Catalog(balance_resources=False, auto_reload=False)
    with _patience():
        try:
            source.load()
        except (gpuhunt.GPUHuntError, OSError) as error:
            raise _failed(str(error.__cause__ or error)) from None
    read = {name: found for name, found in source.catalog.items() if found.items}
    dates = {name: _date(found.version) for name, found in read.items()}
    offers = (offer for found in read.values() for offer in found.items)
    fresh, unknown = cheapest(offers, dates, version)
    if not fresh:
        raise _failed("nothing in it is an offer of a known accelerator")
    providers = {PROVIDERS.get(name, name) for name in read}
    before = own_prices.kept(own_prices.stamps()[1])
    kept = tuple(price for price in before if price.provider not in providers)
    own_prices.write(own_prices.updated_file(), (*fresh, *kept))
    return PriceUpdate(
        file=str(own_prices.updated_file()),
        offers=len(fresh),
        priced_accelerators=len({price.item for price in fresh}),
        providers=tuple(sorted(providers)),
        missing_providers=tuple(sorted(set(PROVIDERS.values()) - providers)),
        unknown_offers=unknown.total(),
        unknown_names=tuple(name for name, _ in unknown.most_common()),
    )


def _package() -> tuple[Any, str]:
    """The package and its version, untyped so that no checker reads the whole of it."""
    install = "pip install 'farthing[prices]'"
    try:
        gpuhunt = importlib.import_module("gpuhunt")
        version = str(importlib.import_module("gpuhunt.version").__version__)
    except ImportError:
        raise InvalidInput(f"refreshing prices needs the package gpuhunt: {install}") from None
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InvalidInput(f"refreshing prices needs gpuhunt {oldest} or later, not {version}: {install}")
    return gpuhunt, version


def _failed(reason: str) -> FarthingError:
    rentals = [price.date for price in prices() if price.kind == "rental"]
    stay = f"; the prices of {max(rentals)} stay in use" if rentals else ""
    return FarthingError(f"cannot refresh rental prices from gpuhunt's catalogue: {reason}{stay}")


def _date(version: str) -> str:
    """The day in a catalogue's version such as 20260818-42; without one it was read today."""
    found = re.match(r"(\d{4})(\d\d)(\d\d)\b", version)
    text = "-".join(found.groups()) if found else ""
    try:
        return own_prices.check_date(text)
    except InvalidInput:
        return datetime.date.today().isoformat()


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """gpuhunt waits for ever by itself."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
