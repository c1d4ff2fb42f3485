"""Machines and networks of an accelerator, without those that another beats in every way.

A faster link never makes an estimate slower. So a machine that costs and draws no more, whose links and slots
are no slower and whose memory loads as much, leaves nothing to another with the same ports on its board (a
faster port may need a dearer switch); nor does a network to one that with each number of hosts some other
beats in speed, price and power.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.design.machines import SYSTEM_BYTES, Machine, machines, rented
from farthing.design.networks import Network, fabric, networks, onboard_link
from farthing.design.pricing import Kit, Kits, Terms
from farthing.design.shop import Shop
from farthing.predict.energy import electricity_usd_per_s
from farthing.predict.fabric import host_memory_bytes_per_s
from farthing.predict.money import hosting_usd_per_s
from farthing.predict.ownership import owned_usd_per_s
from farthing.records.design import DesignObjective, Ways
from farthing.records.hardware import Accelerator

Mask = NDArray[np.bool_]
Column = NDArray[np.float64]


class KitFinder:
    """Kits of accelerators in one shop; what cards have in common is worked out once.

    Parameters
    ----------
    shop, ways
        What is on offer, and whether it is bought or rented.
    terms
        Under which builds are priced: the most hosts, and what dollars and watts are worth.
    objectives
        By which builds are judged.
    """

    def __init__(self, shop: Shop, terms: Terms, ways: Ways, objectives: Collection[DesignObjective]) -> None:
        self.shop, self.ownership, self.ways = shop, terms.ownership, ways
        self.hosts = terms.limits.most_hosts
        self.worth = np.array(worth(terms, objectives))
        self.tried = 0
        self._networks: dict[Any, tuple[Network, ...]] = {}
        self._fabrics: dict[tuple[int, int], tuple[Column, Column]] = {}
        self._worthy: dict[Any, tuple[Network, ...]] = {}
        self._kits: dict[Any, tuple[list[Kits], int]] = {}

    def at(self, shop: Shop) -> KitFinder:
        """The same kits where accelerators have other prices; all other prices must be the same."""
        found = copy(self)
        found.shop = shop
        return found

    def owned(self, card: Accelerator) -> list[Kits]:
        """To buy, those together that are timed together; none where a price is missing."""
        if self.ways == "rent":
            return []
        price = self.shop.price(card.id)
        # Cards that plug in alike and draw alike go into the same machines.
        alike = (
            card.form,
            card.kind,
            card.tdp_w,
            card.link,
            card.pcie_generation,
            card.pcie_lanes,
            card.peer_to_peer,
            card.unified_memory,
            card.memory_bytes,
            tuple(host.id for host in self.shop.hosts.values() if card.id in host.accelerators.split()),
        )
        if alike not in self._kits:
            before = self.tried
            together: dict[Any, list[Kit]] = {}
            timing: dict[int, Any] = {}
            for kit in self._worth(card):
                machine = kit.machine
                if id(machine) not in timing:
                    timing[id(machine)] = _timing(machine, self.shop)
                together.setdefault((timing[id(machine)], kit.spans), []).append(kit)
            self._kits[alike] = [Kits(kits, self.shop) for kits in together.values()], self.tried - before
        else:
            self.tried += self._kits[alike][1]
        found = [kits.of(card, price.usd if price is not None else None) for kits in self._kits[alike][0]]
        return [kits for kits in found if len(kits)]

    def rented(self, card: Accelerator) -> list[Kits]:
        """To rent; none where nobody is known to rent it out."""
        price = self.shop.rental(card.id) if self.ways != "own" else None
        if price is None:
            return []
        found = [
            Kits([Kit(machine=machine, network=None, spans=False, card_usd_per_hour=price.usd)], self.shop)
            for machine in rented(card)
        ]
        self.tried += len(found)
        return found

    def _worth(self, card: Accelerator) -> Iterator[Kit]:
        by_kind: dict[Any, list[Machine]] = {}
        for machine in machines(self.shop, card, self.ownership):
            by_kind.setdefault((machine.cards, machine.included, *self._ports(machine)), []).append(machine)
        for alike in by_kind.values():
            self.tried += len(alike) + 2 * sum(len(self._networks_of(machine)) for machine in alike)
            for machine in self._unbeaten(alike):
                yield Kit(machine=machine, network=None, spans=False)
                if self.hosts < 2:
                    continue
                for spans in (False, True):
                    for network in self._networks_worth(machine, spans=spans):
                        yield Kit(machine=machine, network=network, spans=spans)

    def _networks_of(self, machine: Machine) -> tuple[Network, ...]:
        assert machine.host is not None  # machines to buy have one
        key = _plugs(machine)
        if key not in self._networks:
            self._networks[key] = tuple(networks(self.shop, machine))
        return self._networks[key]

    def _networks_worth(self, machine: Machine, *, spans: bool) -> tuple[Network, ...]:
        """Networks that are cheapest, thriftiest or quickest with some number of hosts.

        What only joins hosts to the world need not be quick.
        """
        assert machine.host is not None
        key = (*_plugs(machine), spans)
        if key not in self._worthy:
            found = self._networks_of(machine)
            links = np.array(
                [
                    (-one.link.bytes_per_s * one.link.efficiency, one.link.latency_s, -float(one.nics))
                    for one in found
                ]
            ).reshape(-1, 3)
            burdens = self._burdens(found)
            quick: Mask = np.asarray((links[:, None, :] <= links[None, :, :]).all(axis=2) | (not spans))
            self._worthy[key] = tuple(found[row] for row in _needed(quick, burdens))
        return self._worthy[key]

    def _burdens(self, found: Sequence[Network]) -> Column:
        """What networks cost and draw in each way that counts, by how many hosts there are, from two on."""
        hosts = np.arange(2, self.hosts + 1)
        burdens = np.empty((len(self.worth), len(found), len(hosts)))
        for row, one in enumerate(found):
            key = (one.nics, one.switch.ports if one.switch else 0)
            if key not in self._fabrics:
                self._fabrics[key] = fabric(hosts * key[0], key[1])
            switches, cables = self._fabrics[key]
            possible = np.isfinite(switches)
            switches, cables = np.where(possible, switches, 0.0), np.where(possible, cables, 0.0)
            whole = hosts * one.host_usd + switches * one.switch_usd + cables * one.cable_usd
            power_w = hosts * one.host_w + switches * one.switch_w
            for way, (usd_worth, w_worth) in enumerate(self.worth):
                burdens[way, row] = np.where(possible, usd_worth * whole + w_worth * power_w, np.inf)
        return burdens

    def _unbeaten(self, alike: Sequence[Machine]) -> Iterator[Machine]:
        """Machines that no other beats or equals in everything; of equals the first."""
        figures = np.array([self._figures(machine) for machine in alike])
        no_worse = (figures[:, None, :] <= figures[None, :, :]).all(axis=2)
        gone = (no_worse & ~no_worse.T).any(axis=0) | np.triu(no_worse & no_worse.T, 1).any(axis=0)
        for row in np.flatnonzero(~gone).tolist():
            yield alike[row]

    def _ports(self, machine: Machine) -> tuple[str, int]:
        """Of the board: which link and how many; of no account where there is one host."""
        if self.hosts < 2 or machine.host is None:
            return "", 0
        return onboard_link(self.shop, machine.host), machine.host.onboard_ports or 1

    def _figures(self, machine: Machine) -> tuple[float, ...]:
        """What is compared of machines; less is better."""
        host, card = machine.host, machine.accelerator
        assert host is not None
        group = machine.group(self.shop)
        inside = group.intra_link
        # Memory beyond what the card's weights take to load makes no difference.
        loads = min((machine.memory_bytes or np.inf) - SYSTEM_BYTES, card.memory_bytes)
        return (
            *(self.worth @ (machine.usd, machine.host_w)),
            -inside.bytes_per_s * inside.efficiency,
            inside.latency_s,
            -(host_memory_bytes_per_s(group) if group.host_copy else 0.0),
            -loads,
            -float(machine.free_slots),
            -machine.free_slot_bytes_per_s,
        )


def _plugs(machine: Machine) -> tuple[Any, ...]:
    """What decides which networks a machine can have."""
    host = machine.host
    assert host is not None  # machines to buy have one
    return (
        host.onboard_link,
        host.onboard_ports,
        machine.free_slots,
        machine.free_slot_bytes_per_s,
        machine.cards,
    )


def _timing(machine: Machine, shop: Shop) -> tuple[Any, ...]:
    """Machines that are timed together: they differ in the rates of links alone."""
    group = machine.group(shop)
    link = group.intra_link
    kind = link.kind if link.kind == "pcie" else link.id
    return machine.cards, kind, group.host_copy


def worth(terms: Terms, objectives: Collection[DesignObjective]) -> list[tuple[float, float]]:
    """What a dollar of price and a watt of draw weigh in each figure that objectives and limits look at.

    Money by the second is one figure, as both count in it in proportion; capital and power stand alone.

    Examples
    --------
    >>> from farthing.records.design import Demand, DesignLimits, Ownership
    >>> terms = Terms(demand=Demand(tokens_per_s=1), limits=DesignLimits(power_w=9000), ownership=Ownership())
    >>> len(worth(terms, ["usd"])), worth(terms, ["capital"])
    (2, [(1.0, 0.0), (0.0, 1.0)])
    """
    own, limits = terms.ownership, terms.limits
    found: list[tuple[float, float]] = []
    if not set(objectives) <= {"capital", "power"} or limits.usd_per_s or limits.usd_per_million_tokens:
        usd = owned_usd_per_s(
            1.0, own.years, annual_interest=own.annual_interest, residual_share=own.residual_share
        )
        watt = electricity_usd_per_s(own.pue, own.usd_per_kwh) + hosting_usd_per_s(1.0, own.usd_per_kw_month)
        found.append((float(usd), float(watt)))
    if "capital" in objectives or limits.capital_usd:
        found.append((1.0, 0.0))
    if "power" in objectives or limits.power_w:
        found.append((0.0, 1.0))
    return found


def _needed(quick: Mask, burdens: Column) -> list[int]:
    """Rows that with some number of hosts no other beats or equals in speed and all burdens; of equals the
    first.

    Parameters
    ----------
    quick
        Whether a row is no slower than a column.
    burdens
        By what counts, by row, and by number of hosts.

    Examples
    --------
    The second is never needed: the first is cheaper with few hosts, the third with many.

    >>> _needed(np.ones((3, 3), dtype=bool), np.array([[[1.0, 9.0], [2.0, 5.0], [3.0, 4.0]]]))
    [0, 2]
    """
    count = burdens.shape[1]
    needed = np.zeros(count, dtype=bool)
    first = np.triu(np.ones((count, count), dtype=bool), 1)
    for hosts in range(burdens.shape[2]):
        own = burdens[:, :, hosts]
        no_worse = quick & (own[:, :, None] <= own[:, None, :]).all(axis=0)
        gone = (no_worse & ~no_worse.T).any(axis=0) | (no_worse & no_worse.T & first).any(axis=0)
        needed |= ~gone & np.isfinite(own).all(axis=0)
    return np.flatnonzero(needed).tolist()
