"""What a build breaks or needs is said: licences, circuits, lanes, width, old prices."""

from __future__ import annotations

import datetime

import pytest

from farthing import catalog
from farthing.design.bill import bill, expenses, total_usd, warnings
from farthing.design.machines import Machine, machines, rented
from farthing.design.pricing import Kit
from farthing.design.shop import Shop, market
from farthing.records.design import Ownership
from farthing.records.hardware import Price

TODAY = datetime.date(2026, 11, 1)


def shop(date: str = "2026-10") -> Shop:
    """Everything costs 100 USD, to buy or for an hour."""
    known = market(rows=(), today=TODAY)
    items = (*known.accelerators, *known.hosts, *known.nics, *known.switches, *known.parts)
    rows = [
        Price(item=item, kind=kind, usd=100.0, per="unit", date=date, source="a shop")
        for item in items
        for kind in ("purchase", "rental")
        if kind == "purchase" or item in known.accelerators
    ]
    return market(rows=rows, today=TODAY)


def machine(card: str, host: str, cards: int, **terms: float) -> Machine:
    ownership = Ownership(**terms)  # type: ignore[arg-type]
    found = machines(shop(), catalog.accelerator(card), ownership)
    return next(one for one in found if one.host and one.host.id == host and one.cards == cards)


def said(made: Machine, *, hosts: int = 1, date: str = "2026-10", **terms: object) -> dict[str, list[str]]:
    """Warnings by kind."""
    kit = Kit(machine=made, network=None, spans=False, card_usd=100.0)
    offered = shop(date)
    rows = bill(offered, kit, accelerators=made.cards * hosts, hosts=hosts)
    found: dict[str, list[str]] = {}
    for one in warnings(offered, kit, rows, Ownership(**terms), hosts=hosts):  # type: ignore[arg-type]
        found.setdefault(one.kind, []).append(one.text)
    return found


def test_a_licence_forbids_data_centres() -> None:
    made = machine("rtx-4090", "romed8-2t-frame", 2)
    assert "forbids deployment in data centres" in said(made, site="datacentre")["licence"][0]
    assert "licence" not in said(made, site="home")
    free = machine("l40s", "romed8-2t-frame", 2)
    assert "licence" not in said(free, site="datacentre")


def test_who_rents_such_cards_is_told_too() -> None:
    (made,) = (one for one in rented(catalog.accelerator("rtx-4090")) if one.cards == 2)
    assert "may bind the provider too" in said(made)["licence"][0]
    (fine,) = (one for one in rented(catalog.accelerator("h100-sxm")) if one.cards == 2)
    assert said(fine) == {}


def test_circuits() -> None:
    # Six cards of 450 W and a host: on circuits of 1440 W.
    wide = machine("rtx-4090", "romed8-2t-frame", 6, circuit_w=1440.0)
    most_w = 6 * 450 + wide.host_w
    assert wide.circuits == -(-most_w // 1440)
    assert f"it needs {wide.circuits} circuits" in said(wide, circuit_w=1440.0)["electrical"][0]
    assert any("must start together" in text for text in said(wide, circuit_w=1440.0)["electrical"])
    # One card is fed by one circuit, which carries two such hosts of three.
    small = machine("rtx-4090", "romed8-2t-frame", 1, circuit_w=1440.0)
    assert 2 * (450 + small.host_w) <= 1440
    assert "electrical" not in said(small, hosts=2, circuit_w=1440.0)
    text = said(small, hosts=3, circuit_w=1440.0)["electrical"][0]
    assert "carries 2 of the 3 hosts" in text
    assert "they need 2 circuits" in text
    assert "electrical" not in said(machine("rtx-4090", "romed8-2t-frame", 1), hosts=3)


def test_lanes_and_width() -> None:
    mining = said(machine("rtx-4090", "h510-pro-btc", 4))["physical"]
    assert any("1 of 16 lanes" in text for text in mining)
    wide = said(machine("rtx-4090", "sys-741ge-tnrt", 4))["physical"]
    assert any("a GeForce's width" in text for text in wide)
    # A frame with a riser for each card has room for any width.
    assert not any("a GeForce's width" in text for text in mining)
    assert "physical" not in said(machine("rtx-4090", "romed8-2t-frame", 2))
    assert "physical" not in said(machine("l40s", "romed8-2t-frame", 4))


def test_old_prices() -> None:
    made = machine("l40s", "romed8-2t-frame", 2)
    assert "price" not in said(made)
    rows = said(made, date="2026-01-15")["price"][0]
    assert "prices are older than six months" in rows
    assert "2026-01-15" in rows


def test_a_bill_lists_everything_once() -> None:
    made = machine("l40s", "romed8-2t-frame", 2)
    kit = Kit(machine=made, network=None, spans=False, card_usd=100.0)
    rows = bill(shop(), kit, accelerators=5, hosts=3)
    parts = dict(catalog.host_parts()["romed8-2t-frame"]) | {"riser-pcie4-x16": 2}
    assert {row.item: row.quantity for row in rows if row.part == "host"} == {
        item: 3 * count for item, count in parts.items()
    }
    assert [(row.item, row.quantity) for row in rows if row.part == "accelerator"] == [("l40s", 5)]
    assert sum(row.quantity for row in rows if row.part == "supply") == 3 * made.supplies
    assert total_usd(rows) == 100.0 * sum(row.quantity for row in rows)


def test_expenses_add_up() -> None:
    made = machine("l40s", "romed8-2t-frame", 2)
    kit = Kit(machine=made, network=None, spans=False, card_usd=100.0)
    rows = bill(shop(), kit, accelerators=2, hosts=1)
    own = Ownership(years=2, annual_interest=0.1, residual_share=0.5, usd_per_kwh=0.2, usd_per_kw_month=146.0)
    capital = total_usd(rows)
    # Half of the price comes back: the sale of 0.5 is worth 0.5 / 1.21 today.
    yearly = capital * (1 - 0.5 / 1.21) * 0.1 / (1 - 1.1**-2)
    hourly = yearly / 8760 + 1.0 * 0.2 + 2.0 * 146 / 730
    figures = {
        "usd_per_s": hourly / 3600,
        "capital_usd": capital,
        "average_power_w": 1000.0,
        "power_w": 1500.0,
        "rated_w": 2000.0,
    }
    found = {one.name: one for one in expenses(rows, figures, own, rented=False)}
    assert set(found) == {"accelerators", "hosts", "interest", "electricity", "hosting"}
    assert found["accelerators"].usd_per_s * 3600 == pytest.approx(200 * 0.5 / (2 * 8760))
    assert found["electricity"].usd_per_s * 3600 == pytest.approx(0.2)
    assert found["hosting"].usd_per_s * 3600 == pytest.approx(0.4)
    assert sum(one.usd_per_s for one in found.values()) == pytest.approx(hourly / 3600)
    assert sum(one.share for one in found.values()) == pytest.approx(1)
