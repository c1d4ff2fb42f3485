"""The best builds to train a model: every part and number of hosts, the hopeless ones left out by proof.

What a card can do at best is known from one card with all the memory that it wants: so many cards are at most
so many times as fast (`farthing.design.runs.Alone`). Builds are looked at in the order of what they promise,
first by that bound, then by the best plan on links that take no time, then as they are, until nothing that is
left can be better than what was found.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.design.kits import KitFinder
from farthing.design.machines import SYSTEM_BYTES, machine_cluster
from farthing.design.pricing import Copy, Kind, Kit, Kits, Priced, Terms, alone
from farthing.design.runs import Job, Runs, way_of
from farthing.design.serving import SLACK, Count
from farthing.design.shop import Shop
from farthing.estimate.training import TRAINING_MEMORY_SHARE
from farthing.predict.energy import accelerator_power_w
from farthing.records.design import DesignObjective, Way, Ways
from farthing.records.estimate import TrainingEstimate
from farthing.records.hardware import Accelerator, Cluster, Link

Column = NDArray[np.float64]
Ints = NDArray[np.int64]

OBJECTIVES: Final[dict[str, str]] = {
    "usd": "run_usd",
    "capital": "capital_usd",
    "power": "power_w",
    "run": "run_s",
}
"""Of a training run, and the figure that each looks at; less is better."""

HOSTS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 512, 1024)
"""Numbers of hosts that are tried, beside those just above the fewest that can be in time."""

NEAR: Final = 1.1
"""Up to so many times the fewest hosts that can be in time, every number is tried."""

RENTED_NETWORK: Final = "100gbe"
"""What joins rented hosts, each by one port, where the renter does not say. An assumption: what providers
join their machines with is not in their prices."""

TOLERANCE: Final = 0.01
"""What a build must promise over the best known to be looked at: less than that no prediction can tell."""


@dataclass(frozen=True, slots=True)
class FoundRun:
    """One build: a kit, how many hosts of it, the run on them, and the figures of both."""

    kit: Kit
    cluster: Cluster
    estimate: TrainingEstimate
    figures: dict[str, float]

    @property
    def kind(self) -> Kind:
        """Builds that differ in it are shown beside each other."""
        return self.kit.kind


@dataclass(slots=True)
class _Group:
    """Kits of as many cards, on each number of hosts."""

    runs: Runs
    kits: Kits
    hosts: Ints

    @property
    def kind(self) -> Kind:
        return self.runs.card.id, "rent" if self.kits.rented[0] else "own"


@dataclass(slots=True)
class _Open:
    """Kits of a group on one number of hosts, of which some are not timed yet.

    ``least_s`` is what a step takes at least, by kit; ``left`` says which kits may still be timed.
    """

    group: _Group
    hosts: int
    least_s: Column
    left: NDArray[np.bool_]
    ways: list[tuple[Any, ...]] = field(default_factory=list)
    way: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    begun: bool = False


class TrainingSearch:
    """All builds out of a shop that train a model.

    Parameters
    ----------
    shop, job, terms
        What is on offer; what is trained; under which terms.
    accelerators
        That may be used.
    ways
        Owning, renting, or either.
    objective
        What is best.
    rented_network
        What joins rented hosts.
    """

    def __init__(
        self,
        shop: Shop,
        job: Job,
        terms: Terms,
        *,
        accelerators: Sequence[str],
        ways: Ways = "either",
        objective: DesignObjective = "usd",
        rented_network: Link,
    ) -> None:
        self.shop, self.job, self.terms, self.ways, self.objective = shop, job, terms, ways, objective
        self.rented_network = rented_network
        self.count = Count()
        self.groups: list[_Group] = []
        self._runs: dict[str, Runs] = {}
        judged: set[DesignObjective] = {objective, *(("usd",) if terms.limits.run_usd else ())}
        self._finder = KitFinder(shop, terms, ways, judged)
        for name in accelerators:
            self._add(shop.accelerators[name])

    def _add(self, card: Accelerator) -> None:
        kits = list(self._kits(card))
        if not kits:
            return
        runs = self._runs.setdefault(card.id, Runs(self.job, card))
        if runs.alone is None:
            self.count.remove("accelerators that cannot compute such a plan")
            return
        added = False
        for one in kits:
            hosts = self._hosts(runs, int(one.cards[0]), spans=bool(one.spans[0]))
            self.count.candidates += len(one) * len(hosts)
            if len(hosts):
                added = True
                self.groups.append(_Group(runs, one, hosts))
        if not added:
            self.count.remove("accelerators that are too slow, however many")

    def _kits(self, card: Accelerator) -> Iterator[Kits]:
        """To buy and to rent; what joins hosts to the world alone is of no use here."""
        owned, rented = self._finder.owned(card), self._finder.rented(card)
        if self.ways != "rent" and not owned:
            what = "price" if self.shop.price(card.id) is None else "host with a price"
            self.count.remove(f"accelerators without a {what} to buy them")
        if self.ways != "own" and not rented:
            self.count.remove("accelerators that nobody is known to rent out")
        for kits in owned:
            useful = kits.where(~kits.joined | kits.spans)
            if len(useful):
                yield useful
        yield from rented
        if rented and card.datacenter_licence:
            # Clusters for rent are of whole hosts; cards for games stand alone.
            widest = max((kits.kit(0) for kits in rented), key=lambda kit: kit.machine.cards)
            yield Kits(
                [
                    Kit(
                        machine=widest.machine,
                        network=None,
                        spans=True,
                        card_usd_per_hour=widest.card_usd_per_hour,
                    )
                ],
                self.shop,
            )

    def _hosts(self, runs: Runs, cards: int, *, spans: bool) -> Ints:
        """Numbers of hosts that are tried."""
        limits = self.terms.limits
        most = limits.most_hosts if spans else 1
        if limits.most_accelerators:
            most = min(most, limits.most_accelerators // cards)
        least = 2 if spans else 1
        fewest = least
        if limits.run_s:
            assert runs.alone is not None  # cards without it are left out
            whole_s = runs.alone.step_s * self.job.steps
            needed = np.ceil(whole_s / cards / limits.run_s * (1 - SLACK))
            fewest = int(min(max(needed, least), most + 1))
        if fewest > most:
            return np.empty(0, dtype=np.int64)
        near = range(fewest, int(fewest * NEAR) + 2)
        wanted = sorted({*HOSTS, *near, most})
        return np.array(
            [
                hosts
                for hosts in wanted
                if max(least, fewest) <= hosts <= most and runs.legal(hosts * cards, most * cards)
            ],
            dtype=np.int64,
        )

    def best(self, top: int, way: Way | None = None) -> list[FoundRun]:
        """The best build of each of so many kinds, the best first; of one way of paying where it is given."""
        queue: list[tuple[float, int, _Open | None, _Group, int]] = []
        number = 0
        for group in self.groups:
            if way is not None and group.kind[1] != way:
                continue
            assert group.runs.alone is not None
            step_s = group.runs.alone.step_s / (group.hosts * int(group.kits.cards[0]))
            least = self._promised(group, group.hosts, step_s[None, :]).min(axis=0)
            for place in np.flatnonzero(np.isfinite(least)).tolist():
                number += 1
                queue.append((float(least[place]), number, None, group, int(group.hosts[place])))
        heapq.heapify(queue)
        found: dict[Kind, FoundRun] = {}
        while queue:
            promise, _, opened, group, hosts = heapq.heappop(queue)
            if promise > _worth(self._worst(found, group.kind, top)):
                if promise > _worth(self._worst(found, None, top)):
                    break
                continue
            if opened is None:
                opened = self._opened(group, hosts)
            else:
                for build in self._timed(opened, _worth(self._worst(found, group.kind, top))):
                    before = found.get(build.kind)
                    if before is None or rank(build, self.objective) < rank(before, self.objective):
                        found[build.kind] = build
            promises = self._promises(opened)
            least_left = float(promises.min())
            if np.isfinite(least_left):
                number += 1
                heapq.heappush(queue, (least_left, number, opened, group, hosts))
        order = sorted(found, key=lambda kind: rank(found[kind], self.objective))
        better = [self._improved(found[kind]) for kind in order[:top]]
        return sorted(better, key=lambda build: rank(build, self.objective))

    def _improved(self, build: FoundRun) -> FoundRun:
        """With the best of all plans, not of those alone that builds are compared by."""
        estimate = self._runs[build.kit.machine.accelerator.id].full(build.cluster)
        if estimate is None or estimate.run_s >= build.estimate.run_s:
            return build
        kits = Kits([build.kit], self.shop)
        again = self._chosen(kits, round(build.figures["hosts"]), estimate)
        # More draw may break a limit that the slower plan keeps.
        return next((one for one in again if rank(one, self.objective) <= rank(build, self.objective)), build)

    def _worst(self, found: dict[Kind, FoundRun], kind: Kind | None, top: int) -> float:
        """What a build must not exceed to be of use: its kind's best, or the last of the best kinds."""
        values = {one: rank(build, self.objective)[0] for one, build in found.items()}
        own = np.inf if kind is None else values.get(kind, np.inf)
        others = sorted(values.values())
        return min(own, others[top - 1] if len(others) >= top else np.inf)

    def _opened(self, group: _Group, hosts: int) -> _Open:
        """A number of hosts with the bound of perfect links."""
        hoped = group.runs.hoped_step_s(hosts * int(group.kits.cards[0]))
        count = len(group.kits)
        return _Open(group, hosts, np.full(count, hoped), np.full(count, np.isfinite(hoped)))

    def _promises(self, opened: _Open) -> Column:
        """What each kit that is not timed yet can reach."""
        found = self._promised(opened.group, np.array([opened.hosts]), opened.least_s[:, None])[:, 0]
        return np.where(opened.left, found, np.inf)

    def _timed(self, opened: _Open, worst: float) -> Iterator[FoundRun]:
        """Builds with links of the middle speed among those that are of use: it halves what is left."""
        group = opened.group
        if not opened.ways:
            self._set_ways(opened)
        opened.left &= self._promises(opened) <= worst
        useful = sorted(set(opened.way[opened.left].tolist()), key=lambda way: opened.ways[way][1:])
        if not useful:
            return
        # The fastest first: what it takes, all others take at least. Then each halves what is left.
        chosen = useful[len(useful) // 2 if opened.begun else 0]
        opened.begun = True
        mine = opened.left & (opened.way == chosen)
        kit = group.kits.kit(int(np.flatnonzero(mine)[0]))
        estimate = group.runs.best(self._cluster(kit, opened.hosts))
        opened.left &= ~mine
        self.count.evaluated += int(mine.sum())
        if estimate is None:
            return
        # What is slower in some link and faster in none is no quicker.
        for way in useful:
            if way != chosen and _slower(opened.ways[way], opened.ways[chosen]):
                rows = opened.way == way
                opened.least_s[rows] = np.maximum(opened.least_s[rows], estimate.step_s)
        yield from self._chosen(group.kits.where(mine), opened.hosts, estimate)

    def _set_ways(self, opened: _Open) -> None:
        known: dict[tuple[Any, ...], int] = {}
        places = [
            known.setdefault(way_of(self._cluster(kit, opened.hosts).groups[0]), len(known))
            for kit in (opened.group.kits.kit(row) for row in range(len(opened.group.kits)))
        ]
        opened.ways, opened.way = list(known), np.array(places, dtype=np.int64)

    def _cluster(self, kit: Kit, hosts: int) -> Cluster:
        if hosts == 1:
            return machine_cluster(kit.machine, self.shop)
        if kit.network is None:
            return machine_cluster(kit.machine, self.shop, hosts, self.rented_network)
        return machine_cluster(kit.machine, self.shop, hosts, kit.network.link, kit.network.nics)

    def _chosen(self, kits: Kits, hosts: int, estimate: TrainingEstimate) -> Iterator[FoundRun]:
        """The best of kits that time alike."""
        priced = run_priced(kits, hosts, estimate, self.terms)
        values = self._objective(priced, np.array([[estimate.run_s]]))[:, 0]
        loads = sum(part.value for part in estimate.memory.parts if part.name == "weights")
        values = np.where(loads + SYSTEM_BYTES <= kits.memory_bytes, values, np.inf)
        if not np.isfinite(values).any():
            return
        ties = np.flatnonzero(values <= _looser(float(values.min())))
        order = np.lexsort((priced.capital_usd[ties, 0], priced.usd_per_s[ties, 0]))
        row = int(ties[order[0]])
        kit = kits.kit(row)
        yield FoundRun(kit, self._cluster(kit, hosts), estimate, run_figures(priced, row, estimate))

    def _promised(self, group: _Group, hosts: Ints, step_s: Column) -> Column:
        """What each kit's objective is at least on so many hosts, if a step takes at least so long.

        Parameters
        ----------
        group, hosts
            Kits, and numbers of hosts: the rows and columns of the answer.
        step_s
            By kit, or one row for all, and by number of hosts.
        """
        runs, limits = group.runs, self.terms.limits
        assert runs.alone is not None
        cards = hosts * int(group.kits.cards[0])
        step_s = np.broadcast_to(np.maximum(step_s, 1e-300), (len(group.kits), len(hosts)))
        work_s = runs.alone.work_s / cards
        rate = self.job.workload.training_tokens / (step_s * self.job.steps)
        # Work is the same however long it takes: a quicker run draws more, but needs no more energy. So money
        # is least at the quickest run, and draw at the slowest.
        quick = run_copy(runs.card, group.kits, hosts, rate, busy_w(runs.card, work_s / step_s))
        found = alone(group.kits, quick, self._whatever_draw)
        values = self._objective(found, step_s * self.job.steps)
        if limits.power_w or limits.usd_per_s or self.objective == "power":
            longest = limits.run_s / self.job.steps if limits.run_s else np.inf
            slow = run_copy(runs.card, group.kits, hosts, rate, busy_w(runs.card, work_s / longest))
            drawn = alone(group.kits, slow, self.terms)
            if self.objective == "power":
                values = np.where(np.isfinite(values), drawn.power_w, np.inf)
            values = np.where(drawn.possible, values, np.inf)
        return values

    @property
    def _whatever_draw(self) -> Terms:
        return replace(self.terms, limits=replace(self.terms.limits, power_w=0.0, usd_per_s=0.0))

    def _objective(self, priced: Priced, run_s: Column) -> Column:
        """Figures of builds that keep the limits; infinite where they do not."""
        limits = self.terms.limits
        run_s = np.broadcast_to(run_s, priced.usd_per_s.shape)
        with np.errstate(invalid="ignore"):
            run_usd = priced.usd_per_s * run_s
        good = priced.possible & np.isfinite(run_s)
        for limit, values in ((limits.run_s, run_s), (limits.run_usd, run_usd)):
            if limit:
                good = good & (values <= limit * (1 + 1e-12))
        figures = {"usd": run_usd, "capital": priced.capital_usd, "power": priced.power_w, "run": run_s}
        return np.where(good, figures[self.objective], np.inf)


def busy_w(card: Accelerator, compute_share: Column) -> Column:
    """Draw of a card that spends such a share of its peak on training."""
    return np.asarray(
        accelerator_power_w(
            card.tdp_w,
            compute_share=np.minimum(compute_share, 1.0),
            memory_share=TRAINING_MEMORY_SHARE,
            idle_w=card.idle_w,
        )
    )


def run_copy(card: Accelerator, kits: Kits, hosts: Ints, tokens_per_s: Column, busy: Column) -> Copy:
    """Runs as what pricing needs of a copy; one for each number of hosts."""
    count = len(hosts)
    idle_w = float(accelerator_power_w(card.tdp_w, compute_share=0, memory_share=0, idle_w=card.idle_w))
    return Copy(
        cards=hosts * int(kits.cards[0]),
        tokens_per_s=tokens_per_s,
        ttft_s=np.zeros(count),
        tpot_s=np.zeros(count),
        busy_w=busy,
        least_busy_w=busy,
        idle_w=np.full(count, idle_w),
        hosts=np.broadcast_to(hosts, (len(kits), count)),
        legal=np.ones((len(kits), count), dtype=bool),
    )


def run_priced(kits: Kits, hosts: int, estimate: TrainingEstimate, terms: Terms) -> Priced:
    """What kits cost and draw while they train."""
    card = kits.kit(0).machine.accelerator
    rate = np.array([estimate.workload.training_tokens / estimate.run_s])
    copy = run_copy(card, kits, np.array([hosts]), rate, busy_w(card, np.array([estimate.hfu])))
    return alone(kits, copy, terms)


def run_figures(priced: Priced, row: int, estimate: TrainingEstimate) -> dict[str, float]:
    """Of one kit."""
    figures = priced.figures(row, 0)
    figures["tokens_per_s"] = estimate.workload.training_tokens / estimate.run_s
    figures["run_s"] = estimate.run_s
    figures["run_usd"] = figures["usd_per_s"] * estimate.run_s
    return figures


def _slower(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether links are no faster than others in anything."""
    return one[0] == other[0] and all(mine >= its for mine, its in zip(one[1:], other[1:], strict=True))


def _worth(value: float) -> float:
    """What a build must promise to be looked at beside one of such an objective."""
    return value * (1 - TOLERANCE) if np.isfinite(value) else value


def _looser(value: float) -> float:
    return value + abs(value) * SLACK if np.isfinite(value) else value


def rank(build: FoundRun, objective: DesignObjective) -> tuple[float, ...]:
    """By which builds are put in order: the objective, then money, then time; less is better."""
    figures = build.figures
    first = float(f"{figures[OBJECTIVES[objective]]:.10g}")
    return first, figures["run_usd"], figures["capital_usd"], figures["run_s"]
