"""Machines and networks of an accelerator, without those that another beats in every way.

A faster link never makes an estimate slower, so a kit whose links are no slower, whose memory is no smaller,
and which costs no more and draws no more with any number of hosts, leaves nothing to the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.catalog.cluster import intra_link
from farthing.design.machines import Machine, machines, rented
from farthing.design.networks import Network, fabric, networks
from farthing.design.pricing import Kit
from farthing.design.shop import Shop
from farthing.predict.fabric import host_memory_bytes_per_s
from farthing.records.design import Ownership, Ways
from farthing.records.hardware import Accelerator

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Fabric:
    """What joins the hosts of a network, by how many hosts there are [USD], [W]."""

    usd: NDArray[np.float64]
    power_w: NDArray[np.float64]

    def no_worse(self, other: _Fabric) -> bool:
        """With every number of hosts."""
        return bool((self.usd <= other.usd).all() and (self.power_w <= other.power_w).all())


class KitFinder:
    """Kits of accelerators in one shop; what cards have in common is worked out once.

    Parameters
    ----------
    shop, ownership, ways
        What is on offer, and under which terms.
    hosts
        Most of them.
    """

    def __init__(self, shop: Shop, ownership: Ownership, ways: Ways, hosts: int) -> None:
        self.shop, self.ownership, self.ways, self.hosts = shop, ownership, ways, hosts
        self.tried = 0
        self._networks: dict[Any, tuple[Network, ...]] = {}
        self._fabrics: dict[Any, _Fabric] = {}
        self._kits: dict[Any, tuple[tuple[Kit, ...], int]] = {}

    def owned(self, card: Accelerator) -> tuple[Kit, ...]:
        """To buy; none where a price is missing."""
        if self.ways == "rent":
            return ()
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
            tuple(host.id for host in self.shop.hosts.values() if card.id in host.accelerators.split()),
        )
        if alike not in self._kits:
            before = self.tried
            self._kits[alike] = tuple(self._worth(card)), self.tried - before
        else:
            self.tried += self._kits[alike][1]
        found = []
        for kit in self._kits[alike][0]:
            machine = kit.machine
            if machine.included or price is not None:
                usd = 0.0 if machine.included or price is None else price.usd
                found.append(kit.of(card, usd))
        return tuple(found)

    def rented(self, card: Accelerator) -> tuple[Kit, ...]:
        """To rent; none where nobody is known to rent it out."""
        price = self.shop.rental(card.id) if self.ways != "own" else None
        if price is None:
            return ()
        found = tuple(
            Kit(machine=machine, network=None, spans=False, card_usd_per_hour=price.usd)
            for machine in rented(card)
        )
        self.tried += len(found)
        return found

    def _worth(self, card: Accelerator) -> Iterator[Kit]:
        by_count: dict[tuple[int, bool], list[Machine]] = {}
        for machine in machines(self.shop, card, self.ownership):
            by_count.setdefault((machine.cards, machine.included), []).append(machine)
        for alike in by_count.values():
            one = [Kit(machine=machine, network=None, spans=False) for machine in alike]
            yield from self._unbeaten(one)
            if self.hosts < 2:
                continue
            joined = [[(machine, network) for network in self._networks_of(machine)] for machine in alike]
            pairs = list(itertools.chain.from_iterable(joined))
            for spans in (False, True):
                yield from self._unbeaten(
                    [Kit(machine=machine, network=network, spans=spans) for machine, network in pairs]
                )

    def _networks_of(self, machine: Machine) -> tuple[Network, ...]:
        assert machine.host is not None  # machines to buy have one
        key = (machine.host.id, machine.cards)
        if key not in self._networks:
            self._networks[key] = tuple(networks(self.shop, machine))
        return self._networks[key]

    def _fabric(self, network: Network) -> _Fabric:
        ports = network.switch.ports if network.switch else 0
        key = (network.switch and network.switch.id, network.nics, network.cable_usd)
        if key not in self._fabrics:
            switches, cables = fabric(np.arange(2, self.hosts + 1) * network.nics, ports)
            possible = np.isfinite(switches)
            switches, cables = np.where(possible, switches, 0.0), np.where(possible, cables, 0.0)
            usd = switches * network.switch_usd + cables * network.cable_usd
            self._fabrics[key] = _Fabric(
                np.where(possible, usd, np.inf), np.where(possible, switches * network.switch_w, np.inf)
            )
        return self._fabrics[key]

    def _unbeaten(self, kits: Sequence[Kit]) -> Iterator[Kit]:
        """Those that no other beats or equals in everything; of equals the first."""
        self.tried += len(kits)
        if not kits:
            return
        figures = np.array([self._figures(kit) for kit in kits])
        no_worse = (figures[:, None, :] <= figures[None, :, :]).all(axis=2)
        if kits[0].network is not None:
            own = [self._fabric(kit.network) for kit in kits if kit.network is not None]
            distinct = list({id(one): one for one in own}.values())
            place = {id(one): number for number, one in enumerate(distinct)}
            table = np.array([[one.no_worse(other) for other in distinct] for one in distinct])
            index = np.array([place[id(one)] for one in own])
            no_worse &= table[index[:, None], index[None, :]]
        beaten = no_worse & ~no_worse.T
        equal = no_worse & no_worse.T
        gone = beaten.any(axis=0) | np.triu(equal, 1).any(axis=0)
        for number in np.flatnonzero(~gone).tolist():
            yield kits[number]

    def _figures(self, kit: Kit) -> tuple[float, ...]:
        """What is compared; less is better."""
        machine, network = kit.machine, kit.network
        group = machine.group(self.shop)
        inside = intra_link(machine.accelerator, machine.host, self.shop.links)
        memory = host_memory_bytes_per_s(group) if group.host_copy else 0.0
        usd, power_w = machine.usd, machine.host_w
        found = (
            -inside.bytes_per_s * inside.efficiency,
            inside.latency_s,
            -memory,
            -(machine.memory_bytes or np.inf),
            float(machine.circuits),
        )
        if network is None:
            return (*found, usd, power_w)
        usd, power_w = usd + network.host_usd, power_w + network.host_w
        if not kit.spans:
            return (*found, usd, power_w)
        link = network.link
        return (
            *found,
            usd,
            power_w,
            -link.bytes_per_s * link.efficiency,
            link.latency_s,
            -float(network.nics),
        )
