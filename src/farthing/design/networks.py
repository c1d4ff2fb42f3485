"""Ports, switches and cables between hosts: which go together, and what so many ports take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.design.machines import Machine
from farthing.design.shop import Shop
from farthing.records.design import BillRow
from farthing.records.hardware import Host, Link, Nic, Switch
from farthing.records.parts import Part

FALLBACK_PORT = "1gbe"
"""What every board has, where the catalogue does not say."""

NIC_W = 15.0
PORT_W = 5.0
"""Draw of a network card, and of a switch's port, where no datasheet was read: the low end of what servers'
cards draw (servethehome.com asrock-rack-4u8g-turin2, p. 4: 15 to 100 W), and about what switches of the
catalogue draw a port. Assumptions."""

_ETHERNET = ("ethernet", "roce")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How hosts are joined.

    Attributes
    ----------
    link
        What a port is.
    nics
        Ports of one host.
    nic
        The card that has them; None where they are on the board.
    switch
        Between the ports; None joins two hosts directly.
    cable
        From a port to the switch, or to the other host.
    nic_usd, switch_usd, cable_usd
        Of one each.
    """

    link: Link
    nics: int
    nic: Nic | None
    switch: Switch | None
    cable: Part
    nic_usd: float
    switch_usd: float
    cable_usd: float

    @property
    def host_usd(self) -> float:
        """What it takes inside each host."""
        return self.nic_usd * self.nics

    @property
    def host_w(self) -> float:
        """What each host draws for it."""
        return (self.nic.power_w or NIC_W) * self.nics if self.nic is not None else 0.0

    @property
    def switch_w(self) -> float:
        """What each switch draws."""
        return (self.switch.power_w or PORT_W * self.switch.ports) if self.switch is not None else 0.0

    def bill(self, shop: Shop, hosts: int) -> Iterator[BillRow]:
        """What so many hosts buy of it."""
        if hosts < 2:
            return
        if self.nic is not None:
            price = shop.price(self.nic.id)
            assert price is not None  # an unpriced network is not on offer
            yield shop.row("nic", self.nic.id, self.nic.name, self.nics * hosts, price)
        switches, cables = fabric(np.array([hosts * self.nics]), self.switch.ports if self.switch else 0)
        if self.switch is not None:
            price = shop.price(self.switch.id)
            assert price is not None
            yield shop.row("switch", self.switch.id, self.switch.name, int(switches[0]), price)
        price = shop.price(self.cable.id)
        assert price is not None
        yield shop.row("cable", self.cable.id, self.cable.name, int(cables[0]), price)


def fabric(ports: NDArray[np.int64], switch_ports: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Switches and cables that join so many ports without contention.

    One switch as far as its ports reach; beyond, leaves that use half of theirs for hosts and spines that
    join the leaves, up to half the square of a switch's ports (a folded Clos network, leiserson-1985).
    Without a switch, two ports and one cable.

    Parameters
    ----------
    ports
        Of all hosts, column.
    switch_ports
        Of one switch; 0 for none.

    Returns
    -------
    switches, cables
        Columns; infinite where they cannot be joined so.

    Examples
    --------
    >>> switches, cables = fabric(np.array([1, 8, 40, 64, 2000]), 40)
    >>> switches.tolist(), cables.tolist()
    ([0.0, 1.0, 1.0, 6.0, inf], [0.0, 8.0, 40.0, 144.0, inf])
    >>> [part.tolist() for part in fabric(np.array([2, 3]), 0)]
    [[0.0, inf], [1.0, inf]]
    """
    if not switch_ports:
        joined = ports <= 2
        return np.where(joined, 0.0, np.inf), np.where(ports == 2, 1.0, np.where(joined, 0.0, np.inf))
    half = max(switch_ports // 2, 1)
    leaves = -(-ports // half)
    spines = -(-leaves * half // switch_ports)
    alone = ports <= switch_ports
    # A spine has a port for each leaf, and a leaf one for each spine.
    possible = alone | ((leaves <= switch_ports) & (spines <= half))
    switches = np.where(ports < 2, 0, np.where(alone, 1, leaves + spines))
    cables = np.where(ports < 2, 0, np.where(alone, ports, ports + leaves * half))
    return np.where(possible, switches, np.inf), np.where(possible, cables, np.inf)


def networks(shop: Shop, machine: Machine) -> Iterator[Network]:
    """Every network that a machine can have, and that has prices.

    Parameters
    ----------
    shop, machine
        What is on offer, and where cards are plugged.
    """
    if machine.host is None:
        return
    link = shop.links[onboard_link(shop, machine.host)]
    ports = min(machine.host.onboard_ports or 1, machine.cards) if link.per_accelerator else 1
    yield from _switched(shop, link, None, 0.0, ports)
    for nic in shop.nics.values():
        price = shop.price(nic.id)
        if price is None or nic.link not in shop.links:
            continue
        link = shop.links[nic.link]
        for ports in sorted({1, machine.cards if link.per_accelerator else 1}):
            if _plugs(shop, machine, nic, ports):
                yield from _switched(shop, link, nic, price.usd, ports)


def onboard_link(shop: Shop, host: Host) -> str:
    """Id of what a board's own port is."""
    return host.onboard_link if host.onboard_link in shop.links else FALLBACK_PORT


def _plugs(shop: Shop, machine: Machine, nic: Nic, count: int) -> bool:
    """Whether so many cards find slots that carry their rate."""
    return (
        count <= machine.free_slots
        and shop.links[nic.link].bytes_per_s <= machine.free_slot_bytes_per_s * 1.1
    )


def serves(switch: Switch, link: Link) -> bool:
    """Whether a switch's ports take a link: of its kind, and as fast."""
    kind = "ethernet" if link.kind in _ETHERNET else link.kind
    return switch.kind == kind and switch.bytes_per_s >= link.bytes_per_s * 0.99


def _switched(shop: Shop, link: Link, nic: Nic | None, nic_usd: float, nics: int) -> Iterator[Network]:
    cable = cheapest_cable(shop, link)
    if cable is None:
        return
    part, cable_usd = cable
    fixed = {
        "link": link,
        "nics": nics,
        "nic": nic,
        "nic_usd": nic_usd,
        "cable": part,
        "cable_usd": cable_usd,
    }
    if nics == 1:
        yield Network(switch=None, switch_usd=0.0, **fixed)  # type: ignore[arg-type]
    for switch in shop.switches.values():
        price = shop.price(switch.id)
        if price is not None and serves(switch, link):
            yield Network(switch=switch, switch_usd=price.usd, **fixed)  # type: ignore[arg-type]


def cheapest_cable(shop: Shop, link: Link) -> tuple[Part, float] | None:
    """The cheapest cable that carries a link, and its price."""
    kind = "ethernet" if link.kind in _ETHERNET else link.kind
    found = [
        (price.usd, part.id)
        for part in shop.parts.values()
        if part.kind == "cable" and part.link_kind == kind and part.bytes_per_s >= link.bytes_per_s * 0.99
        if (price := shop.price(part.id)) is not None
    ]
    if not found:
        return None
    usd, item = min(found)
    return shop.parts[item], usd
