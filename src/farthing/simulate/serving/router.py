"""Which replica gets a request."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from farthing.records.serving import Routing
from farthing.simulate.serving.replica import Replica
from farthing.simulate.serving.request import Request

Router = Callable[[Request], Replica]

OVERLOAD = 1.5
"""A replica with more than so many times the mean of unanswered requests gets none for its cache's sake."""


def router(routing: Routing, replicas: Sequence[Replica], seed: int) -> Router:
    """The rule that sends each request to one of the replicas.

    ``prefix-aware`` takes the replica that has most of the prompt in its cache, of equal ones the least busy;
    replicas that have far more to do than the others are left out, so that a popular beginning spreads.
    ``power-of-two`` draws two and takes the less busy [mitzenmacher-2001].
    """
    if len(replicas) == 1:
        only = replicas[0]
        return lambda request: only
    if routing == "round-robin":
        return _round_robin(replicas)
    if routing == "power-of-two":
        return _power_of_two(replicas, seed)
    if routing == "prefix-aware":
        return _prefix_aware(replicas)
    return lambda request: min(replicas, key=_load)


def _load(replica: Replica) -> int:
    return replica.outstanding


def _round_robin(replicas: Sequence[Replica]) -> Router:
    turn = -1

    def route(request: Request) -> Replica:
        nonlocal turn
        turn = (turn + 1) % len(replicas)
        return replicas[turn]

    return route


def _power_of_two(replicas: Sequence[Replica], seed: int) -> Router:
    draw = random.Random(seed).random
    count = len(replicas)

    def route(request: Request) -> Replica:
        first = int(draw() * count)
        second = int(draw() * (count - 1))
        second += second >= first
        one, other = replicas[first], replicas[second]
        return one if _load(one) <= _load(other) else other

    return route


def _prefix_aware(replicas: Sequence[Replica]) -> Router:
    def route(request: Request) -> Replica:
        loads = [_load(replica) for replica in replicas]
        most = OVERLOAD * (sum(loads) / len(loads) + 1)
        best = min(loads)
        able = [
            (-replica.blocks.matched(request), load, replica.number, replica)
            for replica, load in zip(replicas, loads, strict=True)
            if load <= most or load == best
        ]
        return min(able)[3]

    return route
