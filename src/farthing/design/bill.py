"""A build in full: its bill of materials, its expenses, what it breaks or needs, and its estimate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from farthing.design.copies import plan_of
from farthing.design.machines import has_own_price, machine_cluster
from farthing.design.networks import Network
from farthing.design.pricing import Kit, Terms
from farthing.design.serving import Found
from farthing.design.shop import Shop
from farthing.design.training_search import FoundRun
from farthing.estimate.cost import CostBasis
from farthing.estimate.inference import infer_estimate
from farthing.predict.energy import electricity_usd_per_s
from farthing.predict.money import capital_usd_per_s, hosting_usd_per_s
from farthing.predict.ownership import owned_usd_per_s
from farthing.records.design import BillRow, Build, BuildWarning, Expense, Ownership
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.units import format_quantity, format_seconds

READING_S = 0.2
"""Longest time a token at which people read along: five tokens a second (li-2023-article)."""

WIDE_CARDS = 3
"""GeForce cards in one host from which on their three slots each no longer go side by side."""


def bill(shop: Shop, kit: Kit, *, accelerators: int, hosts: int) -> tuple[BillRow, ...]:
    """What is bought or rented.

    Raises
    ------
    AssertionError
        Never: kits are only of parts with prices.
    """
    card = kit.machine.accelerator
    if kit.rented:
        rent = shop.rental(card.id)
        assert rent is not None
        return (shop.row("accelerator", card.id, card.name, accelerators, rent),)
    rows: list[BillRow] = []
    if not kit.machine.included:
        price = shop.price(card.id)
        assert price is not None
        rows.append(shop.row("accelerator", card.id, card.name, accelerators, price))
    rows += kit.machine.bill(shop, hosts)
    if kit.network is not None:
        rows += kit.network.bill(shop, hosts)
    return tuple(row for row in rows if row.quantity)


def expenses(
    rows: Sequence[BillRow], figures: dict[str, float], ownership: Ownership, *, rented: bool
) -> tuple[Expense, ...]:
    """Where the money goes, in the order of the parts.

    What was bought counts by its price less what its sale brings, over the years; interest stands alone.
    """
    total = figures["usd_per_s"]
    parts: dict[str, float] = {}
    if rented:
        parts["rent"] = total
    else:
        names = {"accelerator": "accelerators", "host": "hosts", "supply": "hosts"}
        for row in rows:
            name = names.get(row.part, "network")
            usd = row.quantity * row.usd
            parts[name] = parts.get(name, 0.0) + float(
                capital_usd_per_s(usd, ownership.years, residual_share=ownership.residual_share)
            )
        capital = figures["capital_usd"]
        whole = float(
            owned_usd_per_s(
                capital,
                ownership.years,
                annual_interest=ownership.annual_interest,
                residual_share=ownership.residual_share,
            )
        )
        plain = float(capital_usd_per_s(capital, ownership.years, residual_share=ownership.residual_share))
        parts["interest"] = whole - plain
        parts["electricity"] = float(electricity_usd_per_s(figures["average_power_w"], ownership.usd_per_kwh))
        parts["hosting"] = float(hosting_usd_per_s(figures["rated_w"], ownership.usd_per_kw_month))
    return tuple(
        Expense(name=name, usd_per_s=usd, share=usd / total if total else 0.0)
        for name, usd in parts.items()
        if abs(usd) > 1e-6 * total
    )


def warnings(
    shop: Shop, kit: Kit, rows: Sequence[BillRow], ownership: Ownership, *, hosts: int
) -> Iterator[BuildWarning]:
    """What a build breaks or needs: licences, circuits, slots, old prices."""
    machine, card = kit.machine, kit.machine.accelerator
    if not card.datacenter_licence and ownership.site == "datacentre" and not kit.rented:
        yield BuildWarning(
            kind="licence", text=f"{card.name}: its driver's licence forbids deployment in data centres"
        )
    if not card.datacenter_licence and kit.rented:
        yield BuildWarning(
            kind="licence",
            text=f"{card.name}: its driver's licence forbids data centres, which may bind the provider too",
        )
    if machine.host is not None:
        if has_own_price(shop, machine.host):
            most_w = machine.cards * card.tdp_w + machine.host_w
            yield BuildWarning(
                kind="electrical",
                text=f"the supplies of your {machine.host.id} must deliver {format_quantity(most_w, 'W')}",
            )
        yield from _electrical(machine, ownership, hosts)
        yield from _physical(shop, kit)
    yield from _prices(rows)


def _electrical(machine: Any, ownership: Ownership, hosts: int) -> Iterator[BuildWarning]:
    most_w = machine.cards * machine.accelerator.tdp_w + machine.host_w
    if machine.circuits > 1:
        yield BuildWarning(
            kind="electrical",
            text=f"each host may draw {format_quantity(most_w, 'W')}: it needs {machine.circuits} circuits "
            f"of {format_quantity(ownership.circuit_w, 'W')}",
        )
    elif machine.circuits == 1 and hosts > 1:
        together = max(int(ownership.circuit_w // most_w), 1)
        if hosts > together:
            yield BuildWarning(
                kind="electrical",
                text=f"a circuit of {format_quantity(ownership.circuit_w, 'W')} carries {together} of the "
                f"{hosts} hosts: they need {-(-hosts // together)} circuits",
            )
    if machine.supplies > 1:
        yield BuildWarning(
            kind="electrical", text=f"{machine.supplies} power supplies in each host must start together"
        )


def _physical(shop: Shop, kit: Kit) -> Iterator[BuildWarning]:
    machine, card = kit.machine, kit.machine.accelerator
    host = machine.host
    if host is None or card.form != "PCIe":
        return
    risers = any(shop.parts[item].kind == "riser" for item, _ in shop.host_parts.get(host.id, ()))
    if not card.datacenter_licence and machine.cards >= WIDE_CARDS and not risers:
        yield BuildWarning(
            kind="physical",
            text=f"{machine.cards} cards of a GeForce's width in a host need risers, or blower or "
            "water-cooled versions",
        )
    if card.pcie_lanes and host.pcie_lanes_per_slot < card.pcie_lanes:
        yield BuildWarning(
            kind="physical",
            text=f"{host.name} gives each card {host.pcie_lanes_per_slot} of {card.pcie_lanes} lanes",
        )


def _prices(rows: Sequence[BillRow]) -> Iterator[BuildWarning]:
    stale = [row for row in rows if row.stale]
    if stale:
        oldest = min(stale, key=lambda row: row.date)
        day = oldest.date or "without a date"
        words = f"the price of {oldest.item} is older than six months: {day}"
        if len(stale) > 1:
            words = (
                f"{len(stale)} of {len(rows)} prices are older than six months; the oldest is that of "
                f"{oldest.item}, {day}"
            )
        yield BuildWarning(kind="price", text=words)


def copy_cluster(shop: Shop, found: Found) -> Cluster:
    """The hosts that one copy lies on."""
    network = found.kit.network
    if not found.kit.spans or network is None:
        return machine_cluster(found.kit.machine, shop)
    hosts = hosts_of_copy(found)
    return machine_cluster(found.kit.machine, shop, hosts, network.link, network.nics)


def hosts_of_copy(found: Found) -> int:
    """How many hosts one copy lies on."""
    if not found.kit.spans:
        return 1
    return round(found.figures["hosts"] / found.figures["copies"])


def estimate(shop: Shop, found: Found, terms: Terms) -> InferenceEstimate:
    """All about one copy."""
    plan, sequences = plan_of(found.task, found.rows, found.row)
    ownership = terms.ownership
    return infer_estimate(
        found.task.model,
        copy_cluster(shop, found),
        dataclasses.replace(found.task.workload, batch_size=sequences),
        plan,
        basis=CostBasis(usd_per_kwh=ownership.usd_per_kwh, years=ownership.years, pue=ownership.pue),
        ideal=found.task.ideal,
    )


def build(shop: Shop, found: Found, terms: Terms) -> Build:
    """A build with its bill, warnings and estimate."""
    figures, one = found.figures, estimate(shop, found, terms)
    return Build(
        **_whole(shop, found, terms, one),
        cluster=copy_cluster(shop, found).name,
        copies=round(figures["copies"]),
        requests_per_s=figures["requests_per_s"],
        ttft_s=figures["ttft_s"],
        tpot_s=figures["tpot_s"],
        inference=one,
    )


def run_build(shop: Shop, found: FoundRun, terms: Terms) -> Build:
    """A build that trains, with its bill, warnings and estimate."""
    return Build(
        **_whole(shop, found, terms, found.estimate),
        cluster=found.cluster.name,
        copies=1,
        training=found.estimate,
        run_s=found.figures["run_s"],
        run_usd=found.figures["run_usd"],
    )


def _quality(
    found: Found | FoundRun, estimate: InferenceEstimate | TrainingEstimate
) -> Iterator[BuildWarning]:
    """What its speed rests on, and whether anyone would wait for it."""
    if any("assumed, not measured" in text for text in estimate.assumptions):
        card = found.kit.machine.accelerator
        yield BuildWarning(
            kind="evidence", text=f"{card.name}: the efficiency of its kernels is assumed, not measured"
        )
    if isinstance(estimate, InferenceEstimate) and found.figures["tpot_s"] > READING_S:
        answer_s = found.figures["tpot_s"] * estimate.workload.output_tokens
        yield BuildWarning(
            kind="latency",
            text=f"a token takes {format_seconds(found.figures['tpot_s'])}, an answer "
            f"{format_seconds(answer_s)}: limit the time a token where somebody waits for it",
        )


def _whole(
    shop: Shop,
    found: Found | FoundRun,
    terms: Terms,
    estimate: InferenceEstimate | TrainingEstimate,
) -> dict[str, Any]:
    """What builds of every task have."""
    kit, figures = found.kit, found.figures
    hosts, accelerators = round(figures["hosts"]), round(figures["accelerators"])
    rows = bill(shop, kit, accelerators=accelerators, hosts=hosts)
    network: Network | None = kit.network if hosts > 1 else None
    usd = figures["usd_per_million_tokens"]
    told = [*warnings(shop, kit, rows, terms.ownership, hosts=hosts), *_quality(found, estimate)]
    if isinstance(found, FoundRun) and kit.rented and found.cluster.network is not None:
        told.append(
            BuildWarning(
                kind="network",
                text=f"the {hosts} rented hosts are taken to be joined by {found.cluster.network.name} each, "
                "which their price does not say: ask the provider",
            )
        )
    return {
        "way": found.kit.way,
        "accelerator": kit.machine.accelerator.id,
        "accelerators": accelerators,
        "accelerators_per_host": kit.machine.cards,
        "host": kit.machine.host.id if kit.machine.host else "",
        "hosts": hosts,
        "network": network.link.id if network else "",
        "nics_per_host": network.nics if network else 0,
        "nic": network.nic.id if network and network.nic else "",
        "switch": network.switch.id if network and network.switch else "",
        "switches": round(figures["switches"]) if network else 0,
        "tokens_per_s": figures["tokens_per_s"],
        "rated_w": figures["rated_w"],
        "power_w": figures["power_w"],
        "average_power_w": figures["average_power_w"],
        "circuits": kit.machine.circuits,
        "capital_usd": figures["capital_usd"],
        "usd_per_s": figures["usd_per_s"],
        "expenses": expenses(rows, figures, terms.ownership, rented=kit.rented),
        "usd_per_million_tokens": usd,
        "tokens_per_usd": 1e6 / usd if usd else 0.0,
        "bill": rows,
        "warnings": tuple(told),
    }


def total_usd(rows: Iterable[BillRow]) -> float:
    """Sum of a bill.

    Examples
    --------
    >>> row = BillRow(part="accelerator", item="rtx-4090", name="RTX 4090", quantity=8, usd=1600.0,
    ...               kind="purchase", date="2023-09-27", source="", stale=True)
    >>> total_usd([row])
    12800.0
    """
    return sum(row.quantity * row.usd for row in rows)
