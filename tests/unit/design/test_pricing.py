"""What builds cost and draw, worked out once on paper."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from farthing import catalog
from farthing.design.machines import Machine
from farthing.design.networks import Network
from farthing.design.pricing import Copy, Kit, Kits, Priced, Terms, hoped, priced
from farthing.design.shop import market
from farthing.records.design import Demand, DesignLimits, Ownership
from farthing.records.hardware import Host, Nic, Switch

SHOP = market(rows=())
HOST = Host(
    id="box",
    name="box",
    kind="server",
    slots=4,
    pcie_generation=4,
    pcie_lanes_per_slot=16,
    memory_bytes=1e12,
    memory_bytes_per_s=1e11,
)
MACHINE = Machine(
    accelerator=catalog.accelerator("rtx-4090"),
    cards=4,
    host=HOST,
    usd=1000.0,
    host_w=100.0,
    memory_bytes=1e12,
)
NETWORK = Network(
    link=catalog.link("25gbe"),
    nics=1,
    nic=Nic(id="nic", name="nic", link="25gbe", ports=1, power_w=15.0),
    switch=Switch(id="switch", name="switch", kind="ethernet", ports=8, bytes_per_s=3.125e9, power_w=40.0),
    cable=catalog.parts()["dac-sfp28"],
    nic_usd=50.0,
    switch_usd=400.0,
    cable_usd=10.0,
)
ALONE = Kit(machine=MACHINE, network=None, spans=False, card_usd=500.0)
JOINED = dataclasses.replace(ALONE, network=NETWORK)
SPANNING = dataclasses.replace(JOINED, spans=True)
RENTED = Kit(
    machine=Machine(accelerator=MACHINE.accelerator, cards=2, host=None),
    network=None,
    spans=False,
    card_usd_per_hour=2.0,
)


def copy(cards: int = 2, hosts: int = 0, **fields: float) -> Copy:
    """A copy of 100 tokens a second, 300 W a card at work and 50 W at rest."""
    usual = {"tokens_per_s": 100.0, "ttft_s": 0.5, "tpot_s": 0.02, "busy_w": 300.0, "idle_w": 50.0}
    columns = {name: np.array([value]) for name, value in (usual | fields).items()}
    columns.setdefault("least_busy_w", columns["busy_w"])
    return Copy(
        cards=np.array([cards]), hosts=np.array([[hosts]]), legal=np.ones((1, 1), dtype=bool), **columns
    )


def terms(tokens_per_s: float = 450.0, trough: float = 1.0, **fields: Any) -> Terms:
    limits = {name: fields.pop(name) for name in list(fields) if name in DesignLimits.__slots__}
    return Terms(
        demand=Demand(tokens_per_s=tokens_per_s, trough_share=trough),
        limits=DesignLimits(**limits),
        ownership=Ownership(**({"pue": 1.2, "usd_per_kwh": 0.1, "years": 2.0} | fields)),
    )


def price(kit: Kit, of: Copy, under: Terms) -> dict[str, float]:
    return figures(priced(Kits([kit], SHOP), of, under))


def figures(found: Priced) -> dict[str, float]:
    return {
        field.name: float(np.broadcast_to(getattr(found, field.name), (1, 1))[0, 0])
        for field in dataclasses.fields(found)
    }


def test_a_build_on_paper() -> None:
    # 450 tokens/s take 5 copies of 100; two of 2 cards go into each host of 4: 3 hosts, 10 cards.
    # Price: 10 x 500 + 3 x (1000 + 50) + 400 + 3 x 10 = 8580 USD.
    # At rest: 10 x 50 + 3 x (100 + 15) + 40 = 885 W; at work 10 x 250 W more, 450 of 500 of the time: 2250 W.
    found = price(JOINED, copy(), terms(trough=0.5, residual_share=0.25, usd_per_kw_month=100.0))
    assert found["possible"]
    assert (found["copies"], found["hosts"], found["accelerators"]) == (5, 3, 10)
    assert (found["switches"], found["cables"], found["capital_usd"]) == (1, 3, 8580)
    assert found["power_w"] == pytest.approx(1.2 * (885 + 2250))
    # The demand swings from half to all of it: 3/4 on average.
    assert found["average_power_w"] == pytest.approx(1.2 * (885 + 2250 * 0.75))
    # A quarter of the price comes back: 6435 USD over two years of 8760 h.
    # A place for 10 x 450 W, what hosts, ports and the switch draw: 4.885 kW.
    usd_per_hour = 8580 * 0.75 / (2 * 8760) + 3.087 * 0.1 + 4.885 * 100 / 730
    assert found["usd_per_s"] * 3600 == pytest.approx(usd_per_hour)
    # 450 x 3/4 tokens/s are sold.
    assert found["usd_per_million_tokens"] == pytest.approx(usd_per_hour / 3600 / 337.5 * 1e6)
    assert found["tokens_per_s"] == 500


def test_a_copy_over_two_hosts_on_paper() -> None:
    # A copy of 8 cards fills two hosts of 4; 150 tokens/s take two: 4 hosts, 16 cards.
    found = price(SPANNING, copy(cards=8, hosts=2), terms(150.0))
    assert (found["copies"], found["hosts"], found["accelerators"], found["cables"]) == (2, 4, 16, 4)
    assert found["capital_usd"] == 16 * 500 + 4 * 1050 + 400 + 40
    # Where it needs one host only, it does not span.
    assert not price(SPANNING, copy(cards=4, hosts=1), terms(150.0))["possible"]


def test_interest_is_an_annuity() -> None:
    plain = price(ALONE, copy(), terms(150.0, usd_per_kwh=0.0))
    lent = price(ALONE, copy(), terms(150.0, usd_per_kwh=0.0, annual_interest=0.1))
    # 3000 USD over two years at 10%: 3000 x 0.1 / (1 - 1.1^-2) = 1728.57 USD a year.
    assert plain["capital_usd"] == 3000
    assert plain["usd_per_s"] * 8760 * 3600 == pytest.approx(1500)
    assert lent["usd_per_s"] * 8760 * 3600 == pytest.approx(1728.571, abs=0.01)


def test_hosts_without_a_network_stay_alone() -> None:
    assert price(ALONE, copy(), terms(200.0))["possible"]
    assert not price(ALONE, copy(), terms(201.0))["possible"]
    assert price(JOINED, copy(), terms(201.0))["possible"]
    # Alone, a host buys no network card.
    assert price(JOINED, copy(), terms(200.0))["capital_usd"] == 4 * 500 + 1000


def test_a_copy_that_no_host_holds() -> None:
    assert not price(JOINED, copy(cards=6), terms())["possible"]


def test_cards_that_come_with_the_machine() -> None:
    kit = dataclasses.replace(ALONE, machine=dataclasses.replace(MACHINE, included=True))
    found = price(kit, copy(), terms(150.0))
    # All four draw at rest, whether a copy is on them or not, and none is bought.
    assert (found["accelerators"], found["capital_usd"]) == (4, 1000)
    assert found["resting_w"] == pytest.approx(1.2 * (4 * 50 + 100))


def test_rent_on_paper() -> None:
    found = price(RENTED, copy(), terms(450.0))
    # Five machines of two cards at 2 USD an hour each.
    assert found["usd_per_s"] * 3600 == pytest.approx(20)
    assert found["capital_usd"] == 0
    # A copy of one card does not rent two.
    assert not price(RENTED, copy(cards=1), terms())["possible"]


def test_elastic_rent_follows_the_day() -> None:
    steady = price(RENTED, copy(), terms(450.0, trough=0.0))
    found = price(RENTED, copy(), terms(450.0, trough=0.0, elastic=True))
    hours = [(1 - math.cos(2 * math.pi * (hour - 3) / 24)) / 2 for hour in range(24)]
    running = [max(1, math.ceil(4.5 * share - 1e-9)) for share in hours]
    assert steady["usd_per_s"] * 3600 == pytest.approx(20)
    assert found["usd_per_s"] * 3600 == pytest.approx(4 * sum(running) / 24)
    assert found["rented_share"] == pytest.approx(sum(running) / 24 / 5)


@pytest.mark.parametrize(
    ("limit", "fits"),
    [
        ({"capital_usd": 8580.0}, True),
        ({"capital_usd": 8579.0}, False),
        ({"most_hosts": 3}, True),
        ({"most_hosts": 2}, False),
        ({"most_accelerators": 10}, True),
        ({"most_accelerators": 9}, False),
        ({"power_w": 3763.0}, True),
        ({"power_w": 3761.0}, False),
        ({"tpot_s": 0.02}, True),
        ({"tpot_s": 0.019}, False),
        ({"ttft_s": 0.5}, True),
        ({"ttft_s": 0.49}, False),
        ({"usd_per_million_tokens": 0.6}, True),
        ({"usd_per_million_tokens": 0.3}, False),
        ({"usd_per_s": 1e-3}, True),
        ({"usd_per_s": 1e-5}, False),
    ],
)
def test_limits(limit: dict[str, float], fits: bool) -> None:
    assert price(JOINED, copy(), terms(**limit))["possible"] == fits


def test_without_a_demand_there_are_as_many_as_limits_allow() -> None:
    # Six copies take 12 cards: 6000 + 3150 + 430 = 9580 USD.
    assert price(JOINED, copy(), terms(0.0, capital_usd=9580.0))["copies"] == 6
    assert price(JOINED, copy(), terms(0.0, capital_usd=9579.0))["copies"] == 5
    assert price(JOINED, copy(), terms(0.0, most_accelerators=7))["copies"] == 3
    assert not price(JOINED, copy(), terms(0.0, most_accelerators=1))["possible"]


def test_a_copy_that_makes_tokens_too_dear_is_left_out() -> None:
    # Two copies on a host cost 3000 USD; four on two, 4000 + 2100 + 400 + 20 = 6520: more for each.
    two = price(ALONE, copy(), terms(0.0, most_hosts=1, usd_per_kwh=0.0))
    limit = two["usd_per_million_tokens"] * 1.001
    found = price(JOINED, copy(), terms(0.0, most_hosts=2, usd_per_kwh=0.0, usd_per_million_tokens=limit))
    assert found["possible"]
    assert (found["copies"], found["hosts"]) == (2, 1)
    none = price(JOINED, copy(), terms(0.0, most_hosts=2, usd_per_kwh=0.0, usd_per_million_tokens=limit / 2))
    assert not none["possible"]


@pytest.mark.parametrize("kit", [ALONE, JOINED, RENTED])
@pytest.mark.parametrize("asked", [0.0, 100.0])
def test_hopes_are_no_worse_than_what_slower_links_make_of_them(kit: Kit, asked: float) -> None:
    under = terms(asked, most_hosts=2, power_w=3000.0)
    # Links double the time of a step, and half the draw above rest with it.
    slow = copy(tokens_per_s=50.0, ttft_s=0.6, tpot_s=0.04, busy_w=175.0)
    hope = figures(hoped(Kits([kit], SHOP), copy(least_busy_w=300.0), under))
    real = price(kit, slow, under)
    assert real["possible"]
    assert hope["possible"]
    for name in ("usd_per_million_tokens", "capital_usd", "power_w", "usd_per_s", "ttft_s", "tpot_s"):
        assert hope[name] <= real[name] * (1 + 1e-12)
    if not asked:
        assert hope["tokens_per_s"] >= real["tokens_per_s"]


def test_kits_in_columns_are_each_alone() -> None:
    kits = [ALONE, JOINED, SPANNING, RENTED]
    rows = copy()
    both = dataclasses.replace(rows, hosts=np.array([[0], [0], [2], [0]]), legal=np.ones((4, 1), dtype=bool))
    together = priced(Kits(kits, SHOP), both, terms(150.0))
    for place, kit in enumerate(kits):
        alone = price(kit, copy(hosts=2 if kit.spans else 0), terms(150.0))
        if alone["possible"]:
            assert together.usd_per_s[place, 0] == pytest.approx(alone["usd_per_s"])
        assert together.possible[place, 0] == alone["possible"]
