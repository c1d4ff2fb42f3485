"""The best builds to serve a model: every part, split and batch, the hopeless ones left out by proof.

Each accelerator's copies are first timed as if links took no time. With those times, what a kit of parts can
do at best costs no more than what it really does (`farthing.design.copies.bound`), so kits are timed as they
are in the order of what they promise, until nothing that is left can be better than what was found.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.design.copies import Copies, Task, bound, exact, joined_hosts
from farthing.design.kits import KitFinder
from farthing.design.machines import SYSTEM_BYTES, machine_cluster
from farthing.design.pricing import Copy, Kit, Kits, Priced, Terms, priced
from farthing.design.shop import Shop
from farthing.records.design import DesignObjective, Way, Ways
from farthing.records.hardware import Accelerator
from farthing.search.rank import pareto_front

Column = NDArray[np.float64]

MOST_CARDS: Final = 512
"""Of one copy."""

SLACK: Final = 1e-9
"""By which rounding may make a bound dearer than what it bounds."""

OBJECTIVES: Final[dict[str, str]] = {
    "usd": "usd_per_million_tokens",
    "capital": "capital_usd",
    "power": "power_w",
    "tpot": "tpot_s",
    "ttft": "ttft_s",
    "tokens-per-s": "tokens_per_s",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One build: a kit, a row of its copies, and the figures of both."""

    kit: Kit
    task: Task
    rows: Copies
    row: int
    figures: dict[str, float]

    @property
    def way(self) -> Way:
        """Own or rent."""
        return "rent" if self.kit.rented else "own"

    @property
    def kind(self) -> tuple[str, Way]:
        """Builds that differ in it are shown beside each other."""
        return self.kit.machine.accelerator.id, self.way


@dataclass(slots=True)
class Count:
    """Builds of the space, and those that were timed and priced; what rules took out."""

    candidates: int = 0
    evaluated: int = 0
    removed: dict[str, int] = field(default_factory=dict)

    def remove(self, rule: str, count: int = 1) -> None:
        """Note what a rule takes out."""
        self.removed[rule] = self.removed.get(rule, 0) + count


@dataclass(slots=True)
class _Group:
    """Kits that time alike: the same machines for an estimate, at different prices."""

    offer: _Offer
    kits: Kits
    least: Column
    """The least objective that each kit can reach."""


@dataclass(slots=True)
class _Offer:
    """An accelerator with the formats that it runs."""

    card: Accelerator
    task: Task
    rows: Copies
    best: Copy = field(init=False)

    def __post_init__(self) -> None:
        self.best = _best_of_each_size(self.rows)


def _best_of_each_size(rows: Copies) -> Copy:
    """For each number of cards the best figure of each kind, whichever row it comes from."""
    sizes, place = np.unique(rows.cards, return_inverse=True)
    count = len(sizes)
    tokens, ttft, tpot = np.zeros(count), np.full(count, np.inf), np.full(count, np.inf)
    np.maximum.at(tokens, place, rows.tokens_per_s)
    np.minimum.at(ttft, place, rows.ttft_s)
    np.minimum.at(tpot, place, rows.tpot_s)
    # Work above rest, for a token: where a copy does more in the same time it also draws more.
    per_token = np.full(count, np.inf)
    np.minimum.at(per_token, place, (rows.busy_w - rows.idle_w) / np.maximum(rows.tokens_per_s, 1e-300))
    busy = rows.idle_w + per_token * tokens
    return Copy(
        cards=sizes,
        tokens_per_s=tokens,
        ttft_s=ttft,
        tpot_s=tpot,
        busy_w=busy,
        idle_w=np.full(count, rows.idle_w),
        hosts=np.empty((0, count), dtype=np.int64),
        legal=np.ones((1, count), dtype=bool),
    )


class Search:
    """All builds of some tasks out of a shop.

    Parameters
    ----------
    shop, tasks, terms
        What is on offer; the model in each combination of formats (engines are chosen by accelerator, so a
        task is a function of it); under which terms.
    ways
        Owning, renting, or either.
    accelerators
        That may be used.
    """

    def __init__(
        self,
        shop: Shop,
        tasks: Mapping[str, Sequence[Task]],
        terms: Terms,
        *,
        ways: Ways = "either",
        objective: DesignObjective = "usd",
        front: Sequence[DesignObjective] = (),
    ) -> None:
        self.shop, self.terms, self.ways, self.objective = shop, terms, ways, objective
        self.count = Count()
        self.groups: list[_Group] = []
        self._finder = KitFinder(shop, terms, ways, {objective, *front})
        for name, of_card in tasks.items():
            self._add(shop.accelerators[name], of_card)

    def _add(self, card: Accelerator, tasks: Sequence[Task]) -> None:
        before = self._finder.tried
        kits = self._kits(card)
        tried = self._finder.tried - before
        if not kits:
            return
        widest = max(kit.machine.cards for kit in kits)
        spans = any(kit.spans for kit in kits)
        most = min(widest * (self.terms.limits.hosts if spans else 1), MOST_CARDS)
        if self.terms.limits.accelerators:
            most = min(most, self.terms.limits.accelerators)
        fitting = False
        for task in tasks:
            rows = bound(task, card, most)
            self.count.candidates += tried * len(rows)
            rows = rows.where(self._in_time(rows))
            if len(rows):
                fitting = True
                self._group(_Offer(card, task, rows), kits)
        if not fitting:
            self.count.remove("accelerators on which no copy fits or is in time, however many")

    def _in_time(self, rows: Copies) -> NDArray[np.bool_]:
        limits = self.terms.limits
        good = np.ones(len(rows), dtype=bool)
        for limit, values in ((limits.ttft_s, rows.ttft_s), (limits.tpot_s, rows.tpot_s)):
            if limit:
                good &= values <= limit * (1 + SLACK)
        return good

    def _kits(self, card: Accelerator) -> list[Kit]:
        """To buy and to rent, without those that another beats in every way."""
        found = [*self._finder.owned(card), *self._finder.rented(card)]
        if self.ways != "rent" and not any(not kit.rented for kit in found):
            what = "price" if self.shop.price(card.id) is None else "host with a price"
            self.count.remove(f"accelerators without a {what} to buy them")
        if self.ways != "own" and not any(kit.rented for kit in found):
            self.count.remove("accelerators that nobody is known to rent out")
        return found

    def _group(self, offer: _Offer, kits: Sequence[Kit]) -> None:
        alike: dict[Any, list[Kit]] = {}
        for kit in kits:
            alike.setdefault(_timing(kit, self.shop), []).append(kit)
        whole = Kits(list(itertools.chain.from_iterable(alike.values())))
        least = self._least(whole, offer)
        start = 0
        for own in alike.values():
            part = least[start : start + len(own)]
            start += len(own)
            if np.isfinite(part).any():
                self.groups.append(_Group(offer, Kits(own), part))

    def _least(self, kits: Kits, offer: _Offer) -> Column:
        """What each kit's objective is at least."""
        best = offer.best
        needed = -(-best.cards[None, :] // kits.cards[:, None])
        copy = dataclasses.replace(best, hosts=needed)
        least: Column = priced(kits, copy, self.terms).objective(self.objective).min(axis=1)
        return least

    def best(self, top: int, way: Way | None = None) -> list[Found]:
        """The best build of each of so many kinds, the best first; of one way of paying where it is given."""
        queue = [
            (float(group.least.min()), number)
            for number, group in enumerate(self.groups)
            if way is None or group.kits.rented[0] == (way == "rent")
        ]
        heapq.heapify(queue)
        found: dict[tuple[str, Way], tuple[float, ...]] = {}
        builds: dict[tuple[str, Way], Found] = {}
        while queue:
            promise, number = heapq.heappop(queue)
            group = self.groups[number]
            kind: tuple[str, Way] = (group.offer.card.id, "rent" if group.kits.rented[0] else "own")
            worst = self._worst(found, kind, top)
            if promise > _looser(worst):
                if promise > _looser(self._worst(found, None, top)):
                    break
                continue
            for build in self._evaluated(group, worst):
                rank = self._rank(build)
                if kind not in found or rank < found[kind]:
                    found[kind], builds[kind] = rank, build
        order = sorted(builds, key=lambda kind: found[kind])
        return [builds[kind] for kind in order[:top]]

    def _rank(self, build: Found) -> tuple[float, ...]:
        figures = build.figures
        sign = -1 if self.objective == "tokens-per-s" else 1
        first = sign * figures[OBJECTIVES[self.objective]]
        return (_rounded(first), figures["usd_per_million_tokens"], figures["capital_usd"], figures["tpot_s"])

    def _worst(self, found: dict[Any, tuple[float, ...]], kind: Any, top: int) -> float:
        """What a build must not exceed to be of use: its kind's best, or the last of the best kinds."""
        own = found[kind][0] if kind in found else np.inf
        others = sorted(rank[0] for rank in found.values())
        return min(own, others[top - 1] if len(others) >= top else np.inf)

    def _evaluated(self, group: _Group, worst: float) -> Iterator[Found]:
        """The best build of a group that does not exceed an objective."""
        offer = group.offer
        kits = group.kits.where(group.least <= _looser(worst))
        if not len(kits):
            return
        rows, found = self._priced(offer, kits, worst)
        if found is None:
            return
        values = found.objective(self.objective)
        yield from self._chosen(offer, kits, rows, found, values)

    def _chosen(
        self, offer: _Offer, kits: Kits, rows: Copies, found: Priced, values: Column
    ) -> Iterator[Found]:
        if not np.isfinite(values).any():
            return
        rounded = np.vectorize(_rounded)(values.min())
        best = np.argwhere(values <= _looser(float(rounded)))
        # Of builds that are equal in the objective, the cheapest, then the quickest.
        order = np.lexsort(
            (
                np.broadcast_to(found.tpot_s, values.shape)[tuple(best.T)],
                found.capital_usd[tuple(best.T)],
                found.usd_per_million_tokens[tuple(best.T)],
            )
        )
        kit, row = best[order[0]]
        yield _found(offer, kits, rows, found, int(kit), int(row))

    def _priced(self, offer: _Offer, kits: Kits, worst: float) -> tuple[Copies, Priced | None]:
        """Rows that may be of use on some kits, timed as they are, with their prices."""
        rows = offer.rows
        promised = priced(kits, _copy(kits, rows), self.terms)
        useful = np.asarray(promised.objective(self.objective) <= _looser(worst))
        rows = rows.where(np.asarray(useful.any(axis=0)))
        if not len(rows):
            return rows, None
        cluster = _cluster(kits.kits[0], self.shop, self.terms.limits.hosts)
        real = exact(offer.task, cluster, rows)
        self.count.evaluated += len(kits) * len(real)
        return real, priced(kits, _copy(kits, real), self.terms)

    def front(self, objectives: Sequence[DesignObjective]) -> list[Found]:
        """Builds that none beats in all objectives, in the order of the first."""
        signs = np.array([-1.0 if name == "tokens-per-s" else 1.0 for name in objectives])
        points = np.empty((0, len(objectives)))
        builds: list[Found] = []
        order = sorted(range(len(self.groups)), key=lambda number: float(self.groups[number].least.min()))
        for number in order:
            group = self.groups[number]
            kits, offer = group.kits, group.offer
            promised = priced(kits, _copy(kits, offer.rows), self.terms)
            hoped = np.stack([promised.objective(name) for name in objectives], axis=-1)
            rows = offer.rows.where(_unbeaten(hoped.min(axis=0), points))
            if not len(rows):
                continue
            real = exact(offer.task, _cluster(kits.kits[0], self.shop, self.terms.limits.hosts), rows)
            self.count.evaluated += len(kits) * len(real)
            found = priced(kits, _copy(kits, real), self.terms)
            values = np.stack([found.objective(name) for name in objectives], axis=-1)
            flat = values.reshape(-1, len(objectives))
            mine = pareto_front(flat)
            for place in mine[_unbeaten(flat[mine], points)].tolist():
                kit, row = divmod(place, len(real))
                builds.append(_found(offer, kits, real, found, kit, row))
            if builds:
                points = np.array([[_value(build, name) for name in objectives] for build in builds]) * signs
                kept = pareto_front(points)
                builds, points = [builds[place] for place in kept.tolist()], points[kept]
        return builds


def _value(build: Found, name: DesignObjective) -> float:
    return build.figures[OBJECTIVES[name]]


def _unbeaten(values: Column, points: Column) -> NDArray[np.bool_]:
    """Rows that no point beats in everything."""
    good: NDArray[np.bool_] = np.array(np.isfinite(values).all(axis=1))
    for point in points:
        good &= ~np.asarray((point * (1 + np.sign(point) * SLACK) < values).all(axis=1))
    return good


def _looser(value: float) -> float:
    return value + abs(value) * SLACK if np.isfinite(value) else value


def _rounded(value: float) -> float:
    """Without the last digits, which the order of a sum decides."""
    return float(f"{value:.10g}")


def _copy(kits: Kits, rows: Copies) -> Copy:
    widths, place = np.unique(kits.cards, return_inverse=True)
    hosts = np.stack([joined_hosts(rows, int(cards)) for cards in widths])[place]
    return Copy(
        cards=rows.cards,
        tokens_per_s=rows.tokens_per_s,
        ttft_s=rows.ttft_s,
        tpot_s=rows.tpot_s,
        busy_w=rows.busy_w,
        idle_w=np.full(len(rows), rows.idle_w),
        hosts=hosts,
        legal=rows.weight_bytes[None, :] + SYSTEM_BYTES <= kits.memory_bytes[:, None],
    )


def _found(offer: _Offer, kits: Kits, rows: Copies, found: Priced, kit: int, row: int) -> Found:
    names = [
        "copies",
        "hosts",
        "accelerators",
        "switches",
        "cables",
        "capital_usd",
        "power_w",
        "average_power_w",
        "usd_per_s",
        "usd_per_million_tokens",
        "tokens_per_s",
    ]
    figures = {name: float(getattr(found, name)[kit, row]) for name in names}
    figures |= {name: float(getattr(rows, name)[row]) for name in ("ttft_s", "tpot_s", "requests_per_s")}
    figures["requests_per_s"] *= figures["copies"]
    return Found(kits.kits[kit], offer.task, rows, row, figures)


def _timing(kit: Kit, shop: Shop) -> tuple[Any, ...]:
    """What an estimate sees of a kit."""
    machine = kit.machine
    group = machine.group(shop)
    memory = machine.host.memory_bytes_per_s if machine.host and group.host_copy else 0.0
    network = (kit.network.link.id, kit.network.nics) if kit.spans and kit.network else None
    return kit.rented, machine.cards, group.intra_link.id, memory, network


def _cluster(kit: Kit, shop: Shop, hosts: int) -> Any:
    network = kit.network if kit.spans else None
    if network is None:
        return machine_cluster(kit.machine, shop)
    return machine_cluster(kit.machine, shop, hosts, network.link, network.nics)
