"""A build that somebody describes: timed and priced as the search's own; says what does not go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from farthing import catalog
from farthing.design.bill import build
from farthing.design.copies import Copies, Task, exact, joined_hosts
from farthing.design.machines import (
    SUPPLY_MARGIN,
    SYSTEM_BYTES,
    Machine,
    host_group,
    machine_cluster,
    machines,
    rented,
    takes,
)
from farthing.design.networks import Network, fabric, networks, onboard_link, serves
from farthing.design.pricing import Kit, Terms
from farthing.design.serving import of_copies
from farthing.design.shop import Shop
from farthing.errors import Infeasible, InvalidInput, UnknownName
from farthing.estimate.cost import host_power_w
from farthing.estimate.engine import refusals, usual_engine
from farthing.estimate.run import check
from farthing.estimate.subject import plain
from farthing.records.design import Build, Demand, DesignLimits, Ownership
from farthing.records.hardware import Accelerator, Cluster, Host
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload
from farthing.units import format_bytes, format_quantity

T = TypeVar("T")

MOST: int = 100_000
"""Of hosts and copies: enough for every data centre."""

NAMED = 4
"""Hosts, cards and switches that a message names at most."""


def given_build(
    shop: Shop,
    model: Model,
    workload: InferenceWorkload,
    plan: InferencePlan,
    *,
    accelerator: str,
    accelerators_per_host: int,
    host: str = "",
    hosts: int = 1,
    nic: str = "",
    switch: str = "",
    network: str = "",
    nics_per_host: int = 0,
    copies: int = 1,
    sequences: int,
    ownership: Ownership | None = None,
    demand: Demand | None = None,
    ideal: bool = False,
) -> Build:
    """What a described build does and costs.

    Parameters
    ----------
    shop
        What its parts cost.
    model, workload, plan
        What one copy serves and how it is split; without an engine the usual one for the accelerator.
    accelerator, accelerators_per_host
        Id of the card, and how many places of a host are for it.
    host, hosts
        Id of the machine and how many of them; without one all of it is rented.
    nic, switch
        Between hosts: ids of the network card (empty: the port on the board) and of the switch (empty: a
        cable from one host to the other).
    network
        Id of the link that the ports speak, where it should be checked.
    nics_per_host
        Ports of each host in use; 0 takes one, and one a card where a link is made for that.
    copies
        Independent copies of the model.
    sequences
        That decode together in one copy.
    ownership
        Terms of owning; by default a home's of three years.
    demand
        What is asked for; by default all that the build can do.
    ideal
        Paper arithmetic.

    Raises
    ------
    UnknownName
        No such accelerator, host, card or switch.
    InvalidInput
        Parts that do not go together, and how they would.
    Infeasible
        The model does not fit, or the demand is more than the build can do.

    Examples
    --------
    >>> from farthing.design.shop import market
    >>> built = given_build(
    ...     market(), catalog.model("llama-2-70b"), InferenceWorkload(),
    ...     InferencePlan(tp=4, weight_format="awq-int4"), accelerator="rtx-3090", accelerators_per_host=4,
    ...     host="romed8-2t-4u", sequences=16)
    >>> built.cluster, built.accelerators, 100 < built.tokens_per_s < 1000
    ('1x4:rtx-3090', 4, True)
    """
    card = _named(accelerator, shop.accelerators, "accelerator", "see: farthing gpu list")
    counts = {
        "accelerators_per_host": accelerators_per_host,
        "hosts": hosts,
        "copies": copies,
        "sequences": sequences,
    }
    each, hosts, copies, sequences = (_whole(name, value) for name, value in counts.items())
    if plan.dp > 1 and not model.is_moe:
        raise InvalidInput(f"dp={plan.dp} copies do not depend on each other: say copies={plan.dp * copies}")
    load = dataclasses.replace(workload, batch_size=sequences)
    terms = Terms(
        demand=demand or Demand(),
        limits=DesignLimits(most_hosts=hosts),
        ownership=ownership or Ownership(),
    )
    machine = _machine(shop, card, each, host, terms.ownership)
    rows = _rows(plan, sequences)
    needed = _hosts_of_copy(rows, each)
    _check_hosts(rows, each, hosts, copies, needed, host)
    joint = _network(shop, machine, hosts, nic, switch, network, nics_per_host)
    if not host:
        kit = Kit(machine=machine, network=None, spans=False, card_usd_per_hour=_rent_usd(shop, card))
    else:
        usd = 0.0 if machine.included else _price_usd(shop, card.id)
        kit = Kit(machine=machine, network=joint, spans=needed > 1, card_usd=usd)
    if kit.spans and joint is not None:
        cluster = machine_cluster(machine, shop, needed, joint.link, joint.nics)
    else:
        cluster = machine_cluster(machine, shop)
    check(model, cluster, load, plan)
    task = Task(model=model, workload=load, plan=_with_engine(plan, cluster, ideal), ideal=ideal)
    timed = exact(task, cluster, rows)
    _check_main_memory(machine, float(timed.weight_bytes[0]))
    found, possible = of_copies(shop, task, kit, timed, copies, terms)
    if not possible:
        raise InvalidInput(
            f"{host or 'the provider'}: {copies} copies on {hosts} hosts cannot be put together"
        )
    built = build(shop, found, terms)
    if built.inference is not None and not built.inference.fits:
        raise Infeasible(f"{cluster.name}: {model.id} {built.inference.misfit}")
    asked = terms.demand.tokens_per_s
    if asked > built.tokens_per_s * (1 + 1e-12):
        more = -(-asked * copies // built.tokens_per_s)
        raise Infeasible(
            f"the build puts out {built.tokens_per_s:,.0f} token/s, the demand is {asked:,.0f}: "
            f"say copies={more:.0f} with the hosts that they take"
        )
    return built


def _named(name: str, known: Any, kind: str, hint: str) -> Any:
    word = str(name).strip().lower()
    if word not in known:
        raise UnknownName(kind, str(name), known, hint)
    return known[word]


def _whole(name: str, value: Any) -> int:
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST:
        raise InvalidInput(f"build: {name} must be a whole number in 1..{MOST:,}, not {value!r}")
    return number


def _price_usd(shop: Shop, item: str) -> float:
    price = shop.price(item)
    if price is None:
        raise InvalidInput(f"nobody is known to sell {item}: give its price")
    return price.usd


def _rent_usd(shop: Shop, card: Accelerator) -> float:
    price = shop.rental(card.id)
    if price is None:
        raise InvalidInput(f"nobody is known to rent out {card.id}: give its rent, or name a host to own it")
    return price.usd


def _listed(names: Iterator[str]) -> str:
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def _machine(shop: Shop, card: Accelerator, each: int, name: str, ownership: Ownership) -> Machine:
    """The host with so many cards."""
    if not name:
        for machine in rented(card):
            if machine.cards == each:
                return machine
        counts = ", ".join(str(machine.cards) for machine in rented(card))
        raise InvalidInput(
            f"{card.id} is rented out in machines of {counts}, not of {each}: "
            "change accelerators_per_host, or name a host to own it"
        )
    host = _named(name, shop.hosts, "host", "see: farthing catalog list hosts")
    if not takes(host, card):
        able = _listed(other.id for other in shop.hosts.values() if takes(other, card))
        only = f"; it is made for {host.accelerators}" if host.accelerators else ""
        advice = f"use one of {able}" if able else "no host in the catalogue does"
        raise InvalidInput(f"{host.id} has no place for {card.id} ({card.form}){only}: {advice}")
    if host.cards_included and each != host.cards_included:
        raise InvalidInput(
            f"{host.id} is sold with {host.cards_included} accelerators, not {each}: "
            f"say accelerators_per_host={host.cards_included}"
        )
    if each > host.slots:
        wider = _listed(
            other.id for other in shop.hosts.values() if takes(other, card) and other.slots >= each
        )
        advice = f"say accelerators_per_host={host.slots}" + (f", or use {wider}" if wider else "")
        raise InvalidInput(f"{host.id} has {host.slots} slots for accelerators, not {each}: {advice}")
    alone = dataclasses.replace(shop, hosts={host.id: host})
    for machine in machines(alone, card, ownership, each):
        return machine
    raise InvalidInput(_why_no_machine(shop, card, each, host, ownership))


def _why_no_machine(shop: Shop, card: Accelerator, each: int, host: Host, ownership: Ownership) -> str:
    """Which rule a machine breaks: prices first, then the rates of its slots, then watts."""
    parts = shop.host_parts.get(host.id, ())
    for item in [item for item, _ in parts] or [host.id]:
        if shop.price(item) is None and (parts or host.kind != "soc" or host.cards_included):
            return f"nobody is known to sell {item}: give its price"
    try:
        group = host_group(card, each, host, shop)
    except UnknownName as error:
        return f"{host.id}: {error}"
    most_w = each * card.tdp_w + host_power_w(group)
    draws = f"{each} x {card.id} and the host draw up to {format_quantity(most_w, 'W')}"
    if host.psu_w and not parts:
        room = int((host.psu_w - most_w + each * card.tdp_w) // max(card.tdp_w, 1.0))
        advice = f"{room} of them would be within it" if room > 0 else "use another host"
        return f"{draws}, the supplies of {host.id} deliver {format_quantity(host.psu_w, 'W')}: {advice}"
    if not parts:
        return f"what the supplies of {host.id} deliver is not known: use a host that says it"
    circuit = f" on circuits of {format_quantity(ownership.circuit_w, 'W')}" if ownership.circuit_w else ""
    return (
        f"{draws}: with {SUPPLY_MARGIN:g} times that in reserve no supplies on sale reach{circuit}; "
        "put fewer accelerators into each host"
    )


def _rows(plan: InferencePlan, sequences: int) -> Copies:
    """The one row that is timed; what is not known yet is 0."""
    sizes = {name: np.array([getattr(plan, name)], dtype=np.int64) for name in ("tp", "pp", "dp", "ep")}
    none = np.zeros(1)
    return Copies(
        **sizes,
        sequences=np.array([sequences], dtype=np.int64),
        tokens_per_s=none,
        requests_per_s=none,
        ttft_s=none,
        tpot_s=none,
        busy_w=none,
        idle_w=0.0,
        least_busy_w=none,
        weight_bytes=none,
        across_hosts=np.array([catalog.wiring(plan.engine).cuts_across_hosts]),
    )


def _hosts_of_copy(rows: Copies, each: int) -> int:
    cards, width = int(rows.cards[0]), int((rows.tp * rows.dp)[0])
    if cards <= each:
        return 1
    needed = int(joined_hosts(rows, each)[0])
    if not needed and not rows.across_hosts[0]:
        raise InvalidInput(
            f"the engine cuts a layer only within a host: at most {each} tensor parallel accelerators, not "
            f"{width}; split the model into stages (pp), or use another engine"
        )
    if not needed:
        raise InvalidInput(
            f"tensor parallelism over {width} accelerators must lie in one host or fill hosts of {each}: "
            f"use a multiple of {each}, or at most {each}"
        )
    return needed


def _check_hosts(rows: Copies, each: int, hosts: int, copies: int, needed: int, host: str) -> None:
    """As many hosts as the copies take, no more and no fewer."""
    cards = int(rows.cards[0])
    if not host and (cards > each or cards != each):
        raise InvalidInput(
            f"the plan takes tp x pp x dp = {cards} accelerators, a rented machine has {each}: "
            "a copy and a machine must have the same number"
        )
    per_host = max(each // cards, 1)
    whole = copies * needed if needed > 1 else -(-copies // per_host)
    if whole != hosts:
        most = hosts // needed if needed > 1 else hosts * per_host
        advice = f"say hosts={whole}" + (f", or copies={most}" if most and most != copies else "")
        raise InvalidInput(
            f"{copies} copies of tp x pp x dp = {cards} accelerators take {whole} hosts of {each}, "
            f"not {hosts}: {advice}"
        )


def _network(
    shop: Shop, machine: Machine, hosts: int, nic: str, switch: str, network: str, ports: int
) -> Network | None:
    """What joins the hosts."""
    if hosts < 2 or machine.host is None:
        for field, value in (("nic", nic), ("switch", switch), ("network", network)):
            if value:
                who = (
                    "a provider joins its machines itself"
                    if machine.host is None
                    else "one host has nobody to talk to"
                )
                raise InvalidInput(f"{field}={value}: {who}; leave it out")
        return None
    if nic:
        nic = _named(nic, shop.nics, "network card", "see: farthing catalog list nics").id
        _price_usd(shop, nic)
        link = shop.nics[nic].link
    else:
        link = onboard_link(shop, machine.host)
    if link not in shop.links:
        raise InvalidInput(f"{nic} speaks {link}, of which no rate is known: choose another network card")
    if network and network != link:
        able = _listed(card.id for card in shop.nics.values() if card.link == network and shop.price(card.id))
        advice = f"say nic={able}" if able else f"no network card with a price speaks {network}"
        raise InvalidInput(
            f"{nic or machine.host.id + ' on its board'} speaks {link}, not {network}: {advice}"
        )
    if switch:
        switch = _named(switch, shop.switches, "switch", "see: farthing catalog list switches").id
        _price_usd(shop, switch)
    wanted = _whole("nics_per_host", ports) if plain(ports) else 0
    found = [
        one
        for one in networks(shop, machine)
        if (one.nic.id if one.nic else "") == nic
        and (one.switch.id if one.switch else "") == switch
        and (not wanted or one.nics == wanted)
    ]
    if not found:
        raise InvalidInput(_why_no_network(shop, machine, nic, switch, link, wanted))
    one = max(found, key=lambda each: each.nics)
    switches, _ = fabric(np.array([hosts * one.nics]), one.switch.ports if one.switch else 0)
    if not np.isfinite(switches[0]):
        able = _listed(
            other.id
            for other in shop.switches.values()
            if serves(other, one.link) and other.ports >= hosts * one.nics and shop.price(other.id)
        )
        advice = f"say switch={able}" if able else "join fewer hosts"
        what = f"{one.switch.id} cannot join" if one.switch else "a cable joins two ports, not"
        raise InvalidInput(f"{what} {hosts * one.nics} ports: {advice}")
    return one


def _why_no_network(shop: Shop, machine: Machine, nic: str, switch: str, link: str, ports: int) -> str:
    """Which rule a network breaks: slots and lanes, then ports, then the switch, then cables."""
    assert machine.host is not None
    host, speaks = machine.host.id, shop.links[link]
    if nic and not machine.free_slots:
        return (
            f"{host} with {machine.cards} accelerators has no slot free for {nic}: put fewer accelerators "
            "into each host, or use the port on the board"
        )
    if nic and ports > machine.free_slots:
        return f"{host} has {machine.free_slots} slots free for {nic}, not {ports}: lower nics_per_host"
    if nic and speaks.bytes_per_s > machine.free_slot_bytes_per_s * 1.1:
        carries = format_bytes(machine.free_slot_bytes_per_s)
        return (
            f"the free slot of {host} carries {carries}/s, {nic} sends {format_bytes(speaks.bytes_per_s)}/s: "
            "use a slower network card, or a host with more lanes"
        )
    if switch and not serves(shop.switches[switch], speaks):
        able = _listed(
            other.id for other in shop.switches.values() if serves(other, speaks) and shop.price(other.id)
        )
        return f"the ports of {switch} do not take {link}: " + (
            f"say switch={able}" if able else "no switch with a price does"
        )
    if ports:
        return (
            f"{host} joins by one port, or by one for each accelerator, not by {ports}: change nics_per_host"
        )
    if switch:
        return f"no cable with a price carries {link}: give the price of one"
    return f"{host} is joined by several ports: name a switch"


def _check_main_memory(machine: Machine, weight_bytes: float) -> None:
    if machine.memory_bytes and weight_bytes + SYSTEM_BYTES > machine.memory_bytes:
        assert machine.host is not None
        raise InvalidInput(
            f"{machine.host.id} has {format_bytes(machine.memory_bytes, binary=True)} of memory, loading a "
            f"card's weights takes {format_bytes(weight_bytes + SYSTEM_BYTES, binary=True)}: split the model "
            "further, or use a host with more"
        )


def _with_engine(plan: InferencePlan, cluster: Cluster, ideal: bool) -> InferencePlan:
    """The plan with the engine that is usual; refuses one that cannot."""
    chosen = plan
    if not plan.engine and not ideal:
        chosen = dataclasses.replace(plan, engine=usual_engine(cluster, plan.weight_format).id)
    if chosen.engine:
        if catalog.engine(chosen.engine).kind != "serving":
            raise InvalidInput(f"{chosen.engine} trains models: choose one that serves them, such as vllm")
        for reason, asked in refusals(catalog.engine(chosen.engine), cluster, chosen):
            if np.any(asked):
                raise InvalidInput(str(reason))
    return chosen
