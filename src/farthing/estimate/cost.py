"""Power of a cluster, and what it costs to own or to rent."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing import catalog
from farthing.catalog.prices import is_stale, purchase_price, rental_price
from farthing.errors import InvalidInput
from farthing.predict.energy import accelerator_power_w, cluster_power_w, electricity_usd_per_s
from farthing.predict.money import (
    capital_usd_per_s,
    cost_usd_per_s,
    rental_usd_per_s,
    tokens_per_usd,
    usd_per_million_tokens,
)
from farthing.predict.trace import Number, select
from farthing.records.estimate import Cost
from farthing.records.hardware import Cluster, HostGroup, Price, is_stale_date
from farthing.units import HOUR, format_watts

HOST_BASE_W: Final = 80.0
HOST_W_PER_CARD: Final = 60.0
"""Draw of a host that is not described: board, memory, drive, then a share of processor and fans for each
card. An assumption; describe the host to do better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBasis:
    """How money is counted.

    Attributes
    ----------
    usd_per_kwh
        Electricity.
    years
        Until bought hardware is written off.
    pue
        Power of the building over power of the machines.
    usd_per_accelerator
        The user's own price of a card; 0 means the catalogue's.
    usd_per_accelerator_hour
        The user's own rent of a card; 0 means the catalogue's.
    """

    usd_per_kwh: float = 0.12
    years: float = 3.0
    pue: float = 1.2
    usd_per_accelerator: float = 0.0
    usd_per_accelerator_hour: float = 0.0

    def __post_init__(self) -> None:
        for field in ("usd_per_kwh", "usd_per_accelerator", "usd_per_accelerator_hour"):
            if not 0 <= getattr(self, field) < 1e9:
                raise InvalidInput(f"cost: {field} must be 0 or more, not {getattr(self, field)}")
        if not 0 < self.years <= 100:
            raise InvalidInput(f"cost: years must be in (0, 100], not {self.years}")
        if not 1 <= self.pue <= 10:
            raise InvalidInput(f"cost: pue must be in 1..10, not {self.pue}")


def host_power_w(group: HostGroup) -> float:
    """Draw of one host without its cards [W]."""
    if group.accelerator.unified_memory or group.accelerator.kind == "cpu":
        return 0.0
    if group.host is not None and group.host.load_w > 0:
        return group.host.load_w
    return HOST_BASE_W + HOST_W_PER_CARD * group.accelerators_per_host


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLoad:
    """A share of the cards of a group of hosts, and how much of their peaks they use; scalars or columns."""

    group: int
    cards_share: Number
    compute_share: Number
    memory_share: Number


def power_w(
    cluster: Cluster, *, compute_share: Number, memory_share: Number, pue: float, used: Number = 0
) -> Number:
    """Draw of the whole cluster at the meter [W]; 0 where the cards' power is unknown.

    Of the cards, ``used`` work (0: all) and the others rest. Shares and ``used`` are scalars or columns.
    """
    busy = select(used > 0, used, cluster.count) / cluster.count
    loads = [
        CardLoad(
            group=number,
            cards_share=busy,
            compute_share=compute_share,
            memory_share=memory_share,
        )
        for number in range(len(cluster.groups))
    ]
    return loaded_power_w(cluster, loads, pue=pue)


def loaded_power_w(cluster: Cluster, loads: Sequence[CardLoad], *, pue: float) -> Number:
    """Draw at the meter [W] where cards do different things and all others rest; 0 where it is unknown."""
    total: Number = 0.0
    for number, group in enumerate(cluster.groups):
        card = group.accelerator
        if not card.tdp_w:
            return 0.0
        each: Number = 0.0
        busy: Number = 0.0
        for load in loads:
            if load.group == number:
                working = accelerator_power_w(
                    card.tdp_w,
                    compute_share=load.compute_share,
                    memory_share=load.memory_share,
                    idle_w=card.idle_w,
                )
                each, busy = each + load.cards_share * working, busy + load.cards_share
        resting = accelerator_power_w(card.tdp_w, compute_share=0, memory_share=0, idle_w=card.idle_w)
        each = each + (1 - busy) * resting
        total = total + cluster_power_w(
            each, group.count, host_power_w=host_power_w(group), hosts=group.hosts, pue=pue
        )
    return total if isinstance(total, np.ndarray) else float(total)


def _listed(price: Price, count: int) -> str:
    date = f" ({price.date})" if price.date else ""
    per = "/h" if price.per == "accelerator-hour" else ""
    return f"{count} x {price.item} at ${price.usd:,.2f}{per}{date}"


def _capital(cluster: Cluster, basis: CostBasis, today: datetime.date) -> tuple[float, str, bool] | None:
    if cluster.usd:
        return cluster.usd, f"${cluster.usd:,.0f} for the whole cluster", False
    total, parts, stale = 0.0, [], False
    without_hosts = False
    for group in cluster.groups:
        if basis.usd_per_accelerator:
            total += basis.usd_per_accelerator * group.count
            parts.append(f"{group.count} x {group.accelerator.id} at ${basis.usd_per_accelerator:,.2f}")
        else:
            price = (
                purchase_price(group.accelerator.id)
                if group.accelerator.id in catalog.accelerators()
                else None
            )
            if price is None:
                return None
            total += price.usd * group.count
            parts.append(_listed(price, group.count))
            stale = stale or is_stale(price, today)
        if group.host is not None and group.host.price_usd:
            total += group.host.price_usd * group.hosts
            parts.append(f"{group.hosts} x {group.host.id} at ${group.host.price_usd:,.2f}")
            # A host that the user describes has the user's own price, without a date.
            seen = group.host.price_date
            stale = stale or (bool(seen) and is_stale_date(seen, today))
        else:
            without_hosts = True
    if without_hosts:
        parts.append("price of hosts and network not counted")
    return total, ", ".join(parts), stale


def _rent(cluster: Cluster, basis: CostBasis, today: datetime.date) -> tuple[float, str, bool] | None:
    if cluster.usd_per_s:
        return cluster.usd_per_s, f"${cluster.usd_per_s * HOUR:,.2f}/h for the whole cluster", False
    total, parts, stale = 0.0, [], False
    for group in cluster.groups:
        card = group.accelerator
        if basis.usd_per_accelerator_hour:
            hourly = basis.usd_per_accelerator_hour
            parts.append(f"{group.count} x {card.id} at ${hourly:,.2f}/h")
        else:
            price = rental_price(card.id) if card.id in catalog.accelerators() else None
            if price is None:
                return None
            hourly = price.usd
            parts.append(_listed(price, group.count))
            stale = stale or is_stale(price, today)
        total += float(rental_usd_per_s(hourly, group.count))
    return total, ", ".join(parts), stale


@dataclass(frozen=True, slots=True)
class Way:
    """A way of paying, whatever the plan: by the hardware's price [USD/s], with electricity or without."""

    name: str
    hardware_usd_per_s: float
    usd_per_kwh: float
    words: str
    stale: bool

    def usd_per_s(self, draw_w: Number) -> Number:
        """Everything counted at a draw at the meter [USD/s]."""
        if not self.usd_per_kwh:
            return self.hardware_usd_per_s
        return cost_usd_per_s(self.hardware_usd_per_s, electricity_usd_per_s(draw_w, self.usd_per_kwh))

    def usd_per_million_tokens(self, draw_w: Number, tokens_per_s: Number) -> Number:
        """Of so many tokens a second at a draw at the meter."""
        return usd_per_million_tokens(self.usd_per_s(draw_w), tokens_per_s)


def ways(cluster: Cluster, basis: CostBasis) -> tuple[Way, ...]:
    """Owning and renting, as far as prices are known."""
    today = datetime.date.today()
    found = []
    bought = _capital(cluster, basis, today)
    if bought is not None:
        price, words, stale = bought
        capital = float(capital_usd_per_s(price, basis.years))
        words += f", over {basis.years:g} years"
        found.append(Way("own", capital, basis.usd_per_kwh, words, stale))
    rented = _rent(cluster, basis, today)
    if rented is not None:
        found.append(Way("rent", rented[0], 0.0, rented[1], rented[2]))
    return tuple(found)


def costs(cluster: Cluster, draw_w: float, tokens_per_s: float, basis: CostBasis) -> tuple[Cost, ...]:
    """What each way of paying costs at a draw and so many tokens a second."""
    found = []
    for way in ways(cluster, basis):
        usd, words = float(way.usd_per_s(draw_w)), way.words
        if usd <= 0:
            continue
        if way.name == "own":
            power = "electricity unknown"
            if draw_w:
                power = (
                    f"{format_watts(draw_w)} with hosts and PUE {basis.pue:g} at ${basis.usd_per_kwh:g}/kWh"
                )
            words += f"; {power}"
        found.append(
            Cost(
                way=way.name,
                usd_per_s=usd,
                hardware_usd_per_s=way.hardware_usd_per_s,
                usd_per_million_tokens=float(usd_per_million_tokens(usd, tokens_per_s)),
                tokens_per_usd=float(tokens_per_usd(tokens_per_s, usd)),
                basis=words,
                stale=way.stale,
            )
        )
    return tuple(found)
