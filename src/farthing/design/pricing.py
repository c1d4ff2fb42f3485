"""Builds as columns: how many copies, hosts, switches and cards a demand takes, and what they cost."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from copy import copy as shallow
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.design.machines import Machine
from farthing.design.networks import Network, fabric
from farthing.design.shop import Shop
from farthing.predict.energy import electricity_usd_per_s
from farthing.predict.fabric import host_memory_bytes_per_s
from farthing.predict.money import cost_usd_per_s, hosting_usd_per_s, rental_usd_per_s, usd_per_million_tokens
from farthing.predict.ownership import load_curve, mean_load, owned_usd_per_s
from farthing.records.design import Demand, DesignLimits, DesignObjective, Ownership, Way
from farthing.records.hardware import Accelerator, HostGroup

Column = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_COPIES: Final = 1_000_000

FIGURES: Final = (
    "copies",
    "hosts",
    "accelerators",
    "switches",
    "cables",
    "capital_usd",
    "rated_w",
    "resting_w",
    "power_w",
    "average_power_w",
    "rented_share",
    "usd_per_s",
    "usd_per_million_tokens",
    "tokens_per_s",
)
"""Of `Priced`, what a build keeps."""

Kind = tuple[str, Way]
"""An accelerator, and whether it is owned or rented."""

MOST_PORTS: Final = 100_000
"""Of all hosts: so many and more are not joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """A machine, how it is joined to others, and what a card costs.

    Attributes
    ----------
    machine, network
        ``network`` joins the hosts of one copy where ``spans``, else the hosts to the world.
    spans
        Whether one copy lies on several hosts.
    card_usd, card_usd_per_hour
        To buy, or to rent; one of them.
    """

    machine: Machine
    network: Network | None
    spans: bool
    card_usd: float = 0.0
    card_usd_per_hour: float = 0.0

    @property
    def rented(self) -> bool:
        """Whether nothing of it is bought."""
        return self.machine.host is None

    @property
    def way(self) -> Way:
        """Own or rent."""
        return "rent" if self.rented else "own"

    @property
    def kind(self) -> Kind:
        """Builds that differ in it are shown beside each other."""
        return self.machine.accelerator.id, self.way

    def of(self, card: Accelerator, usd: float) -> Kit:
        """The same with another card that goes into it."""
        return replace(self, machine=replace(self.machine, accelerator=card), card_usd=usd)


_LEAST: Final = {
    "cards": True,
    "spans": True,
    "rented": True,
    "included": True,
    "card_usd": True,
    "card_usd_per_hour": True,
    "host_usd": True,
    "host_w": True,
    "nics": True,
    "network_usd": True,
    "network_w": True,
    "switch_ports": False,
    "joined": False,
    "memory_bytes": False,
    "tdp_w": True,
}
"""Columns of `Kits`, and whether less is better."""


_COLUMNS: Final = (*_LEAST, "switch_usd", "switch_w", "cable_usd", "way_of")


class Kits:
    """Kits as columns."""

    def __init__(self, kits: Sequence[Kit], shop: Shop) -> None:
        self.kits = list(kits)
        self.card: Accelerator | None = None

        def column(value: Callable[[Kit], float]) -> Column:
            return np.array([value(kit) for kit in self.kits], dtype=float)

        self.cards = np.array([kit.machine.cards for kit in self.kits], dtype=np.int64)
        self.spans = np.array([kit.spans for kit in self.kits], dtype=bool)
        self.rented = np.array([kit.rented for kit in self.kits], dtype=bool)
        self.included = np.array([kit.machine.included for kit in self.kits], dtype=bool)
        self.card_usd = column(lambda kit: kit.card_usd)
        self.card_usd_per_hour = column(lambda kit: kit.card_usd_per_hour)
        self.host_usd = column(lambda kit: kit.machine.usd)
        self.host_w = column(lambda kit: kit.machine.host_w)
        self.nics = np.array([kit.network.nics if kit.network else 0 for kit in self.kits], dtype=np.int64)
        self.network_usd = column(lambda kit: kit.network.host_usd if kit.network else 0.0)
        self.network_w = column(lambda kit: kit.network.host_w if kit.network else 0.0)
        self.switch_usd = column(lambda kit: kit.network.switch_usd if kit.network else 0.0)
        self.switch_w = column(lambda kit: kit.network.switch_w if kit.network else 0.0)
        self.switch_ports = np.array(
            [kit.network.switch.ports if kit.network and kit.network.switch else 0 for kit in self.kits],
            dtype=np.int64,
        )
        self.cable_usd = column(lambda kit: kit.network.cable_usd if kit.network else 0.0)
        self.joined = np.array([kit.network is not None for kit in self.kits], dtype=bool)
        self.memory_bytes = column(lambda kit: kit.machine.memory_bytes or np.inf)
        self.tdp_w = column(lambda kit: kit.machine.accelerator.tdp_w)
        self._groups, self.way_of = _ways(self.kits, shop)

    def __len__(self) -> int:
        return len(self.kits)

    @functools.cached_property
    def ideal(self) -> Kits:
        """One kit that is as good as the best of these in everything; they must have as many cards."""
        found = shallow(self)
        found._forget()
        found.kits = self.kits[:1]
        for name, least in _LEAST.items():
            values = getattr(self, name)
            setattr(found, name, np.array([values.min() if least else values.max()]))
        found.switch_usd = found.switch_w = found.cable_usd = np.zeros(1)
        return found

    @functools.cached_property
    def unjoined(self) -> Kits:
        """The same with a network that costs and draws nothing."""
        found = shallow(self)
        found._forget()
        for name in ("network_usd", "network_w", "switch_usd", "switch_w", "cable_usd"):
            setattr(found, name, np.zeros(len(self)))
        return found

    def where(self, rows: NDArray[Any]) -> Kits:
        """Some of them."""
        found = shallow(self)
        found._forget()
        found.kits = [self.kits[row] for row in np.arange(len(self))[rows].tolist()]
        for name in _COLUMNS:
            setattr(found, name, getattr(self, name)[rows])
        return found

    def of(self, card: Accelerator, usd: float | None) -> Kits:
        """The same with another card that goes into the machines, at a price; those that need none without.

        The kits themselves are made of the card one by one, as they are asked for (`kit`).
        """
        found = shallow(self) if usd is not None else self.where(self.included)
        found._forget()
        found.card = card
        found.tdp_w = np.full(len(found), card.tdp_w)
        found.card_usd = np.where(found.included, 0.0, usd or 0.0)
        return found

    def _forget(self) -> None:
        """What was worked out of others, which a shallow copy brings along."""
        for name in ("ideal", "unjoined"):
            self.__dict__.pop(name, None)

    def kit(self, row: int) -> Kit:
        """One of them."""
        own = self.kits[row]
        return own if self.card is None else own.of(self.card, float(self.card_usd[row]))

    def ways(self, card: Accelerator) -> tuple[list[HostGroup], NDArray[np.int64]]:
        """Hosts with a card and the different links that there are, and which of them each kit has."""
        used, way_of = np.unique(self.way_of, return_inverse=True)
        return [replace(self._groups[way], accelerator=card) for way in used.tolist()], way_of

    def fabric(self, ports: NDArray[np.int64]) -> tuple[Column, Column]:
        """Switches and cables of so many ports; kits along the first axis."""
        switches, cables = np.zeros(ports.shape), np.zeros(ports.shape)
        for size in set(self.switch_ports.tolist()):
            mine = self.switch_ports == size
            table = _fabric_table(size)
            own = np.minimum(ports[mine], MOST_PORTS)
            switches[mine], cables[mine] = table[0][own], table[1][own]
        # The provider joins what is rented.
        return np.where(_over(self.rented), 0.0, switches), np.where(_over(self.rented), 0.0, cables)


def _ways(kits: Sequence[Kit], shop: Shop) -> tuple[list[HostGroup], NDArray[np.int64]]:
    """The different links of some kits, and which of them each kit has."""
    ways: dict[Any, tuple[int, HostGroup]] = {}
    machines: dict[int, HostGroup] = {}
    way_of = []
    for kit in kits:
        if id(kit.machine) not in machines:
            machines[id(kit.machine)] = kit.machine.group(shop)
        group = machines[id(kit.machine)]
        network = kit.network if kit.spans else None
        link, nics = (network.link, network.nics) if network else (None, 1)
        memory = host_memory_bytes_per_s(group) if group.host_copy else 0.0
        key = (group.intra_link.id, memory, link and link.id, nics)
        if key not in ways:
            ways[key] = len(ways), replace(group, network=link, nics_per_host=nics)
        way_of.append(ways[key][0])
    return [group for _, group in ways.values()], np.array(way_of, dtype=np.int64)


@functools.lru_cache(maxsize=256)
def _fabric_table(switch_ports: int) -> tuple[Column, Column]:
    """Switches and cables by the number of ports; more than the most cannot be joined."""
    switches, cables = fabric(np.arange(MOST_PORTS + 1), switch_ports)
    switches[MOST_PORTS] = cables[MOST_PORTS] = np.inf
    return switches, cables


@dataclass(frozen=True, slots=True)
class Copy:
    """What pricing needs of one copy, columns (rows of copies).

    ``least_busy_w`` is what a card draws at work so that no slower link makes a token take less energy.

    ``hosts`` is what one copy needs where it spans hosts, for each kit and row, 0 where it cannot; ``legal``
    whether a host can load its weights.
    """

    cards: NDArray[np.int64]
    tokens_per_s: Column
    ttft_s: Column
    tpot_s: Column
    busy_w: Column
    least_busy_w: Column
    idle_w: Column
    hosts: NDArray[np.int64]
    legal: Mask


@dataclass(frozen=True, slots=True)
class Priced:
    """Builds: kits along the first axis, copies along the second; infinite or false where none can be."""

    copies: Column
    hosts: Column
    accelerators: Column
    switches: Column
    cables: Column
    capital_usd: Column
    rated_w: Column
    resting_w: Column
    power_w: Column
    average_power_w: Column
    rented_share: Column
    usd_per_s: Column
    usd_per_million_tokens: Column
    tokens_per_s: Column
    ttft_s: Column
    tpot_s: Column
    possible: Mask

    def figures(self, kit: int, row: int) -> dict[str, float]:
        """What one build keeps of them."""
        return {name: float(getattr(self, name)[kit, row]) for name in FIGURES}

    def objective(self, name: DesignObjective) -> Column:
        """Less is better."""
        values = {
            "usd": self.usd_per_million_tokens,
            "capital": self.capital_usd,
            "power": self.power_w,
            "tpot": np.broadcast_to(self.tpot_s, self.copies.shape),
            "ttft": np.broadcast_to(self.ttft_s, self.copies.shape),
            "tokens-per-s": -self.tokens_per_s,
        }[name]
        return np.where(self.possible, values, np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which terms builds are priced and judged."""

    demand: Demand
    limits: DesignLimits
    ownership: Ownership

    @property
    def mean_share(self) -> float:
        """Mean demand over that of the busiest hour."""
        return float(mean_load(self.demand.trough_share))


def priced(kits: Kits, copy: Copy, terms: Terms, copies: int = 0) -> Priced:
    """Every kit with every row of copies.

    With a demand, as few copies as carry it; without one, as many as the limits allow.

    Parameters
    ----------
    kits, copy, terms
        What is bought, what it does, under which terms.
    copies
        So many, whatever the demand; 0 leaves it open.
    """
    per_host = np.where(_over(kits.spans), 0, _over(kits.cards) // np.maximum(copy.cards, 1))
    legal = _legal(kits, copy, per_host)
    if copies:
        found = _with(kits, copy, terms, np.full(legal.shape, float(copies)), per_host)
    elif terms.demand.tokens_per_s:
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.ceil(terms.demand.tokens_per_s / copy.tokens_per_s * (1 - 1e-12))
        needed = np.broadcast_to(np.minimum(needed, MOST_COPIES), legal.shape)
        found = _with(kits, copy, terms, needed, per_host)
    else:
        found = _most(kits, copy, terms, per_host)
    return replace(found, possible=found.possible & legal & kept(found, terms))


def hoped(kits: Kits, copy: Copy, terms: Terms) -> Priced:
    """Figures that none of these builds beats, nor any with slower links.

    Parameters
    ----------
    kits, copy, terms
        As in `priced`; the copies are timed as if links took no time.
    """
    if terms.demand.tokens_per_s:
        return priced(kits, replace(copy, busy_w=copy.least_busy_w), terms)
    # Slower copies may be fewer, or more where they draw less: of cost and draw, what one copy takes is sure;
    # of the price of tokens, and of how many copies there can be, what it is with all places of a host taken
    # and no network.
    resting = replace(copy, busy_w=copy.idle_w)
    per_host = np.where(_over(kits.spans), 0, _over(kits.cards) // np.maximum(copy.cards, 1))
    legal = _legal(kits, copy, per_host)
    one = _with(kits.unjoined, resting, terms, np.ones(legal.shape), per_host)
    full = _with(kits.unjoined, resting, terms, np.maximum(per_host, 1.0), per_host)
    copies = _at_most(kits, full, terms)
    found = replace(
        one,
        copies=copies,
        tokens_per_s=copies * copy.tokens_per_s,
        usd_per_million_tokens=full.usd_per_million_tokens,
    )
    return replace(found, possible=found.possible & (copies > 0) & legal & kept(found, terms))


def _at_most(kits: Kits, full: Priced, terms: Terms) -> Column:
    """Copies that limits leave room for, where each takes its share of a full host or fills its hosts."""
    limits, ports = terms.limits, kits.switch_ports
    # Leaves and spines join half the square of a switch's ports; a cable alone joins two.
    most_ports = np.where(ports > 0, np.maximum(ports * (ports // 2), ports), 2)
    most_hosts = np.where(kits.joined, most_ports // np.maximum(kits.nics, 1), 1)
    most_hosts = np.where(kits.rented, limits.most_hosts, np.clip(most_hosts, 1, limits.most_hosts))
    with np.errstate(divide="ignore", invalid="ignore"):
        copies = _over(most_hosts) / full.hosts * full.copies
        for limit, values in (
            (limits.most_accelerators, full.accelerators),
            (limits.capital_usd, full.capital_usd),
            (limits.usd_per_s, full.usd_per_s),
            (limits.power_w, full.power_w),
        ):
            if limit:
                copies = np.fmin(copies, limit / values * full.copies)
    return np.floor(copies * (1 + 1e-9))


def _legal(kits: Kits, copy: Copy, per_host: NDArray[np.int64]) -> Mask:
    legal = copy.legal & np.where(_over(kits.spans), copy.hosts > 1, per_host > 0)
    # Whoever rents takes machines of as many cards as a copy has.
    return np.asarray(legal & (~_over(kits.rented) | (_over(kits.cards) == copy.cards)))


def alone(kits: Kits, copy: Copy, terms: Terms) -> Priced:
    """Every kit with every row, once and always busy, whatever the demand: what a training run takes.

    Parameters
    ----------
    kits, copy, terms
        What is bought or rented, what it does, under which terms; each row fills whole hosts.
    """
    shape = (len(kits), len(copy.cards))
    open_terms = replace(terms, demand=Demand())
    per_host = np.where(_over(kits.spans), 0, _over(kits.cards) // np.maximum(copy.cards, 1))
    legal = copy.legal & np.where(_over(kits.spans), copy.hosts > 1, per_host > 0)
    found = _with(kits, copy, open_terms, np.ones(shape), per_host)
    return replace(found, possible=found.possible & legal & kept(found, open_terms))


def kept(found: Priced, terms: Terms) -> Mask:
    """Which builds keep the limits."""
    limits = terms.limits
    shape = found.copies.shape
    good = found.possible & (found.hosts <= limits.most_hosts)
    for limit, values in (
        (limits.most_accelerators, found.accelerators),
        (limits.capital_usd, found.capital_usd),
        (limits.usd_per_s, found.usd_per_s),
        (limits.usd_per_million_tokens, found.usd_per_million_tokens),
        (limits.power_w, found.power_w),
        (limits.ttft_s, np.broadcast_to(found.ttft_s, shape)),
        (limits.tpot_s, np.broadcast_to(found.tpot_s, shape)),
    ):
        if limit:
            good = good & (values <= limit * (1 + 1e-12))
    return good


def _over(values: NDArray[Any]) -> NDArray[Any]:
    """Kits along the first axis."""
    return values[:, None]


def _with(kits: Kits, copy: Copy, terms: Terms, copies: Column, per_host: NDArray[np.int64]) -> Priced:
    """Builds of so many copies."""
    ownership = terms.ownership
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.ceil(copies / np.maximum(per_host, 1))
    hosts = np.where(_over(kits.spans), copies * copy.hosts, alone)
    cards = np.where(_over(kits.included), hosts * _over(kits.cards), copies * copy.cards)
    countable = np.minimum(hosts, 10 * MOST_COPIES).astype(np.int64)
    switches, cables = kits.fabric(countable * _over(kits.nics))
    joined = hosts > 1
    switches, cables = np.where(joined, switches, 0.0), np.where(joined, cables, 0.0)
    possible = np.isfinite(switches) & (copies > 0)
    possible &= ~joined | _over(kits.joined) | _over(kits.rented)
    switches, cables = np.where(possible, switches, 0.0), np.where(possible, cables, 0.0)
    bought = np.where(_over(kits.included), 0.0, cards)
    capital = (
        bought * _over(kits.card_usd)
        + hosts * (_over(kits.host_usd) + joined * _over(kits.network_usd))
        + switches * _over(kits.switch_usd)
        + cables * _over(kits.cable_usd)
    )
    capacity = copies * copy.tokens_per_s
    peak = terms.demand.tokens_per_s or capacity
    share = np.minimum(peak / np.maximum(capacity, 1e-300), 1.0)
    machines_w = hosts * (_over(kits.host_w) + joined * _over(kits.network_w)) + switches * _over(
        kits.switch_w
    )
    # A place is paid by what the machines may draw, whatever they do.
    rated_w = cards * _over(kits.tdp_w) + machines_w
    resting_w = cards * copy.idle_w + machines_w
    working_w = copies * copy.cards * (copy.busy_w - copy.idle_w) * share
    power = (resting_w + working_w) * ownership.pue
    average = (resting_w + working_w * terms.mean_share) * ownership.pue
    owned = cost_usd_per_s(
        owned_usd_per_s(
            capital,
            ownership.years,
            annual_interest=ownership.annual_interest,
            residual_share=ownership.residual_share,
        ),
        electricity_usd_per_s(average, ownership.usd_per_kwh),
        hosting_usd_per_s=hosting_usd_per_s(rated_w, ownership.usd_per_kw_month),
    )
    rented_share = np.broadcast_to(_rented_share(terms, copies, copy), cards.shape)
    rent = rental_usd_per_s(_over(kits.card_usd_per_hour), cards) * rented_share
    usd_per_s = np.where(_over(kits.rented), rent, owned)
    sold = peak * terms.mean_share
    return Priced(
        copies=copies,
        hosts=hosts,
        accelerators=cards,
        switches=switches,
        cables=cables,
        capital_usd=np.where(_over(kits.rented), 0.0, capital),
        rated_w=rated_w,
        resting_w=resting_w * ownership.pue,
        power_w=power,
        average_power_w=average,
        rented_share=rented_share,
        usd_per_s=usd_per_s,
        usd_per_million_tokens=usd_per_million_tokens(usd_per_s, np.maximum(sold, 1e-300)),
        tokens_per_s=capacity,
        ttft_s=copy.ttft_s,
        tpot_s=copy.tpot_s,
        possible=possible,
    )


def _rented_share(terms: Terms, copies: Column, copy: Copy) -> Any:
    """Copies that are rented on average, over those of the busiest hour."""
    if not terms.ownership.elastic or not terms.demand.tokens_per_s:
        return 1.0
    total: Any = 0.0
    hours = load_curve(terms.demand.trough_share)
    for share in hours:
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.ceil(terms.demand.tokens_per_s * share / copy.tokens_per_s * (1 - 1e-12))
        total = total + np.minimum(np.maximum(needed, 1.0), copies)
    return total / len(hours) / np.maximum(copies, 1.0)


def _most(kits: Kits, copy: Copy, terms: Terms, per_host: NDArray[np.int64]) -> Priced:
    """As many copies as the limits allow: each further one costs, draws and takes room."""
    shape = per_host.shape
    # Limits that further copies do not break, or may even keep, come after.
    growing = replace(terms, limits=replace(terms.limits, ttft_s=0, tpot_s=0, usd_per_million_tokens=0))
    low = np.zeros(shape)
    high = np.full(shape, float(terms.limits.most_hosts * int(kits.cards.max(initial=1)) + 1))
    while (high - low).max(initial=0.0) > 1:
        middle = np.floor((low + high) / 2)
        fits = kept(_with(kits, copy, growing, middle, per_host), growing) | (middle == 0)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    limit = terms.limits.usd_per_million_tokens
    if limit:
        # A copy that opens another host or switch makes tokens dearer: without it they may be cheap enough.
        least = _with(kits.unjoined, copy, terms, np.maximum(per_host, 1.0), per_host).usd_per_million_tokens
        low = np.where(least <= limit * (1 + 1e-12), low, 0.0)
        while True:
            found = _with(kits, copy, terms, low, per_host)
            dear = (low > 0) & (found.usd_per_million_tokens > limit * (1 + 1e-12))
            if not dear.any():
                return found
            low = low - dear
    return _with(kits, copy, terms, low, per_host)
