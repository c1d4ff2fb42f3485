"""The highest rate that keeps the objectives, and the fewest replicas for a rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from farthing.errors import Infeasible, InvalidInput
from farthing.records.serving import Objectives, ServingResult, Traffic, Try
from farthing.simulate.serving.deployed import Deployed
from farthing.simulate.serving.play import LOST
from farthing.units import format_seconds

CLOSENESS: Final = 0.02
"""Of the rate: the one found keeps the objectives, one so much higher does not."""
MOST_REPLICAS: Final = 65_536

Play = Callable[[Deployed, Traffic], ServingResult]


def find_rate(deployed: Deployed, traffic: Traffic, objectives: Objectives, play: Play) -> ServingResult:
    """The run at the highest rate at which enough requests are good and no queue grows.

    Raises
    ------
    InvalidInput
        Where nothing is asked of a request, or the load has no rate.
    Infeasible
        Where a request that is alone on the service already misses them.
    """
    _check(objectives, traffic)
    tries: list[Try] = []

    def at(rate: float) -> ServingResult:
        result = play(deployed, dataclasses.replace(traffic, requests_per_s=rate))
        tries.append(_tried(rate, deployed.replicas, result))
        return result

    rate = traffic.requests_per_s or 1.0
    result = at(rate)
    best: ServingResult | None = None
    low, high = 0.0, 0.0
    while True:
        if not result.breaks:
            best, low = result, rate
            if high:
                break
            rate *= 2
            if rate > 1e6:
                break
        else:
            high = rate
            if low:
                break
            rate /= 4
            if rate < 1e-5:
                raise Infeasible(_why(result, objectives))
        result = at(rate)
    while high and high / low > 1 + CLOSENESS:
        rate = (low * high) ** 0.5
        result = at(rate)
        if not result.breaks:
            best, low = result, rate
        else:
            high = rate
    if best is None:
        raise Infeasible(_why(result, objectives))
    return dataclasses.replace(best, tries=tuple(tries))


def find_replicas(deployed: Deployed, traffic: Traffic, objectives: Objectives, play: Play) -> ServingResult:
    """The run with the fewest replicas that keep the objectives at a rate.

    Raises
    ------
    InvalidInput
        Where nothing is asked of a request, or the load has no rate.
    Infeasible
        Where no number of replicas keeps them.
    """
    _check(objectives, traffic)
    if deployed.prefill is not None:
        raise InvalidInput("the fewest replicas are sought of like ones; of two sides find the rate instead")
    tries: list[Try] = []

    def of(count: int) -> ServingResult:
        sized = dataclasses.replace(deployed, replicas=count)
        result = play(sized, traffic)
        tries.append(_tried(result.requests_per_s, sized.replicas, result))
        return result

    low, count = 0, 1
    result = of(count)
    while result.breaks:
        low, count = count, count * 2
        if count > MOST_REPLICAS or count > 2 * max(result.offered, 1):
            raise Infeasible(_why(result, objectives))
        result = of(count)
    best, high = result, count
    while high - low > 1:
        count = (low + high) // 2
        result = of(count)
        if not result.breaks:
            best, high = result, count
        else:
            low = count
    return dataclasses.replace(best, tries=tuple(tries))


def _check(objectives: Objectives, traffic: Traffic) -> None:
    if not objectives.any:
        raise InvalidInput("say what a request must keep: ttft_s, tpot_s or e2e_s")
    if traffic.arrivals == "closed":
        raise InvalidInput(
            "users who wait for their answers set the rate themselves: take poisson, gamma, diurnal or trace"
        )


def _tried(rate: float, replicas: int, result: ServingResult) -> Try:
    return Try(requests_per_s=rate, replicas=replicas, good_share=result.good_share, breaks=result.breaks)


def _why(result: ServingResult, objectives: Objectives) -> str:
    """What stands in the way even with next to no load."""
    if not result.offered:
        return "no request came before the load ended; give it more time"
    reached = []
    for name, limit, spread in (
        ("to the first token", objectives.ttft_s, result.ttft_s),
        ("between tokens", objectives.tpot_s, result.tpot_s),
        ("to the whole answer", objectives.e2e_s, result.e2e_s),
    ):
        if limit and spread.count:
            reached.append(f"{format_seconds(spread.p99)} {name} (asked: {format_seconds(limit)})")
    asked = f"{100 * objectives.share:.4g}% of the requests"
    said = f"{result.model} on {result.cluster}: no load keeps the objectives for {asked}"
    if lost := {state: count for state, count in result.ended.items() if state in LOST}:
        said += f"; {', '.join(f'{count:,} of {result.offered:,} {state}' for state, count in lost.items())}"
    if reached:
        said += f"; nearly alone, the slowest hundredth takes {', '.join(reached)}"
    return f"{said}; allow more time, or take faster cards or more of them for a replica (tp)"
