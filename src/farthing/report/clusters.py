"""A cluster in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.hardware import Cluster, HostGroup, Link, Price
from farthing.report import layout
from farthing.report.estimate import hardware
from farthing.report.prices import dated
from farthing.units import (
    HOUR,
    format_bytes,
    format_bytes_per_s,
    format_flop_per_s,
    format_seconds,
    format_usd,
    format_watts,
)


def _link(link: Link) -> str:
    share = "" if link.efficiency == 1 else f", {layout.percent(link.efficiency)} reached"
    each = ", a port for each card" if link.per_accelerator else ""
    rate = format_bytes_per_s(link.bytes_per_s)
    return f"{link.name}: {rate} one way{share}, {format_seconds(link.latency_s)}{each}"


def _group(group: HostGroup) -> Iterator[tuple[str, str]]:
    card = group.accelerator
    each = group.accelerators_per_host
    yield "hosts", f"{group.hosts:,} with {each:,} card{'s' if each > 1 else ''} each"
    memory, rate = format_bytes(card.memory_bytes, binary=True), format_bytes_per_s(card.memory_bytes_per_s)
    yield "card", f"{card.name}: {memory}, {rate}, {format_flop_per_s(card.training_flop_per_s)} in 16 bits"
    if each > 1:
        yield "between cards", _link(group.intra_link)
        yield "peer-to-peer", "no: through the host's memory" if group.host_copy else "yes"
    if group.network is not None:
        ports = "one port" if group.nics_per_host == 1 else f"{group.nics_per_host} ports"
        yield "network", f"{_link(group.network)}; {ports} a host"
    if group.host is not None:
        yield "host", group.host.name


def _total(
    cluster: Cluster, prices: Mapping[str, tuple[Price | None, Price | None]]
) -> Iterator[tuple[str, str]]:
    groups = cluster.groups
    yield "cards", f"{cluster.count:,} in {cluster.hosts:,} host{'s' if cluster.hosts > 1 else ''}"
    memory = sum(group.count * group.accelerator.memory_bytes for group in groups)
    yield "memory", format_bytes(memory, binary=True)
    bandwidth = sum(group.count * group.accelerator.memory_bytes_per_s for group in groups)
    yield "memory bandwidth", format_bytes_per_s(bandwidth)
    rate = sum(group.count * group.accelerator.training_flop_per_s for group in groups)
    yield "16-bit peak", format_flop_per_s(rate)
    power = sum(group.count * group.accelerator.tdp_w for group in groups)
    yield "cards' power limit", format_watts(power)
    if cluster.oversubscription > 1:
        yield "oversubscription", f"{cluster.oversubscription:g} to 1"
    buy = [prices.get(group.accelerator.id, (None, None))[0] for group in groups]
    rent = [prices.get(group.accelerator.id, (None, None))[1] for group in groups]
    if cluster.usd:
        yield "price", format_usd(cluster.usd)
    elif all(buy):
        total = sum(price.usd * group.count for price, group in zip(buy, groups, strict=True) if price)
        yield "cards to buy", f"{format_usd(total)} ({_listed(buy)})"
    if cluster.usd_per_s:
        yield "rent", f"{format_usd(cluster.usd_per_s * HOUR)}/h"
    elif all(rent):
        total = sum(price.usd * group.count for price, group in zip(rent, groups, strict=True) if price)
        yield "cards to rent", f"{format_usd(total)}/h ({_listed(rent)})"


def _listed(prices: list[Price | None]) -> str:
    known = dict.fromkeys(price for price in prices if price is not None)
    return ", ".join(f"{price.item} {format_usd(price.usd)}, {dated(price)}" for price in known)


def cluster_report(
    cluster: Cluster, prices: Mapping[str, tuple[Price | None, Price | None]]
) -> RenderableType:
    """Hosts, cards, links, totals and prices of a cluster.

    Parameters
    ----------
    cluster
        The hardware.
    prices
        Of an accelerator's id: to buy, and to rent.
    """
    rows: list[RenderableType] = [layout.heading(hardware(cluster), cluster.name)]
    for number, group in enumerate(cluster.groups, start=1):
        if len(cluster.groups) > 1:
            rows += [Text(), layout.heading(f"Group {number}")]
        rows.append(layout.facts(_group(group)))
    rows += [Text(), layout.heading("Together"), layout.facts(_total(cluster, prices))]
    return Group(*rows)
