"""The best cut of a model's layers over a chain of unlike machines, by dynamic programming.

A cut has a total, what one pass through all stages costs, and a peak, that of the worst stage. The least
total at a peak of at most so much is a shortest path over slots and layers; what is best of both is found by
branch and bound over the peaks that there are. Nothing here knows what costs and peaks mean.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Table = NDArray[np.float64]

Order = Literal["any", "written", "fixed"]

SLACK: Final = 1e-12
"""Relative difference that rounding may make."""


class Hop(NamedTuple):
    """What handing on to the next stage adds: to the total, and to the peak of the stage that sends."""

    total: float
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machines:
    """Machines that are alike.

    Attributes
    ----------
    hosts, slots
        How many, and stages that each holds.
    cost, peak
        Of a stage on one of their slots, by the layer that it ends before and, from 1, how many it holds; the
        cost is infinite where the stage cannot be.
    inside
        A hop to the next slot of the same machine.
    across
        Hops to machines of each kind.
    """

    hosts: int
    slots: int
    cost: Table
    peak: Table
    inside: Hop
    across: tuple[Hop, ...]

    @property
    def room(self) -> int:
        """Slots of all."""
        return self.hosts * self.slots


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """Chains that a search may choose from.

    Machines of a kind follow each other. All slots of a machine hold a stage, but for the last one's.

    Attributes
    ----------
    machines
        By kind, in the order written.
    first
        Kind that the chain starts on.
    least, most
        Stages.
    ends
        What a chain that ends on each kind costs beside stages and hops: within one machine, across several.
    order
        Kinds follow in ``any`` order, or as ``written``, and any machines may be left out; or all are used as
        they come until there are enough stages (``fixed``).
    """

    machines: tuple[Machines, ...]
    first: int
    least: int
    most: int
    ends: tuple[tuple[float, float], ...]
    order: Order

    @property
    def layers(self) -> int:
        """Of the model."""
        return int(self.machines[0].cost.shape[1])


class Cut(NamedTuple):
    """Stages in order, each the kind of its machine and its layers."""

    total: float
    peak: float
    stages: tuple[tuple[int, int], ...]


class _Slot(NamedTuple):
    """The next slot to fill: kinds that were used (a bit each), the kind, and how many of its slots were."""

    used: int
    kind: int
    filled: int


def cheapest_cut(
    chain: Chain, limit: float = math.inf, hopeless: Callable[[Table], Table] | None = None
) -> Cut | None:
    """The cut of least total whose peak is at most ``limit``; None where there is none.

    Parameters
    ----------
    chain, limit
        What to cut.
    hopeless
        Where no total by layers placed may become a better cut than is known: these are not followed up.

    Examples
    --------
    Nine layers on a card and on one of half its speed:

    >>> layers = np.arange(1.0, 10.0)
    >>> end = np.arange(10.0)[:, None]
    >>> free = Hop(0.0, 0.0)
    >>> fast, slow = (
    ...     Machines(hosts=1, slots=1, cost=np.where(layers <= end, layers * each, np.inf),
    ...              peak=layers * each + 0 * end, inside=free, across=(free, free)) for each in (1, 2))
    >>> chain = Chain(machines=(fast, slow), first=0, least=2, most=2, ends=((0.0, 0.0),) * 2, order="any")
    >>> cheapest_cut(chain).stages, cheapest_cut(chain, 6.0).stages
    (((0, 8), (1, 1)), ((0, 6), (1, 3)))
    """
    bounded = _Bounded(chain, limit)
    start = np.full(chain.layers + 1, np.inf)
    start[0] = 0.0
    levels = [{_Slot(1 << chain.first, chain.first, 0): start}]
    came: list[dict[_Slot, list[tuple[_Slot, Hop]]]] = [{}]
    best, where = math.inf, (0, next(iter(levels[0])))
    for level in range(chain.most):
        following: dict[_Slot, Table] = {}
        origins: dict[_Slot, list[tuple[_Slot, Hop]]] = {}
        for kind in {slot.kind for slot in levels[level]}:
            slots = [slot for slot in levels[level] if slot.kind == kind]
            rows = np.stack([levels[level][slot] for slot in slots])
            if level + 1 >= chain.least:
                for slot, total in zip(slots, bounded.ended(kind, rows), strict=True):
                    if total + _ends(chain, slot) < best:
                        best, where = total + _ends(chain, slot), (level, slot)
            after: dict[float, Table] = {}
            for number, slot in enumerate(slots):
                for successor, hop in _successors(chain, slot):
                    if hop.peak not in after:
                        after[hop.peak] = bounded.passed(kind, rows, hop.peak)
                    totals = after[hop.peak][number] + hop.total
                    if totals.min() == np.inf:
                        continue
                    known = following.get(successor)
                    following[successor] = totals if known is None else np.minimum(known, totals)
                    origins.setdefault(successor, []).append((slot, hop))
        if hopeless is not None:
            following = {
                slot: np.where(hopeless(totals), np.inf, totals) for slot, totals in following.items()
            }
        levels.append(following)
        came.append(origins)
    if best == math.inf:
        return None
    stages, peak = _traced_back(bounded, levels, came, *where)
    return Cut(best, peak, stages)


def least_rests(chain: Chain) -> Table:
    """What the layers after each one and the end cost at the least, on any machines and without hops.

    An end may take from the total: logits that return where activations would.

    Examples
    --------
    >>> cost, free = np.array([[9.0, 9.0], [1.0, 9.0], [3.0, 5.0]]), Hop(0.0, 0.0)
    >>> one = Machines(hosts=1, slots=1, cost=cost, peak=cost, inside=free, across=(free,))
    >>> chain = Chain(machines=(one,), first=0, least=1, most=1, ends=((0.0, 0.0),), order="any")
    >>> least_rests(chain)
    array([4., 3., 0.])
    """
    layers = chain.layers
    cheapest = np.minimum.reduce([machines.cost for machines in chain.machines])
    held = np.arange(layers)
    rests = np.full(layers + 1, min(min(end) for end in chain.ends))
    for start in range(layers - 1, -1, -1):
        here = held[: layers - start]
        rests[start] = (cheapest[start + 1 + here, here] + rests[start + 1 :]).min()
    return rests


def _successors(chain: Chain, slot: _Slot) -> Iterator[tuple[_Slot, Hop]]:
    machines = chain.machines[slot.kind]
    filled = slot.filled + 1
    whole = filled % machines.slots == 0
    if filled < machines.room:
        yield (
            slot._replace(filled=filled),
            machines.across[slot.kind] if whole else machines.inside,
        )
    if not whole or (chain.order == "fixed" and filled < machines.room):
        return
    for kind in range(len(chain.machines)):
        if chain.order == "any":
            if not slot.used >> kind & 1:
                yield _Slot(slot.used | 1 << kind, kind, 0), machines.across[kind]
        elif kind == slot.kind + 1 if chain.order == "fixed" else kind > slot.kind:
            yield _Slot(slot.used, kind, 0), machines.across[kind]


def _ends(chain: Chain, last: _Slot) -> float:
    alone = last.kind == chain.first and last.filled < chain.machines[chain.first].slots
    return chain.ends[last.kind][0 if alone else 1]


class _Bounded:
    """Costs of stages whose peak, hop included, stays within a limit."""

    def __init__(self, chain: Chain, limit: float) -> None:
        self.chain = chain
        self.limit = limit + abs(limit) * SLACK if math.isfinite(limit) else limit
        self.known: dict[tuple[int, float], Table] = {}

    def costs(self, kind: int, hop: float) -> Table:
        """By end and number of layers, as far as any number of layers keeps the limit."""
        key = kind, hop
        if key not in self.known:
            machines = self.chain.machines[kind]
            costs = np.where(machines.peak <= self.limit - hop, machines.cost, np.inf)
            most = int(np.flatnonzero(np.isfinite(costs).any(axis=0)).max(initial=-1)) + 1
            self.known[key] = np.ascontiguousarray(costs[:, :most])
        return self.known[key]

    def passed(self, kind: int, before: Table, hop: float) -> Table:
        """Least totals by layers placed, one stage on: rows as before."""
        costs = self.costs(kind, hop)
        most = costs.shape[1]
        if not most:
            return np.full(before.shape, np.inf)
        padded = np.concatenate((np.full((len(before), most), np.inf), before[:, :-1]), axis=1)
        windows = sliding_window_view(padded, most, axis=1)[:, :, ::-1]
        return np.asarray((windows + costs).min(axis=-1))

    def ended(self, kind: int, before: Table) -> Table:
        """Least totals of chains that end here, by row."""
        costs = self.costs(kind, 0.0)[-1]
        windows = before[:, -2 : -2 - len(costs) : -1]
        return np.asarray((windows + costs).min(axis=-1, initial=np.inf))

    def stage(self, kind: int, before: Table, end: int, hop: float) -> tuple[float, int]:
        """The best stage that ends there: least total, and its layers."""
        costs = self.costs(kind, hop)[end, :end]
        totals = before[end - len(costs) : end][::-1] + costs
        if not len(totals):
            return math.inf, 0
        layers = int(totals.argmin())
        return float(totals[layers]), layers + 1


def _traced_back(
    bounded: _Bounded,
    levels: Sequence[dict[_Slot, Table]],
    came: Sequence[dict[_Slot, list[tuple[_Slot, Hop]]]],
    level: int,
    slot: _Slot,
) -> tuple[tuple[tuple[int, int], ...], float]:
    """The stages of the best chain that ends on a slot, and their peak."""
    machines = bounded.chain.machines
    end, hop = bounded.chain.layers, Hop(0.0, 0.0)
    stages: list[tuple[int, int]] = []
    peak = -math.inf
    while True:
        _, layers = bounded.stage(slot.kind, levels[level][slot], end, hop.peak)
        stages.append((slot.kind, layers))
        peak = max(peak, float(machines[slot.kind].peak[end, layers - 1]) + hop.peak)
        end -= layers
        if not level:
            return tuple(reversed(stages)), peak
        before = levels[level - 1]
        slot, hop = min(
            came[level][slot],
            key=lambda origin: (
                bounded.stage(origin[0].kind, before[origin[0]], end, origin[1].peak)[0] + origin[1].total
            ),
        )
        level -= 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Chains, and what a cut of them is worth.

    Attributes
    ----------
    chain
        To choose from.
    value
        Of a total and a peak, either of them a column or not; never falls when either grows. Least is best.
    peaks_count
        Whether the least total may not be the best.
    """

    chain: Chain
    value: Callable[[Any, Any], Any]
    peaks_count: bool


def best_cut(problems: Sequence[Problem], below: float = math.inf) -> tuple[float, int, Cut] | None:
    """The cut of least value over all problems: its value, which problem, and the cut.

    Parameters
    ----------
    problems
        Alternatives.
    below
        Only better values count.

    Returns
    -------
    tuple or None
        None where no cut is better than ``below``.
    """
    best: tuple[float, int, Cut] | None = None
    order = itertools.count()
    # Intervals of peaks that may hold a better cut, the most promising first: least value there, then the
    # problem, first and last peak, and the least total of any cut with at most the last.
    heap: list[tuple[float, int, int, int, int, float]] = []
    peaks: list[Table] = []
    rests: list[Table] = []

    def add(number: int, low: int, high: int, total: float) -> None:
        if low <= high:
            bound = float(problems[number].value(total, float(peaks[number][low])))
            heapq.heappush(heap, (bound, next(order), number, low, high, total))

    for number, problem in enumerate(problems):
        peaks.append(_peaks(problem, below) if problem.peaks_count else np.zeros(1))
        rests.append(least_rests(problem.chain))
        add(number, 0, len(peaks[number]) - 1, float(rests[-1][0]))
    while heap:
        bound, _, number, low, high, total = heapq.heappop(heap)
        if bound >= below * (1 - SLACK):
            break
        problem = problems[number]
        middle = (low + high) // 2
        limit = float(peaks[number][middle]) if problem.peaks_count else math.inf
        hopeless = _hopeless(problem, rests[number], float(peaks[number][low]), below)
        cut = cheapest_cut(problem.chain, limit, hopeless)
        add(number, middle + 1, high, total)
        if cut is None:
            continue
        value = float(problem.value(cut.total, cut.peak))
        if value < below:
            below, best = value, (value, number, cut)
        # Between this cut's peak and the limit nothing is cheaper.
        lower = int(np.searchsorted(peaks[number], cut.peak - abs(cut.peak) * SLACK)) - 1
        add(number, low, min(lower, middle - 1), cut.total)
    return best


def _hopeless(problem: Problem, rests: Table, peak: float, below: float) -> Callable[[Table], Table]:
    """Where totals by layers placed cannot become a better value, at a peak of at least so much."""
    return lambda totals: np.asarray(problem.value(totals + rests, peak) >= below)


def _peaks(problem: Problem, below: float) -> Table:
    """Peaks that a cut may have and be better, ascending: from the least that leaves room for all layers."""
    chain = problem.chain
    found, least = [], []
    for machines in chain.machines:
        possible = np.where(np.isfinite(machines.cost), machines.peak, np.inf)
        least.append(np.minimum.accumulate(possible.min(axis=0)[::-1])[::-1])
        own = possible[np.isfinite(possible)]
        # Hops only add to a peak: one that is no better without them is none with them.
        own = np.unique(own[np.asarray(problem.value(0.0, own) < below)])
        hops = {0.0, machines.inside.peak, *(hop.peak for hop in machines.across)}
        found += [own + hop for hop in hops]
    peaks = np.unique(np.concatenate(found))

    def has_room(peak: float) -> bool:
        held = sorted(
            (
                (int(np.searchsorted(each, peak + abs(peak) * SLACK, side="right")), machines.room)
                for each, machines in zip(least, chain.machines, strict=True)
            ),
            reverse=True,
        )
        stages, layers = chain.most, 0
        for most, room in held:
            layers += most * min(room, stages)
            stages -= min(room, stages)
        return layers >= chain.layers

    first = bisect.bisect_left(peaks, True, key=has_room)
    end = bisect.bisect_left(peaks, True, key=lambda peak: bool(problem.value(0.0, peak) >= below))
    return peaks[first:end]
