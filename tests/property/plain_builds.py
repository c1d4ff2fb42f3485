"""Every build of a small shop, one after the other: plain loops, no bounds, nothing left out.

Written apart from the search that it is held against: parts are put together, counted, powered and paid for
here once more, in words as plain as they come. Only how fast a copy runs on a cluster is asked of the
estimates, and every cluster is asked on its own.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from farthing.catalog.cluster import intra_link
from farthing.design.copies import STAGES, Copies, Task, batches, exact
from farthing.design.pricing import Terms
from farthing.design.shop import Shop
from farthing.estimate.run import run_of
from farthing.estimate.subject import cuts_heads, subject
from farthing.records.design import DesignObjective, Ways
from farthing.records.hardware import Accelerator, Cluster, Host, HostGroup, Link

GIB = 2**30
JOULE_PER_KWH = 3.6e6
HOUR, YEAR, MONTH = 3600.0, 8760 * 3600.0, 730 * 3600.0


class Split(NamedTuple):
    """How one copy lies on its cards, and how many sequences it decodes."""

    tp: int
    pp: int
    dp: int
    ep: int
    sequences: int

    @property
    def cards(self) -> int:
        return self.tp * self.pp * self.dp


class Speed(NamedTuple):
    """What one copy does."""

    tokens_per_s: float
    ttft_s: float
    tpot_s: float
    busy_w: float
    idle_w: float
    weight_bytes: float


class Box(NamedTuple):
    """A host with room for cards."""

    host: Host
    cards: int
    usd: float
    host_w: float


class Join(NamedTuple):
    """What joins hosts."""

    link: Link
    ports: int
    nic_usd: float
    nic_w: float
    switch_ports: int
    switch_usd: float
    switch_w: float
    cable_usd: float


class Figures(NamedTuple):
    """What a build does and costs."""

    usd: float
    capital: float
    power: float
    tpot: float
    ttft: float
    tokens_per_s: float
    usd_per_s: float
    accelerators: int
    hosts: int
    words: str


def best(
    shop: Shop,
    tasks: Mapping[str, tuple[Task, ...]],
    terms: Terms,
    ways: Ways,
    objective: DesignObjective,
) -> tuple[float, Figures] | None:
    """The least of an objective (the most tokens a second with a minus), and a build that has it."""
    found = [(value_of(one, objective), one) for one in builds(shop, tasks, terms, ways) if keeps(one, terms)]
    return min(found, key=lambda one: one[0], default=None)


def value_of(one: Figures, objective: DesignObjective) -> float:
    """Less is better."""
    if objective == "tokens-per-s":
        return -one.tokens_per_s
    return float(getattr(one, objective))


def keeps(one: Figures, terms: Terms) -> bool:
    """Whether a build keeps all limits, but for a rounding error."""
    limits, demand = terms.limits, terms.demand.tokens_per_s
    pairs = (
        (limits.capital_usd, one.capital),
        (limits.usd_per_s, one.usd_per_s),
        (limits.usd_per_million_tokens, one.usd),
        (limits.power_w, one.power),
        (limits.ttft_s, one.ttft),
        (limits.tpot_s, one.tpot),
        (limits.most_hosts, one.hosts),
        (limits.most_accelerators, one.accelerators),
    )
    if demand and one.tokens_per_s < demand * (1 - 1e-9):
        return False
    return all(not limit or value <= limit * (1 + 1e-9) for limit, value in pairs)


def builds(shop: Shop, tasks: Mapping[str, tuple[Task, ...]], terms: Terms, ways: Ways) -> Iterator[Figures]:
    """Everything that can be put together, whether it keeps the limits or not."""
    for name, own in tasks.items():
        card = shop.accelerators[name]
        for task in own:
            if ways != "rent":
                yield from owned(shop, card, task, terms)
            if ways != "own" and name in shop.given_usd_per_hour:
                yield from rented(shop, card, task, terms)


def owned(shop: Shop, card: Accelerator, task: Task, terms: Terms) -> Iterator[Figures]:
    """To buy: every host, number of cards, network, split, and number of copies."""
    limits = terms.limits
    for box in boxes(shop, card, terms):
        joins = list(joins_of(shop, box)) if limits.most_hosts > 1 else []
        alone = group_of(shop, card, box)
        for split, speed in speeds(task, alone, 1, box.cards):
            if not loads(box, speed):
                continue
            together = box.cards // split.cards
            for copies in counts(limits.most_hosts * together, speed, terms):
                hosts = math.ceil(copies / together)
                for join in joins if hosts > 1 else [None]:
                    found = bought(shop, card, box, join, split, speed, copies, hosts, terms)
                    if found is not None:
                        yield found
        for join in joins:
            wide = group_of(shop, card, box, join)
            for each in range(2, limits.most_hosts + 1):
                for split, speed in speeds(task, wide, each, each * box.cards):
                    if hosts_of(split, box.cards) != each or not loads(box, speed):
                        continue
                    if task.plan.engine.startswith("llama.cpp") and split.tp > box.cards:
                        continue
                    for copies in counts(limits.most_hosts // each, speed, terms):
                        found = bought(shop, card, box, join, split, speed, copies, copies * each, terms)
                        if found is not None:
                            yield found


def loads(box: Box, speed: Speed) -> bool:
    """Whether the host's memory holds a card's weights, and 8 GiB for all else."""
    if box.host.kind == "soc":
        return True
    return not box.host.memory_bytes or speed.weight_bytes + 8 * GIB <= box.host.memory_bytes


def counts(most: int, speed: Speed, terms: Terms) -> Iterator[int]:
    """Numbers of copies: all that the hosts have room for; those that do not carry the demand drop out."""
    demand = terms.demand.tokens_per_s
    for copies in range(1, most + 1):
        if copies * speed.tokens_per_s >= demand * (1 - 1e-12):
            yield copies
            if demand:
                # One more than are needed is never better; one is tried all the same.
                if copies < most:
                    yield copies + 1
                return


def hosts_of(split: Split, cards: int) -> int | None:
    """Hosts that a copy takes: groups of tensor parallel cards fill hosts or share one."""
    width = split.tp * split.dp
    if width > cards:
        return split.pp * (width // cards) if width % cards == 0 else None
    return math.ceil(split.pp / (cards // width))


def boxes(shop: Shop, card: Accelerator, terms: Terms) -> Iterator[Box]:
    """Hosts that take a card, with their supplies, by number of cards."""
    for host in shop.hosts.values():
        if host.accelerators:
            if card.id not in host.accelerators.split():
                continue
        elif card.form != "PCIe" or host.kind == "soc" or host.cards_included:
            continue
        sizes = sorted({*[n for n in (1, 2, 4, 6, 8) if n <= host.slots], host.slots})
        for cards in [host.cards_included] if host.cards_included else sizes:
            host_w = host.load_w or 80.0 + 60.0 * cards
            most_w = cards * card.tdp_w + host_w
            parts = shop.host_parts.get(host.id)
            if not parts:
                if host.psu_w and host.psu_w >= most_w:
                    yield Box(host, cards, shop.given_usd[host.id], host_w)
                continue
            usd = sum(shop.given_usd[item] * count for item, count in parts)
            ways = []
            for part in shop.parts.values():
                if part.kind != "psu":
                    continue
                count = 1
                circuit = terms.ownership.circuit_w
                while count * part.power_w < most_w * 1.2 or (circuit and most_w / count > circuit):
                    count += 1
                if count <= 4:
                    ways.append((count, count * shop.given_usd[part.id]))
            if ways:
                yield Box(host, cards, usd + min(ways)[1], host_w)


def joins_of(shop: Shop, box: Box) -> Iterator[Join]:
    """Every port, network card, switch and cable that goes into a host and together."""
    host = box.host
    slots = host.slots - box.cards + host.extra_slots
    rates = [0.0]
    if host.slots > box.cards:
        rates.append(lane_rate(shop, host.pcie_generation, host.pcie_lanes_per_slot))
    if host.extra_slots:
        rates.append(lane_rate(shop, host.extra_pcie_generation, host.extra_pcie_lanes))
    ports: list[tuple[Link, int, float, float]] = []
    onboard = shop.links[host.onboard_link or "1gbe"]
    ports.append((onboard, min(host.onboard_ports or 1, box.cards) if onboard.per_accelerator else 1, 0, 0))
    for nic in shop.nics.values():
        link = shop.links[nic.link]
        if link.bytes_per_s > 1.1 * max(rates):
            continue
        for number in {1, box.cards} if link.per_accelerator else {1}:
            if number <= slots:
                usd, watts = shop.given_usd[nic.id] * number, (nic.power_w or 15.0) * number
                ports.append((link, number, usd, watts))
    for link, number, usd, watts in ports:
        kind = "ethernet" if link.kind == "roce" else link.kind
        cables = [
            shop.given_usd[part.id]
            for part in shop.parts.values()
            if part.kind == "cable" and part.link_kind == kind and part.bytes_per_s >= 0.99 * link.bytes_per_s
        ]
        if not cables:
            continue
        if number == 1:
            yield Join(link, 1, usd, watts, 0, 0.0, 0.0, min(cables))
        for switch in shop.switches.values():
            if switch.kind == kind and switch.bytes_per_s >= 0.99 * link.bytes_per_s:
                draw = switch.power_w or 5.0 * switch.ports
                price = shop.given_usd[switch.id]
                yield Join(link, number, usd, watts, switch.ports, price, draw, min(cables))


def lane_rate(shop: Shop, generation: int, lanes: int) -> float:
    """Of a slot."""
    link = shop.links.get(f"pcie{generation}-x{lanes}")
    return link.bytes_per_s if link else 0.0


def fabric_by_hand(ports: int, switch_ports: int) -> tuple[int, int] | None:
    """Switches and cables, by laying them one after the other; None where they cannot join so many."""
    if ports < 2:
        return 0, 0
    if not switch_ports:
        return (0, 1) if ports == 2 else None
    if ports <= switch_ports:
        return 1, ports
    down = switch_ports // 2
    leaves, cables, left = 0, 0, ports
    while left > 0:
        leaves, cables, left = leaves + 1, cables + min(left, down), left - down
    uplinks = leaves * down
    spines = 0
    while spines * switch_ports < uplinks:
        spines += 1
    if leaves > switch_ports or spines > down:
        return None
    return leaves + spines, cables + uplinks


def bought(
    shop: Shop,
    card: Accelerator,
    box: Box,
    join: Join | None,
    split: Split,
    speed: Speed,
    copies: int,
    hosts: int,
    terms: Terms,
) -> Figures | None:
    """What a build costs and draws."""
    own = terms.ownership
    cards = hosts * box.cards if box.host.cards_included else copies * split.cards
    capital = hosts * box.usd
    watts = hosts * box.host_w + cards * speed.idle_w
    if not box.host.cards_included:
        capital += cards * shop.given_usd[card.id]
    if join is not None:
        laid = fabric_by_hand(hosts * join.ports, join.switch_ports)
        if laid is None:
            return None
        switches, cables = laid
        capital += hosts * join.nic_usd + switches * join.switch_usd + cables * join.cable_usd
        watts += hosts * join.nic_w + switches * join.switch_w
    tokens_per_s = copies * speed.tokens_per_s
    demand = terms.demand.tokens_per_s or tokens_per_s
    working = copies * split.cards * (speed.busy_w - speed.idle_w) * min(demand / tokens_per_s, 1.0)
    day = hours_of(terms.demand.trough_share)
    mean = sum(day) / len(day)
    rated = watts + cards * (card.tdp_w - speed.idle_w)
    power = own.pue * (watts + working)
    average = own.pue * (watts + working * mean)
    rate, years = own.annual_interest, own.years
    sunk = capital * (1 - own.residual_share / (1 + rate) ** years)
    yearly = sunk * rate / (1 - (1 + rate) ** -years) if rate else sunk / years
    usd_per_s = (
        yearly / YEAR + average * own.usd_per_kwh / JOULE_PER_KWH + rated / 1e3 * own.usd_per_kw_month / MONTH
    )
    return Figures(
        usd_per_s / (demand * mean) * 1e6,
        capital,
        power,
        speed.tpot_s,
        speed.ttft_s,
        tokens_per_s,
        usd_per_s,
        cards,
        hosts,
        f"{hosts} x {box.host.id} of {box.cards} {card.id}, {copies} x {split} @ {join}",
    )


def rented(shop: Shop, card: Accelerator, task: Task, terms: Terms) -> Iterator[Figures]:
    """To rent: machines of one, two, four or eight cards, one copy on each."""
    own, demand = terms.ownership, terms.demand.tokens_per_s
    day = hours_of(terms.demand.trough_share)
    mean = sum(day) / len(day)
    for cards in (1, 2, 4, 8):
        group = HostGroup(
            hosts=1,
            accelerators_per_host=cards,
            accelerator=card,
            intra_link=intra_link(card, None, shop.links),
            host_copy=not card.peer_to_peer and not card.link,
        )
        for split, speed in speeds(task, group, 1, cards):
            if split.cards != cards:
                continue
            for copies in counts(terms.limits.most_hosts, speed, terms):
                running = [float(copies)]
                if own.elastic and demand:
                    running = [
                        min(max(math.ceil(demand * share / speed.tokens_per_s * (1 - 1e-12)), 1), copies)
                        for share in day
                    ]
                mine = sum(running) / len(running)
                usd_per_s = mine * cards * shop.given_usd_per_hour[card.id] / HOUR
                sold = (demand or copies * speed.tokens_per_s) * mean
                working = cards * copies * (speed.busy_w - speed.idle_w)
                working *= min((demand or math.inf) / (copies * speed.tokens_per_s), 1.0)
                yield Figures(
                    usd_per_s / sold * 1e6,
                    0.0,
                    own.pue * (copies * cards * speed.idle_w + working),
                    speed.tpot_s,
                    speed.ttft_s,
                    copies * speed.tokens_per_s,
                    usd_per_s,
                    copies * cards,
                    copies,
                    f"{copies} rented x {cards} {card.id}, {split}",
                )


def hours_of(trough: float) -> list[float]:
    """Demand over that of the busiest hour, from midnight: a wave with its trough at 3 o'clock."""
    return [trough + (1 - trough) * (1 - math.cos(math.pi * (hour - 3) / 12)) / 2 for hour in range(24)]


def group_of(shop: Shop, card: Accelerator, box: Box, join: Join | None = None) -> HostGroup:
    """Hosts as the estimates take them."""
    return HostGroup(
        hosts=1,
        accelerators_per_host=box.cards,
        accelerator=card,
        intra_link=intra_link(card, box.host, shop.links),
        host_copy=not card.peer_to_peer and not card.link,
        network=join.link if join else None,
        nics_per_host=join.ports if join else 1,
        host=box.host,
    )


def speeds(task: Task, group: HostGroup, hosts: int, most: int) -> list[tuple[Split, Speed]]:
    """Every split and batch of so many cards, timed on a cluster of so many hosts."""
    bare = dataclasses.replace(group, host=None, hosts=hosts)
    if group.host is not None:
        # Of a host, speed asks for its memory's rate alone.
        bare = dataclasses.replace(bare, host_memory_bytes_per_s=group.host.memory_bytes_per_s)
    return _speeds(task, bare, most)


@functools.lru_cache(maxsize=4096)
def _speeds(task: Task, group: HostGroup, most: int) -> list[tuple[Split, Speed]]:
    cluster = Cluster(name="plain", groups=(group,), network=group.network)
    splits = all_splits(task, group.accelerator, most)
    sizes = {name: np.array([getattr(one, name) for one in splits]) for name in Split._fields}
    none = np.zeros(len(splits))
    rows = Copies(
        **sizes,
        tokens_per_s=none,
        requests_per_s=none,
        ttft_s=none,
        tpot_s=none,
        busy_w=none,
        idle_w=0.0,
        least_busy_w=none,
        weight_bytes=none,
        across_hosts=np.ones(len(splits), dtype=bool),
    )
    found = exact(task, cluster, rows) if splits else rows
    return [(split, speed_of(found, row)) for row, split in enumerate(splits)]


def speed_of(found: Copies, row: int) -> Speed:
    """Of one row."""
    return Speed(
        float(found.tokens_per_s[row]),
        float(found.ttft_s[row]),
        float(found.tpot_s[row]),
        float(found.busy_w[row]),
        float(found.idle_w),
        float(found.weight_bytes[row]),
    )


@functools.lru_cache(maxsize=4096)
def all_splits(task: Task, card: Accelerator, most: int) -> list[Split]:
    """Every legal split of at most so many cards with every number of sequences that fits."""
    found: list[Split] = []
    model = task.model
    for tp in range(1, min(64, most) + 1):
        for pp in range(1, min(model.layers, most) + 1):
            for dp in range(1, most + 1):
                if pp not in STAGES or tp * pp * dp > most or not cuts_heads(model, tp):
                    continue
                shares = {1} if dp == 1 else set()
                if model.is_moe and model.experts % (tp * dp) == 0 and dp in (1, 2, 4, 8, 16, 32, 64):
                    shares.add(tp * dp)
                for ep in sorted(shares):
                    room = room_of(task, card, (tp, pp, dp, ep))
                    for number in sorted({*(n for n in batches() if n <= room), room} - {0}):
                        found.append(Split(tp, pp, dp, ep, number * dp))
    return found


def room_of(task: Task, card: Accelerator, sizes: tuple[int, int, int, int]) -> int:
    """The most sequences of a replica that fit, one more after the other."""
    tp, pp, dp, ep = sizes
    plan: Any = dataclasses.replace(task.plan, tp=tp, pp=pp, dp=dp, ep=ep)
    link = Link(id="any", name="any", kind="ethernet", bytes_per_s=1e9, latency_s=0.0)
    group = HostGroup(hosts=1, accelerators_per_host=tp * pp * dp, accelerator=card, intra_link=link)
    about = subject(
        task.model,
        Cluster(name="plain", groups=(group,)),
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        kv_format=plan.kv_format,
        dense_format=plan.dense_format,
        engine=plan.engine,
        ideal=task.ideal,
    )
    run = run_of(about, task.workload, plan, dp)
    number = 0
    while number < 4096 and float(run.memory(number + 1).free_bytes) >= 0:
        number += 1
    return number
