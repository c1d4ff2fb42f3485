"""The best cut of a chain against trying every one, on random costs that no hardware would have."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from farthing.search.chain import Chain, Cut, Hop, Machines, Order, Problem, best_cut, cheapest_cut

RNG = np.random.default_rng(7)


def random_chain(order: Order) -> Chain:
    layers, kinds = int(RNG.integers(2, 8)), int(RNG.integers(1, 4))
    number, end = np.arange(1, layers + 1), np.arange(layers + 1)[:, None]
    machines = []
    for _ in range(kinds):
        cost, peak = RNG.random((2, layers + 1, layers))
        blocked = (number > end) | (RNG.random((layers + 1, layers)) < 0.1)
        machines.append(
            Machines(
                hosts=int(RNG.integers(1, 3)),
                slots=int(RNG.integers(1, 3)),
                cost=np.where(blocked, np.inf, cost),
                peak=peak,
                inside=Hop(*RNG.random(2) / 3),
                across=tuple(Hop(*RNG.random(2) / 3) for _ in range(kinds)),
            )
        )
    most = min(sum(each.room for each in machines), layers)
    least = int(RNG.integers(1, most + 1))
    return Chain(
        machines=tuple(machines),
        first=int(RNG.integers(kinds)),
        least=least,
        most=int(RNG.integers(least, most + 1)),
        ends=tuple((float(a), float(b)) for a, b in RNG.random((kinds, 2)) - 0.5),
        order=order,
    )


def every_cut(chain: Chain) -> Iterator[tuple[float, float, tuple[tuple[int, int], ...]]]:
    kinds = range(len(chain.machines))
    for size in range(1, len(kinds) + 1):
        for order in itertools.permutations(kinds, size):
            if order[0] != chain.first or (chain.order != "any" and list(order) != sorted(order)):
                continue
            fixed = chain.order == "fixed"
            if fixed and list(order) != list(range(order[0], order[0] + size)):
                continue
            most = [chain.machines[kind].hosts for kind in order[:-1]]
            whole = [range(hosts if fixed else 1, hosts + 1) for hosts in most]
            for hosts in itertools.product(*whole):
                for last in range(1, chain.machines[order[-1]].room + 1):
                    used = [n * chain.machines[kind].slots for kind, n in zip(order, hosts, strict=False)] + [
                        last
                    ]
                    slots = [
                        (kind, place // chain.machines[kind].slots)
                        for kind, count in zip(order, used, strict=True)
                        for place in range(count)
                    ]
                    if chain.least <= len(slots) <= chain.most:
                        yield from cuts_of(chain, slots)


def cuts_of(
    chain: Chain, slots: list[tuple[int, int]]
) -> Iterator[tuple[float, float, tuple[tuple[int, int], ...]]]:
    inner = range(1, chain.layers)
    for marks in itertools.combinations(inner, len(slots) - 1):
        bounds = (0, *marks, chain.layers)
        total, peak = chain.ends[slots[-1][0]][len(set(slots)) > 1], 0.0
        for place, (kind, host) in enumerate(slots):
            machines = chain.machines[kind]
            hop = Hop(0.0, 0.0)
            if place + 1 < len(slots):
                hop = (
                    machines.inside
                    if slots[place + 1] == (kind, host)
                    else machines.across[slots[place + 1][0]]
                )
            end, held = bounds[place + 1], bounds[place + 1] - bounds[place]
            total += machines.cost[end, held - 1] + hop.total
            peak = max(peak, machines.peak[end, held - 1] + hop.peak)
        stages = tuple((slots[i][0], bounds[i + 1] - bounds[i]) for i in range(len(slots)))
        if total < math.inf:
            yield total, peak, stages


@pytest.mark.parametrize("order", ["any", "written", "fixed"])
@pytest.mark.parametrize("case", range(40))
def test_the_best_cut_is_the_best_of_all(order: Order, case: int) -> None:
    chain = random_chain(order)
    cuts = {stages: (total, peak) for total, peak, stages in every_cut(chain)}
    limit = float(RNG.random() * 2)
    within = min((total for total, peak in cuts.values() if peak <= limit), default=math.inf)
    found = cheapest_cut(chain, limit)
    assert (found.total if found else math.inf) == pytest.approx(within)
    if found:
        assert cuts[found.stages] == pytest.approx((found.total, found.peak))
    for factor in (0.5, 3.0):
        for value in (lambda t, p, f=factor: np.maximum(t, f * p), lambda t, p, f=factor: t + f * p):
            expected = min((float(value(t, p)) for t, p in cuts.values()), default=math.inf)
            best = best_cut([Problem(chain=chain, value=value, peaks_count=True)])
            assert (best[0] if best else math.inf) == pytest.approx(expected, rel=1e-12)


def test_only_better_cuts_than_a_known_one_count() -> None:
    chain = random_chain("any")
    found = best_cut([Problem(chain=chain, value=lambda t, p: t, peaks_count=False)])
    while found is None:
        chain = random_chain("any")
        found = best_cut([Problem(chain=chain, value=lambda t, p: t, peaks_count=False)])
    assert isinstance(found[2], Cut)
    assert best_cut([Problem(chain=chain, value=lambda t, p: t, peaks_count=False)], below=found[0]) is None
