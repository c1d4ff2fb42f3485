"""The best builds to serve a model: every part, split and batch, the hopeless ones left out by proof.

Each accelerator's copies are first timed as if links took no time. With those times, what a kit of parts can
do at best costs no more than what it really does (`farthing.design.copies.bound`), so kits are timed as they
are in the order of what they promise, until nothing that is left can be better than what was found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from farthing.design.columns import cluster_of, copy_of
from farthing.design.copies import Copies, Task, bound, exact, joined
from farthing.design.kits import KitFinder
from farthing.design.pricing import Copy, Kind, Kit, Kits, Priced, Terms, hoped, priced
from farthing.design.shop import Shop
from farthing.records.design import DesignObjective, Way, Ways
from farthing.records.hardware import Accelerator, HostGroup
from farthing.search.rank import pareto_front

Column = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_CARDS: Final = 128
"""Of one copy: more are better cut into copies, where the model fits at all."""

FEW: Final = 48
"""Builds that are timed to find what the others have to beat."""

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
    def kind(self) -> Kind:
        """Builds that differ in it are shown beside each other."""
        return self.kit.kind


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

    @property
    def kind(self) -> Kind:
        """Of its builds."""
        return self.offer.card.id, "rent" if self.kits.rented[0] else "own"


@dataclass(frozen=True, slots=True)
class _Selection:
    """Rows of copies that may be of use, with some links each.

    ``wanted`` says which rows are wanted with which links, ``way_of`` which links each kit has.
    """

    offer: _Offer
    kits: Kits
    rows: Copies
    links: list[HostGroup]
    way_of: NDArray[np.int64]
    wanted: Mask

    @property
    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Links and row of what is wanted."""
        way, row = np.nonzero(self.wanted)
        return way, row

    @property
    def flat(self) -> Copies:
        """What is wanted, one after the other."""
        return self.rows.where(self.places[1])

    @property
    def flat_links(self) -> list[HostGroup]:
        """The links of each."""
        return [self.links[way] for way in self.places[0].tolist()]


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
    work_w = rows.least_busy_w - rows.idle_w
    np.minimum.at(per_token, place, work_w / np.maximum(rows.tokens_per_s, 1e-300))
    busy = rows.idle_w + per_token * tokens
    return Copy(
        cards=sizes,
        tokens_per_s=tokens,
        ttft_s=ttft,
        tpot_s=tpot,
        busy_w=busy,
        least_busy_w=busy,
        idle_w=np.full(count, rows.idle_w),
        hosts=np.empty((0, count), dtype=np.int64),
        legal=np.ones((1, count), dtype=bool),
    )


class _Best:
    """The best build of each kind so far, of which so many kinds count."""

    def __init__(self, objective: DesignObjective, top: int) -> None:
        self.objective, self.top = objective, top
        self.builds: dict[Kind, Found] = {}
        self._ranks: dict[Kind, tuple[float, ...]] = {}

    def take(self, builds: Iterable[Found]) -> None:
        """Keep those that are the best of their kinds."""
        for build in builds:
            own = rank(build, self.objective)
            if build.kind not in self._ranks or own < self._ranks[build.kind]:
                self._ranks[build.kind], self.builds[build.kind] = own, build

    def worst(self, kind: Kind | None = None) -> float:
        """What a build must not exceed to be of use: the last of the best kinds, or its own kind's best."""
        others = sorted(own[0] for own in self._ranks.values())
        last = others[self.top - 1] if len(others) >= self.top else np.inf
        return min(last, self._ranks[kind][0]) if kind in self._ranks else last

    @property
    def first(self) -> list[Found]:
        """Of the best kinds, the best first."""
        order = sorted(self.builds, key=lambda kind: self._ranks[kind])
        return [self.builds[kind] for kind in order[: self.top]]


class Search:
    """All builds of some tasks out of a shop.

    Parameters
    ----------
    shop, tasks, terms
        What is on offer; the model in each combination of formats (engines are chosen by accelerator, so a
        task is a function of it); under which terms.
    ways
        Owning, renting, or either.
    objective, front
        What is best, and what a front is of.
    finder
        Kits that were found under terms much alike; without it they are looked for.
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
        finder: KitFinder | None = None,
    ) -> None:
        self.shop, self.terms, self.ways, self.objective = shop, terms, ways, objective
        self.count = Count()
        self.groups: list[_Group] = []
        self._finder = finder or KitFinder(shop, terms, ways, {objective, *front})
        for name, of_card in tasks.items():
            self._add(shop.accelerators[name], of_card)

    def _add(self, card: Accelerator, tasks: Sequence[Task]) -> None:
        before = self._finder.tried
        kits = self._kits(card)
        tried = self._finder.tried - before
        if not kits:
            return
        widest = max(int(one.cards[0]) for one in kits)
        spans = any(one.spans[0] for one in kits)
        most = min(widest * (self.terms.limits.most_hosts if spans else 1), MOST_CARDS)
        if self.terms.limits.most_accelerators:
            most = min(most, self.terms.limits.most_accelerators)
        fitting = False
        for task in tasks:
            rows = bound(task, card, most)
            self.count.candidates += tried * len(rows)
            rows = rows.where(self._in_time(rows))
            if len(rows):
                fitting = True
                offer = _Offer(card, task, rows)
                for one in kits:
                    least = self._least(one, offer)
                    if np.isfinite(least).any():
                        self.groups.append(_Group(offer, one, least))
        if not fitting:
            self.count.remove("accelerators on which no copy fits or is in time, however many")

    def _in_time(self, rows: Copies) -> NDArray[np.bool_]:
        limits = self.terms.limits
        good = np.ones(len(rows), dtype=bool)
        for limit, values in ((limits.ttft_s, rows.ttft_s), (limits.tpot_s, rows.tpot_s)):
            if limit:
                good &= values <= limit * (1 + SLACK)
        return good

    def _kits(self, card: Accelerator) -> list[Kits]:
        """To buy and to rent, without those that another beats in every way."""
        owned, rented = self._finder.owned(card), self._finder.rented(card)
        if self.ways != "rent" and not owned:
            what = "price" if self.shop.price(card.id) is None else "host with a price"
            self.count.remove(f"accelerators without a {what} to buy them")
        if self.ways != "own" and not rented:
            self.count.remove("accelerators that nobody is known to rent out")
        return [*owned, *rented]

    def _least(self, kits: Kits, offer: _Offer) -> Column:
        """What each kit's objective is at least."""
        best = offer.best
        needed = -(-best.cards[None, :] // kits.cards[:, None])
        copy = dataclasses.replace(best, hosts=needed)
        least: Column = hoped(kits, copy, self.terms).objective(self.objective).min(axis=1)
        return least

    def best(self, top: int, way: Way | None = None) -> list[Found]:
        """The best build of each of so many kinds, the best first; of one way of paying where it is given."""
        queue = sorted(
            (float(group.least.min()), number)
            for number, group in enumerate(self.groups)
            if way is None or group.kits.rented[0] == (way == "rent")
        )
        best = _Best(self.objective, top)
        # A few promising builds of each kind first: the better the best known, the fewer are left to time.
        for few in (FEW, 0):
            done = set()
            for promise, number in queue:
                group = self.groups[number]
                if promise > _looser(best.worst()):
                    break
                if group.kind in done:
                    continue
                done.add(group.kind)
                groups = [group] if few else self._of(group.kind)
                best.take(self._evaluated(groups, best.worst(group.kind), few))
        return best.first

    def _of(self, kind: Kind) -> list[_Group]:
        """The groups of one kind."""
        return [group for group in self.groups if group.kind == kind]

    def _evaluated(self, groups: Sequence[_Group], worst: float, few: int = 0) -> Iterator[Found]:
        """The best build of each of some groups of one kind that does not exceed an objective.

        With ``few``, of so many that promise most.
        """

        def useful(best: Priced) -> Mask:
            values = best.objective(self.objective)
            limit = worst
            if few and values.size > few:
                limit = min(limit, float(np.partition(values, few, axis=None)[few]))
            return np.asarray(np.isfinite(values) & (values <= _looser(limit)))

        for offer, kits, rows, found in self._timed(groups, useful, worst):
            yield from self._chosen(offer, kits, rows, found, found.objective(self.objective))

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
        yield _found(offer.task, kits, rows, found, int(kit), int(row))

    def _timed(
        self, groups: Sequence[_Group], useful: Callable[[Priced], Mask], worst: float = np.inf
    ) -> Iterator[tuple[_Offer, Kits, Copies, Priced]]:
        """Builds that may be of use, timed as they are, with their prices.

        Parameters
        ----------
        groups
            Where they are looked for.
        useful
            Which builds may be of use, from what they can do at best.
        worst
            Kits that promise no better are left out at once.
        """
        together: dict[Any, list[_Selection]] = {}
        for group in groups:
            selection = self._selected(group, useful, worst)
            if selection is not None:
                # Racks that switches join are as many cards inside as they have hosts: each size by itself.
                domain = selection.links[0].intra_link
                apart = group.kits.cards[0] if domain.domain else 0
                key = (id(group.offer), group.kits.rented[0], domain.kind, domain.domain and domain.id, apart)
                together.setdefault((*key, selection.links[0].host_copy), []).append(selection)
        for selections in together.values():
            offer = selections[0].offer
            rows = joined([one.flat for one in selections])
            links = [link for one in selections for link in one.flat_links]
            real = exact(offer.task, cluster_of(links, self.terms.limits.most_hosts), rows)
            start = 0
            for one in selections:
                count = len(one.flat)
                mine = real.where(np.arange(start, start + count))
                start += count
                self.count.evaluated += int(one.wanted[one.way_of].sum())
                yield (offer, one.kits, *self._priced(one, mine))

    def _selected(self, group: _Group, useful: Callable[[Priced], Mask], worst: float) -> _Selection | None:
        """Rows of copies that may be of use on some kits of a group; None where none may."""
        kits = group.kits.where(group.least <= _looser(worst))
        if not len(kits):
            return None
        rows = group.offer.rows
        # First with the best of all kits at once, then with each.
        rows = rows.where(useful(hoped(kits.ideal, copy_of(kits.ideal, rows), self.terms))[0])
        if not len(rows):
            return None
        wanted = useful(hoped(kits, copy_of(kits, rows), self.terms))
        kept = np.asarray(wanted.any(axis=0))
        if not kept.any():
            return None
        rows, wanted = rows.where(kept), wanted[:, kept]
        links, way_of = kits.ways(group.offer.card)
        by_way = np.zeros((len(links), len(rows)), dtype=bool)
        np.logical_or.at(by_way, way_of, wanted)
        return _Selection(group.offer, kits, rows, links, way_of, by_way)

    def _priced(self, one: _Selection, timed: Copies) -> tuple[Copies, Priced]:
        """Copies by kit and row, and their builds."""
        real = timed.spread(one.rows, one.places, len(one.links))
        copy = copy_of(one.kits, one.rows)
        told = dataclasses.replace(
            copy,
            legal=copy.legal & one.wanted[one.way_of],
            tokens_per_s=real.tokens_per_s[one.way_of],
            ttft_s=real.ttft_s[one.way_of],
            tpot_s=real.tpot_s[one.way_of],
            busy_w=real.busy_w[one.way_of],
        )
        return real.on(one.way_of), priced(one.kits, told, self.terms)

    def front(self, objectives: Sequence[DesignObjective]) -> list[Found]:
        """Builds that none beats in all objectives, in the order of the first."""
        signs = np.array([-1.0 if name == "tokens-per-s" else 1.0 for name in objectives])
        points = np.empty((0, len(objectives)))
        builds: list[Found] = []
        kinds = dict.fromkeys(
            group.kind for group in sorted(self.groups, key=lambda group: float(group.least.min()))
        )
        for kind in kinds:

            def useful(best: Priced, points: Column = points) -> Mask:
                values = np.stack([best.objective(name) for name in objectives], axis=-1)
                return _unbeaten(values, points)

            for offer, kits, rows, found in self._timed(self._of(kind), useful):
                values = np.stack([found.objective(name) for name in objectives], axis=-1)
                flat = values.reshape(-1, len(objectives))
                mine = pareto_front(flat)
                for place in mine[_unbeaten(flat[mine], points)].tolist():
                    kit, row = divmod(place, len(rows))
                    builds.append(_found(offer.task, kits, rows, found, kit, row))
            if builds:
                points = np.array([[_value(build, name) for name in objectives] for build in builds]) * signs
                kept = pareto_front(points)
                builds, points = [builds[place] for place in kept.tolist()], points[kept]
        return builds


def rank(build: Found, objective: DesignObjective) -> tuple[float, ...]:
    """By which builds are put in order: the objective, then money, then speed; less is better."""
    figures = build.figures
    sign = -1 if objective == "tokens-per-s" else 1
    first = _rounded(sign * figures[OBJECTIVES[objective]])
    return (first, figures["usd_per_million_tokens"], figures["capital_usd"], figures["tpot_s"])


def _value(build: Found, name: DesignObjective) -> float:
    return build.figures[OBJECTIVES[name]]


def _unbeaten(values: Column, points: Column) -> Mask:
    """Rows that no point beats in everything."""
    good: Mask = np.array(np.isfinite(values).all(axis=-1))
    for point in points:
        good &= ~np.asarray((point * (1 + np.sign(point) * SLACK) < values).all(axis=-1))
    return good


def _looser(value: float) -> float:
    return value + abs(value) * SLACK if np.isfinite(value) else value


def _rounded(value: float) -> float:
    """Without the last digits, which the order of a sum decides."""
    return float(f"{value:.10g}")


def _found(task: Task, kits: Kits, rows: Copies, found: Priced, kit: int, row: int) -> Found:
    figures = found.figures(kit, row)
    one = rows.at(kit, row)
    figures |= {name: float(getattr(one, name)[0]) for name in ("ttft_s", "tpot_s", "requests_per_s")}
    figures["requests_per_s"] *= figures["copies"]
    return Found(kits.kit(kit), task, one, 0, figures)


def of_copies(
    shop: Shop, task: Task, kit: Kit, rows: Copies, copies: int, terms: Terms
) -> tuple[Found, bool]:
    """One kit with so many of one copy, that is timed on it already; and whether such a build can be."""
    kits = Kits([kit], shop)
    found = priced(kits, copy_of(kits, rows), terms, copies)
    return _found(task, kits, rows, found, 0, 0), bool(found.possible[0, 0])
