"""Hosts with cards in them: which fit, what they cost without the cards, what they draw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from farthing.catalog.cluster import intra_link
from farthing.design.shop import Shop
from farthing.errors import UnknownName
from farthing.estimate.cost import host_power_w
from farthing.records.design import BillRow, Ownership
from farthing.records.hardware import Accelerator, Cluster, Host, HostGroup, Link
from farthing.records.parts import Part

SUPPLY_MARGIN: Final = 1.2
"""Watts that supplies deliver over what the parts may draw: cards exceed their limit for milliseconds. An
assumption, in the middle of what builders advise."""

MOST_SUPPLIES: Final = 4
"""That one case takes."""

CARDS: Final = (1, 2, 4, 6, 8)
"""Cards of one host that are tried, beside all its slots."""

RENTED_CARDS: Final = (1, 2, 4, 8)
"""Cards of one rented machine, as providers sell them."""

SYSTEM_BYTES: Final = 8 * 2**30
"""Main memory beside what loading a card's weights takes. An assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A host with some cards.

    Attributes
    ----------
    accelerator, cards, host
        What is in it; a rented machine has no host.
    included
        Its price holds the cards'.
    usd, host_w
        Of the machine without cards (unless they are included), and what it draws beside them.
    supply, supplies
        Power supplies that are bought with it.
    circuits
        Household circuits that it needs; 0 where they do not matter.
    memory_bytes
        Main memory; 0 where it does not matter.
    free_slots, free_slot_bytes_per_s
        For network cards: how many, and what the best of them carries.
    """

    accelerator: Accelerator
    cards: int
    host: Host | None
    included: bool = False
    usd: float = 0.0
    host_w: float = 0.0
    supply: Part | None = None
    supplies: int = 0
    circuits: int = 0
    memory_bytes: float = 0.0
    free_slots: int = 0
    free_slot_bytes_per_s: float = 0.0

    def group(self, shop: Shop, hosts: int = 1, network: Link | None = None, nics: int = 1) -> HostGroup:
        """So many of them as part of a cluster."""
        return host_group(self.accelerator, self.cards, self.host, shop, hosts, network, nics)

    def bill(self, shop: Shop, hosts: int) -> Iterator[BillRow]:
        """What so many of them cost without their cards."""
        if self.host is None:
            return
        parts = [] if has_own_price(shop, self.host) else host_parts(shop, self.host, self.cards)
        for item, quantity in parts:
            price = shop.price(item)
            assert price is not None  # an unpriced host is not on offer
            yield shop.row("host", item, shop.parts[item].name, quantity * hosts, price)
        if not parts and self.host.kind != "soc":
            price = shop.price(self.host.id)
            assert price is not None
            yield shop.row("host", self.host.id, self.host.name, hosts, price)
        if self.supply is not None:
            price = shop.price(self.supply.id)
            assert price is not None
            yield shop.row("supply", self.supply.id, self.supply.name, self.supplies * hosts, price)


def host_group(
    card: Accelerator,
    cards: int,
    host: Host | None,
    shop: Shop,
    hosts: int = 1,
    network: Link | None = None,
    nics: int = 1,
) -> HostGroup:
    """Like hosts as the estimates take them."""
    return HostGroup(
        hosts=hosts,
        accelerators_per_host=cards,
        accelerator=card,
        intra_link=intra_link(card, host, shop.links),
        host_copy=not card.peer_to_peer and not card.link,
        network=network,
        nics_per_host=nics,
        host=host,
    )


def machine_cluster(
    machine: Machine, shop: Shop, hosts: int = 1, network: Link | None = None, nics: int = 1
) -> Cluster:
    """So many of a machine, named as ``farthing infer --on`` takes them."""
    ports = f"{nics}x" if nics > 1 and network is not None and not network.per_accelerator else ""
    ports = "1x" if network is not None and network.per_accelerator and nics < machine.cards else ports
    at = f"@{ports}{network.id}" if network is not None else ""
    return Cluster(
        name=f"{hosts}x{machine.cards}:{machine.accelerator.id}{at}",
        groups=(machine.group(shop, hosts, network, nics),),
        network=network,
    )


def takes(host: Host, card: Accelerator) -> bool:
    """Whether a host has a place for a card.

    Examples
    --------
    >>> from farthing import catalog
    >>> takes(catalog.host("romed8-2t"), catalog.accelerator("rtx-3090"))
    True
    >>> takes(catalog.host("romed8-2t"), catalog.accelerator("h100-sxm"))
    False
    """
    if host.accelerators:
        return card.id in host.accelerators.split()
    return card.form == "PCIe" and host.kind != "soc" and not host.cards_included


def machines(
    shop: Shop, card: Accelerator, ownership: Ownership, cards_per_host: int = 0
) -> Iterator[Machine]:
    """Every host that takes a card and has a price, with each number of cards, or with a given one."""
    for host in shop.hosts.values():
        if not takes(host, card):
            continue
        if host.cards_included:
            counts: tuple[int, ...] = (host.cards_included,)
        else:
            counts = tuple(sorted({*(cards for cards in CARDS if cards <= host.slots), host.slots}))
        if cards_per_host:
            fits = cards_per_host in counts if host.cards_included else cards_per_host <= host.slots
            counts = (cards_per_host,) if fits else ()
        for cards in counts:
            usd = _host_usd(shop, host, cards)
            if usd is None:
                continue
            found = _machine(shop, card, cards, host, usd, ownership)
            if found is not None:
                yield found


def rented(card: Accelerator) -> Iterator[Machine]:
    """A provider's machines with a card; what they draw is the provider's."""
    several = card.kind in ("gpu", "npu", "tpu") and card.form not in ("superchip", "module", "SoC")
    for cards in RENTED_CARDS if several else (1,):
        yield Machine(accelerator=card, cards=cards, host=None)


def host_parts(shop: Shop, host: Host, cards: int) -> list[tuple[str, int]]:
    """What a host that somebody builds is made of; a riser for each card where it has any.

    Examples
    --------
    >>> from farthing.catalog import host
    >>> from farthing.design.shop import market
    >>> [dict(host_parts(market(), host("romed8-2t-frame"), cards))["riser-pcie4-x16"] for cards in (2, 6)]
    [2, 6]
    """
    return [
        (item, cards if shop.parts[item].kind == "riser" else quantity)
        for item, quantity in shop.host_parts.get(host.id, ())
    ]


def has_own_price(shop: Shop, host: Host) -> bool:
    """Whether the buyer prices a host that others build of parts: it is had whole, with its supplies."""
    return host.id in shop.given_usd and bool(shop.host_parts.get(host.id))


def _host_usd(shop: Shop, host: Host, cards: int) -> float | None:
    if has_own_price(shop, host):
        return shop.given_usd[host.id]
    parts = host_parts(shop, host, cards)
    if parts:
        prices = [(shop.price(item), quantity) for item, quantity in parts]
        if any(price is None for price, _ in prices):
            return None
        return sum(price.usd * quantity for price, quantity in prices if price is not None)
    price = shop.price(host.id)
    if price is not None:
        return price.usd
    # Where the accelerator is the machine, its own price is all there is.
    return 0.0 if host.kind == "soc" and not host.cards_included else None


def _machine(
    shop: Shop, card: Accelerator, cards: int, host: Host, usd: float, ownership: Ownership
) -> Machine | None:
    try:
        group = host_group(card, cards, host, shop)
    except UnknownName:
        # Nothing is known of such a slot's rate.
        return None
    host_w = host_power_w(group)
    most_w = cards * card.tdp_w + host_w
    supply, supplies = None, 0
    if host.kind != "soc" and host.psu_w and not shop.host_parts.get(host.id):
        if most_w > host.psu_w:
            return None
    elif host.kind != "soc" and not has_own_price(shop, host):
        if not shop.host_parts.get(host.id):
            # Nobody says what its supplies deliver.
            return None
        chosen = _supplies(shop, most_w * SUPPLY_MARGIN, ownership)
        if chosen is None:
            return None
        supply, supplies, supply_usd = chosen
        usd += supply_usd
    free = host.slots - cards if host.pcie_lanes_per_slot else 0
    lane_rates = [
        _slot_bytes_per_s(shop, host.pcie_generation, host.pcie_lanes_per_slot) if free else 0.0,
        _slot_bytes_per_s(shop, host.extra_pcie_generation, host.extra_pcie_lanes)
        if host.extra_slots
        else 0.0,
    ]
    return Machine(
        accelerator=card,
        cards=cards,
        host=host,
        included=host.cards_included > 0,
        usd=usd,
        host_w=host_w,
        supply=supply,
        supplies=supplies,
        circuits=math.ceil(most_w / ownership.circuit_w) if ownership.circuit_w else 0,
        memory_bytes=0.0 if host.kind == "soc" else host.memory_bytes,
        free_slots=free + host.extra_slots,
        free_slot_bytes_per_s=max(lane_rates),
    )


def _slot_bytes_per_s(shop: Shop, generation: int, lanes: int) -> float:
    link = shop.links.get(f"pcie{generation}-x{lanes}")
    return link.bytes_per_s if link is not None else 0.0


def _supplies(shop: Shop, needed_w: float, ownership: Ownership) -> tuple[Part, int, float] | None:
    """As few like supplies as deliver so much, each within a circuit; of as many the cheapest."""
    best: tuple[Part, int, float] | None = None
    for part in shop.parts.values():
        price = shop.price(part.id) if part.kind == "psu" else None
        if price is None:
            continue
        count = math.ceil(needed_w / part.power_w)
        if ownership.circuit_w and needed_w / SUPPLY_MARGIN / count > ownership.circuit_w:
            count = math.ceil(needed_w / SUPPLY_MARGIN / ownership.circuit_w)
        if count > MOST_SUPPLIES:
            continue
        usd = price.usd * count
        if best is None or (count, usd) < best[1:]:
            best = (part, count, usd)
    return best
