"""Hosts with cards: which fit, how many supplies they need, and what circuits feed them."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from farthing import catalog
from farthing.design.machines import Machine, machine_cluster, machines, rented, takes
from farthing.design.shop import Shop, market
from farthing.records.design import Ownership
from farthing.records.hardware import Host

CARD = dataclasses.replace(catalog.accelerator("rtx-4090"), tdp_w=450.0)


def host(**fields: Any) -> Host:
    usual: dict[str, Any] = {
        "id": "frame",
        "name": "a frame",
        "kind": "workstation",
        "slots": 4,
        "pcie_generation": 4,
        "pcie_lanes_per_slot": 16,
        "memory_bytes": 64 * 2**30,
        "memory_bytes_per_s": 100e9,
        "load_w": 320.0,
    }
    return Host(**(usual | fields))


def shop(machine: Host, *, built: bool = True, **usd: float) -> Shop:
    """One host and two power supplies."""
    supplies = {name: catalog.parts()[name] for name in ("psu-1300", "psu-2200-240v", "chassis-4u-4-cards")}
    prices = {"psu-1300": 100.0, "psu-2200-240v": 500.0, "chassis-4u-4-cards": 200.0}
    if not built:
        prices["frame"] = 900.0
    return dataclasses.replace(
        market(rows=(), today=datetime.date(2026, 11, 1)),
        hosts={machine.id: machine},
        parts=supplies,
        host_parts={machine.id: (("chassis-4u-4-cards", 2),)} if built else {},
        given_usd=prices | usd,
    )


def of(found: Shop, cards: int, **terms: Any) -> Machine | None:
    every = {machine.cards: machine for machine in machines(found, CARD, Ownership(**terms))}
    return every.get(cards)


def test_supplies_are_as_few_as_deliver_it_and_then_the_cheapest() -> None:
    # Four cards of 450 W and 320 W beside them: 2120 W, a fifth more is 2544 W. Two of 1300 W deliver it, and
    # two of 2200 W, which cost more.
    found = of(shop(host()), 4)
    assert found
    assert found.supply
    assert (found.supply.id, found.supplies) == ("psu-1300", 2)
    assert found.usd == 2 * 200 + 2 * 100
    # One card: (450 + 320) x 1.2 = 924 W, which one of either delivers.
    one = of(shop(host()), 1)
    assert one
    assert (one.supplies, one.usd) == (1, 500.0)
    # Two cards: 1464 W is one of 2200 W, however dear.
    two = of(shop(host()), 2)
    assert two
    assert two.supply
    assert (two.supply.id, two.supplies, two.usd) == ("psu-2200-240v", 1, 900.0)


def test_no_circuit_carries_more_than_it_may() -> None:
    # 2120 W on circuits of 1000 W: two supplies would take 1060 W each.
    found = of(shop(host()), 4, circuit_w=1000.0)
    assert found
    assert (found.supplies, found.circuits) == (3, 3)
    # On circuits of 500 W it would take five supplies, more than a case has room for.
    assert of(shop(host()), 4, circuit_w=500.0) is None
    free = of(shop(host()), 4)
    assert free
    assert free.circuits == 0


def test_a_complete_server_lives_with_its_own_supplies() -> None:
    assert of(shop(host(psu_w=2119.0), built=False), 4) is None
    found = of(shop(host(psu_w=2120.0), built=False), 4)
    assert found
    assert (found.supplies, found.usd) == (0, 900.0)
    # Nobody says what the supplies of this one deliver.
    assert of(shop(host(), built=False), 4) is None


def test_numbers_of_cards() -> None:
    def counts(machine: Host) -> list[int]:
        return [one.cards for one in machines(shop(machine), CARD, Ownership())]

    assert counts(host()) == [1, 2, 4]
    assert counts(host(slots=3)) == [1, 2, 3]
    assert counts(host(accelerators="rtx-4090", cards_included=2)) == [2]


def test_a_host_without_a_price_is_not_on_offer() -> None:
    found = shop(host(psu_w=4000.0), built=False)
    without = dataclasses.replace(found, given_usd={})
    assert not list(machines(without, CARD, Ownership()))
    unpriced = dataclasses.replace(shop(host()), given_usd={"psu-1300": 100.0})
    assert not list(machines(unpriced, CARD, Ownership()))


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"accelerators": "rtx-4090 l40s"}, True),
        ({"accelerators": "l40s"}, False),
        ({"kind": "soc"}, False),
        ({"cards_included": 4}, False),
    ],
)
def test_what_a_host_takes(fields: dict[str, Any], fits: bool) -> None:
    assert takes(host(**fields), CARD) == fits


def test_free_slots_are_for_network_cards() -> None:
    found = of(shop(host(extra_slots=1, extra_pcie_generation=3, extra_pcie_lanes=4)), 2)
    assert found
    assert found.free_slots == 3
    assert found.free_slot_bytes_per_s == catalog.link("pcie4-x16").bytes_per_s
    full = of(shop(host(extra_slots=1, extra_pcie_generation=3, extra_pcie_lanes=4)), 4)
    assert full
    assert full.free_slots == 1
    assert full.free_slot_bytes_per_s == catalog.link("pcie3-x4").bytes_per_s


def test_clusters_are_named_as_they_are_asked_for() -> None:
    found = of(shop(host()), 4)
    assert found
    bought = shop(host())
    assert machine_cluster(found, bought).name == "1x4:rtx-4090"
    fast = catalog.link("ib-ndr")
    assert machine_cluster(found, bought, 2, catalog.link("25gbe")).name == "2x4:rtx-4090@25gbe"
    assert machine_cluster(found, bought, 2, fast, 4).name == "2x4:rtx-4090@ib-ndr"
    assert machine_cluster(found, bought, 2, fast, 1).name == "2x4:rtx-4090@1xib-ndr"


def test_what_is_rented_out() -> None:
    assert [one.cards for one in rented(CARD)] == [1, 2, 4, 8]
    assert [one.cards for one in rented(catalog.accelerator("m2-ultra"))] == [1]


def test_a_machine_of_your_own_needs_no_supplies() -> None:
    """A price for a host that others build: it is had whole."""
    found = of(shop(host(), frame=0.0), 4)
    assert found
    assert (found.usd, found.supply, found.supplies) == (0.0, None, 0)
    rows = list(found.bill(shop(host(), frame=0.0), 2))
    assert [(row.item, row.quantity, row.usd, row.source) for row in rows] == [
        ("frame", 2, 0.0, "given by you")
    ]
