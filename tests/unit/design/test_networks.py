"""Ports, switches and cables, counted by hand."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import numpy as np
import pytest

from farthing import catalog
from farthing.design.machines import Machine
from farthing.design.networks import Network, fabric, networks, serves
from farthing.design.shop import Shop, market
from farthing.records.hardware import Host


@pytest.mark.parametrize(
    ("ports", "switch_ports", "switches", "cables"),
    [
        (1, 8, 0, 0),
        (2, 8, 1, 2),
        (8, 8, 1, 8),
        # Leaves have 4 ports down and 4 up: 3 leaves, 12 uplinks on 2 spines of 8.
        (9, 8, 5, 9 + 12),
        (16, 8, 4 + 2, 16 + 16),
        (17, 8, 5 + 3, 17 + 20),
        # The most: 8 leaves, a port of each spine for each of them.
        (32, 8, 8 + 4, 32 + 32),
        (33, 8, np.inf, np.inf),
        # Two leaves of one port down and one up need one spine of two.
        (3, 2, np.inf, np.inf),
        (2, 0, 0, 1),
        (3, 0, np.inf, np.inf),
        (800, 40, 40 + 20, 1600),
    ],
)
def test_leaves_and_spines(ports: int, switch_ports: int, switches: float, cables: float) -> None:
    found = fabric(np.array([ports]), switch_ports)
    assert [part.tolist() for part in found] == [[switches], [cables]]


@pytest.mark.parametrize(
    ("switch", "link", "able"),
    [
        ("mikrotik-crs309", "10gbe", True),
        ("mikrotik-crs309", "1gbe", True),
        ("mikrotik-crs309", "25gbe", False),
        ("nvidia-sn2100", "100g-roce", True),
        ("nvidia-sn2100", "ib-edr", False),
        ("mellanox-sb7800", "ib-edr", True),
        ("mellanox-sx6036", "ib-edr", False),
        ("mellanox-sb7800", "100g-roce", False),
    ],
)
def test_switches_serve_links_of_their_kind_and_speed(switch: str, link: str, able: bool) -> None:
    assert serves(catalog.switches()[switch], catalog.links()[link]) == able


def shop(**usd: float) -> Shop:
    named = dict(catalog.parts())
    return dataclasses.replace(
        market(rows=(), today=datetime.date(2026, 11, 1)),
        nics={name: catalog.nics()[name] for name in ("intel-xxv710-da2", "connectx-6-vpi")},
        switches={name: catalog.switches()[name] for name in ("mikrotik-crs510", "nvidia-qm8700")},
        parts={name: named[name] for name in ("cat6-1g", "dac-sfp28", "dac-200g", "optical-ndr")},
        given_usd={"cat6-1g": 2.0, "dac-sfp28": 20.0, "optical-ndr": 500.0} | usd,
    )


def machine(**fields: Any) -> Machine:
    usual = {"free_slots": 4, "free_slot_bytes_per_s": 31.5e9}
    box = Host(
        id="box",
        name="box",
        kind="server",
        slots=8,
        pcie_generation=4,
        pcie_lanes_per_slot=16,
        memory_bytes=1e12,
        memory_bytes_per_s=1e11,
    )
    card = catalog.accelerator("a100-pcie-80gb")
    return Machine(accelerator=card, cards=4, host=box, **(usual | fields))  # type: ignore[arg-type]


def named(found: list[Network]) -> set[tuple[str, str, str, int]]:
    return {
        (one.link.id, one.nic.id if one.nic else "", one.switch.id if one.switch else "", one.nics)
        for one in found
    }


def test_only_what_has_a_price_is_offered() -> None:
    # Without a slot that carries it, the faster card is out.
    narrow = machine(free_slot_bytes_per_s=3e9)
    found = named(list(networks(shop(), narrow)))
    # A board has a port of 1 Gbit, and no switch that serves it has a price.
    assert found == {("1gbe", "", "", 1)}
    found = named(list(networks(shop(**{"intel-xxv710-da2": 150.0, "mikrotik-crs510": 900.0}), narrow)))
    assert found == {
        ("1gbe", "", "", 1),
        ("1gbe", "", "mikrotik-crs510", 1),
        ("25gbe", "intel-xxv710-da2", "", 1),
        ("25gbe", "intel-xxv710-da2", "mikrotik-crs510", 1),
    }


def test_infiniband_has_a_card_for_each_accelerator_or_one() -> None:
    every = shop(**{"connectx-6-vpi": 400.0, "nvidia-qm8700": 5000.0, "optical-ndr": 500.0})
    found = named(list(networks(every, machine())))
    assert ("ib-hdr", "connectx-6-vpi", "nvidia-qm8700", 4) in found
    assert ("ib-hdr", "connectx-6-vpi", "nvidia-qm8700", 1) in found
    # Two hosts can be joined directly with a port each, not with four.
    assert ("ib-hdr", "connectx-6-vpi", "", 1) in found
    assert ("ib-hdr", "connectx-6-vpi", "", 4) not in found


def test_network_cards_need_slots_that_carry_them() -> None:
    every = shop(**{"connectx-6-vpi": 400.0, "nvidia-qm8700": 5000.0})
    assert {one[3] for one in named(list(networks(every, machine(free_slots=3)))) if one[1]} == {1}
    assert not [one for one in named(list(networks(every, machine(free_slots=0)))) if one[1]]
    slow = machine(free_slot_bytes_per_s=catalog.link("pcie3-x16").bytes_per_s)
    assert not [one for one in named(list(networks(every, slow))) if one[1]]


def test_a_bill_lists_what_joins_hosts() -> None:
    every = shop(**{"intel-xxv710-da2": 150.0, "mikrotik-crs510": 900.0})
    network = next(one for one in networks(every, machine()) if one.nic and one.switch)
    assert list(network.bill(every, 1)) == []
    rows = {row.part: (row.item, row.quantity) for row in network.bill(every, 9)}
    # Nine ports on switches of eight: three leaves, two spines; nine cables and twelve between switches.
    assert rows == {
        "nic": ("intel-xxv710-da2", 9),
        "switch": ("mikrotik-crs510", 5),
        "cable": ("dac-sfp28", 21),
    }
