"""Which replica gets a request."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from farthing.simulate.serving.replica import Replica
from farthing.simulate.serving.request import Request
from farthing.simulate.serving.router import OVERLOAD, router

ONE = Request(0, 0.0, 100, 10)


class Cache:
    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def matched(self, request: Request) -> int:
        return self.tokens


class Stub:
    """What a router sees of a replica."""

    def __init__(self, number: int, outstanding: int, tokens: int = 0) -> None:
        self.number, self.outstanding, self.blocks = number, outstanding, Cache(tokens)


def replicas(*loads: int, tokens: tuple[int, ...] = ()) -> list[Replica]:
    found = [Stub(number, load, (tokens or loads)[number]) for number, load in enumerate(loads)]
    return cast(list[Replica], found)


@pytest.mark.parametrize("routing", ["round-robin", "least-outstanding", "prefix-aware", "power-of-two"])
def test_one_replica_gets_all(routing: Any) -> None:
    (only,) = replicas(7)
    assert router(routing, [only], 1)(ONE) is only


def test_each_in_turn() -> None:
    route = router("round-robin", replicas(9, 0, 5), 1)
    assert [route(ONE).number for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_the_least_busy() -> None:
    assert router("least-outstanding", replicas(3, 1, 2, 1), 1)(ONE).number == 1


def test_the_better_of_two_drawn() -> None:
    """Of pairs of four, the busiest is never the better one; the others win three, two and one of six."""
    route = router("power-of-two", replicas(0, 1, 2, 3), 5)
    won = Counter(route(ONE).number for _ in range(6000))
    assert won[3] == 0
    assert [won[number] / 1000 for number in range(3)] == pytest.approx([3, 2, 1], abs=0.15)
    again = router("power-of-two", replicas(0, 1, 2, 3), 5)
    other = router("power-of-two", replicas(0, 1, 2, 3), 6)
    first = [again(ONE).number for _ in range(50)]
    assert first != [other(ONE).number for _ in range(50)]
    anew = router("power-of-two", replicas(0, 1, 2, 3), 5)
    assert first == [anew(ONE).number for _ in range(50)]


def test_where_the_beginning_is() -> None:
    assert router("prefix-aware", replicas(2, 2, 2, tokens=(0, 64, 32)), 1)(ONE).number == 1
    assert router("prefix-aware", replicas(2, 1, 2, tokens=(64, 64, 32)), 1)(ONE).number == 1, "the less busy"
    assert router("prefix-aware", replicas(2, 2, tokens=(0, 0)), 1)(ONE).number == 0


def test_a_popular_beginning_spreads() -> None:
    """With 0 and 0 elsewhere, the limit is 1.5 x (load / 3 + 1): 3 is within it, 4 is not."""
    assert OVERLOAD == 1.5
    assert router("prefix-aware", replicas(3, 0, 0, tokens=(64, 0, 0)), 1)(ONE).number == 0
    assert router("prefix-aware", replicas(4, 0, 0, tokens=(64, 0, 0)), 1)(ONE).number == 1
