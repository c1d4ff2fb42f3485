"""What builds are made of: priced completely, sourced, and fitting together."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest

from farthing import catalog
from farthing.catalog.load import read_table
from farthing.catalog.prices import part_price, prices
from farthing.errors import CatalogError, InvalidInput, UnknownName
from farthing.records.hardware import Host, Price, Switch
from farthing.records.parts import HostPart, Part
from farthing.units import BYTES_PER_GBIT, GIB

BUILT = catalog.host_parts()
COMPLETE = {id: host for id, host in catalog.hosts().items() if id not in BUILT and part_price(id)}


@pytest.mark.parametrize("part", catalog.parts().values(), ids=catalog.parts())
def test_part_is_sourced_and_priced(part: Part) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", part.id)
    assert part.name
    assert part.source
    price = part_price(part.id)
    assert price
    assert price.date >= "2023"
    assert price.source


def test_no_two_things_share_an_id() -> None:
    machines = {id for id, host in catalog.hosts().items() if host.kind == "soc"}
    counts = Counter(
        [
            *catalog.accelerators(),
            *(id for id in catalog.hosts() if id not in machines),
            *catalog.nics(),
            *catalog.switches(),
            *catalog.parts(),
        ]
    )
    assert [id for id, count in counts.items() if count > 1] == []


def test_price_of_a_machine_on_a_chip_is_its_accelerators() -> None:
    others = {price.item for price in prices()} - set(catalog.accelerators())
    for id, host in catalog.hosts().items():
        if host.kind == "soc":
            assert id not in others, id
            assert not host.price_usd, id
            assert host.accelerators, id


def test_prices_of_anything_but_accelerators_are_purchases_of_one() -> None:
    known = {*catalog.hosts(), *catalog.nics(), *catalog.switches(), *catalog.parts()}
    found = [price for price in prices() if price.item not in catalog.accelerators()]
    assert len(found) >= 100
    for price in found:
        assert price.item in known, price
        assert price.kind in ("purchase", "used"), price
        assert price.per == "unit", price
        assert price.date, price
        assert price.source, price


@pytest.mark.parametrize("id", BUILT)
def test_built_host_is_complete(id: str) -> None:
    host = catalog.hosts()[id]
    parts = [(catalog.parts()[part], quantity) for part, quantity in BUILT[id]]
    kinds = Counter(part.kind for part, _ in parts)
    assert kinds["board"] == kinds["processor"] == kinds["chassis"] == kinds["drive"] == 1
    assert kinds["memory"] >= 1
    assert kinds["cooler"] == 1 or host.kind == "mining"
    assert not kinds["psu"], "a design adds supplies for the watts of its cards"
    assert not kinds["cable"], "a design adds cables for its network"
    assert len({part.id for part, _ in parts}) == len(parts)
    assert sum(part.memory_bytes * quantity for part, quantity in parts) == host.memory_bytes
    risers = sum(quantity for part, quantity in parts if part.kind == "riser")
    assert risers in (0, host.slots)


@pytest.mark.parametrize("id", BUILT)
def test_built_host_costs_what_its_parts_cost(id: str) -> None:
    host = catalog.hosts()[id]
    assert part_price(id) is None
    assert host.psu_w == 0
    found = [(part_price(part), quantity) for part, quantity in BUILT[id]]
    usd = sum(price.usd * quantity for price, quantity in found if price)
    assert all(price for price, _ in found)
    assert {"mining": 200, "desktop": 400, "workstation": 2000}[host.kind] <= usd <= 15_000


@pytest.mark.parametrize("id", COMPLETE)
def test_complete_host_costs_what_machines_cost(id: str) -> None:
    host = COMPLETE[id]
    price = part_price(id)
    assert price
    assert price.source
    assert price.date
    assert 500 <= price.usd <= 1_000_000
    assert (price.usd >= 10_000) or not host.cards_included


def test_hosts_of_each_size_are_offered() -> None:
    offered = [catalog.hosts()[id] for id in (*BUILT, *COMPLETE)]
    assert {"mining", "desktop", "workstation", "server"} <= {host.kind for host in offered}
    assert {1, 2, 4, 6, 8, 10} <= {host.slots for host in offered}
    assert any(host.cards_included for host in offered)
    assert any(host.rack_units for host in offered if host.id in BUILT)


@pytest.mark.parametrize("host", catalog.hosts().values(), ids=catalog.hosts())
def test_what_a_host_takes_and_plugs_into(host: Host) -> None:
    assert set(host.accelerators.split()) <= set(catalog.accelerators())
    assert len(set(host.accelerators.split())) == len(host.accelerators.split())
    assert host.cards_included in (0, host.slots)
    assert len(host.accelerators.split()) == 1 or not host.cards_included or not part_price(host.id)
    assert 0 <= host.rack_units <= 10
    assert host.psu_w == 0 or 200 <= host.psu_w <= 25_000
    assert (host.extra_slots > 0) == (host.extra_pcie_generation > 0) == (host.extra_pcie_lanes > 0)
    if host.extra_slots:
        assert host.extra_slots <= max(4, host.slots)
        assert f"pcie{host.extra_pcie_generation}-x{host.extra_pcie_lanes}" in catalog.links()
    assert (host.onboard_ports > 0) == bool(host.onboard_link)
    if host.onboard_link:
        assert host.onboard_ports <= 8
        assert catalog.links()[host.onboard_link].kind in ("ethernet", "roce", "infiniband")


def test_supplies_of_desktops_and_servers() -> None:
    watts = sorted(part.power_w for part in catalog.parts().values() if part.kind == "psu")
    assert watts[0] <= 550
    assert watts[-1] >= 2000
    assert all(more / less <= 1.25 for less, more in itertools.pairwise(watts))


PRICED_SWITCHES = [switch for switch in catalog.switches().values() if part_price(switch.id)]


@pytest.mark.parametrize("switch", PRICED_SWITCHES, ids=lambda switch: switch.id)
def test_switch_has_a_cable(switch: Switch) -> None:
    cables = {(part.link_kind, part.bytes_per_s) for part in catalog.parts().values() if part.kind == "cable"}
    assert (switch.kind, switch.bytes_per_s) in cables


def test_switches_cards_and_cables_of_each_rate_are_priced() -> None:
    ethernet = {
        switch.bytes_per_s / BYTES_PER_GBIT for switch in PRICED_SWITCHES if switch.kind == "ethernet"
    }
    infiniband = {
        switch.bytes_per_s / BYTES_PER_GBIT for switch in PRICED_SWITCHES if switch.kind == "infiniband"
    }
    assert {1, 2.5, 10, 25, 100, 200, 400} <= ethernet
    assert {54.54, 100, 400} <= {round(rate, 2) for rate in infiniband}
    links = {nic.link for nic in catalog.nics().values() if part_price(nic.id)}
    rates = {round(catalog.links()[link].bytes_per_s / BYTES_PER_GBIT, 1) for link in links}
    assert {2.5, 10, 25, 40, 100, 200} <= rates


def test_newest_price_wins_and_the_lower_median_among_equals() -> None:
    rows = [
        Price(item="nic-25g", kind=kind, usd=usd, per="unit", date=date, source="a shop")
        for kind, usd, date in (
            ("purchase", 10.0, "2024-12-31"),
            ("purchase", 90.0, "2025-01"),
            ("used", 70.0, "2025-01"),
            ("used", 60.0, "2025-01"),
            ("purchase", 80.0, "2025-01"),
        )
    ]
    found = part_price(" NIC-25G ", among=rows)
    assert found
    assert (found.usd, found.date) == (70.0, "2025-01")


def test_row_of_the_catalogue_is_the_fallback() -> None:
    found = part_price("article-server-8")
    assert found
    assert (found.item, found.kind, found.per) == ("article-server-8", "purchase", "unit")
    assert (found.usd, found.date) == (20_000.0, "2023-09-27")
    assert found.source == catalog.hosts()["article-server-8"].source
    assert part_price("switch-10g-20") == Price(
        item="switch-10g-20",
        kind="purchase",
        usd=1500.0,
        per="unit",
        date="2023-09-27",
        source=catalog.switches()["switch-10g-20"].source,
    )


@pytest.mark.parametrize("name", ["psu-50000", "rtx-4090", "", "psu 850"])
def test_price_of_no_part(name: str) -> None:
    with pytest.raises(UnknownName, match="host, network card, switch or part") as caught:
        part_price(name)
    assert "\n" not in str(caught.value)


GOOD = {"id": "one", "name": "One"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "psu"}, "power_w of a psu must be positive"),
        ({"kind": "psu", "power_w": -550.0}, "power_w of a psu must be positive"),
        ({"kind": "psu", "power_w": float("nan")}, "power_w of a psu must be positive"),
        ({"kind": "memory"}, "memory_bytes of a memory must be positive"),
        ({"kind": "memory", "memory_bytes": GIB, "power_w": 5.0}, "only a psu has power_w"),
        ({"kind": "cable", "link_kind": "ethernet"}, "bytes_per_s of a cable must be positive"),
        ({"kind": "cable", "bytes_per_s": BYTES_PER_GBIT}, "link_kind of a cable is ethernet or infiniband"),
        ({"kind": "cable", "bytes_per_s": BYTES_PER_GBIT, "link_kind": "pcie"}, "link_kind of a cable"),
        ({"kind": "board", "link_kind": "ethernet"}, "empty for all else"),
    ],
)
def test_part_out_of_range(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Part(**GOOD, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("quantity", [0, -1])
def test_host_has_at_least_one_of_a_part(quantity: int) -> None:
    with pytest.raises(InvalidInput, match="quantity is at least 1"):
        HostPart(host="mine", part="psu-850", quantity=quantity)


@pytest.mark.parametrize(
    ("record", "text", "reason"),
    [
        (Part, "id,name,kind,power_w\none,One,psu,\n", "must be positive"),
        (Part, "id,name,kind\none,One,carpet\n", "kind"),
        (HostPart, "host,part,quantity\nmine,psu-850,0\n", "at least 1"),
        (HostPart, "host,part,quantity\nmine,psu-850,few\n", "quantity"),
    ],
)
def test_bad_row_of_a_table(record: type[Part] | type[HostPart], text: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason) as caught:
        read_table("parts.csv", record, text)
    assert "\n" not in str(caught.value)
