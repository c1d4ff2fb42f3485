"""Searches for a rate and for a number of replicas, over services that are good up to a known load."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from farthing.errors import Infeasible, InvalidInput
from farthing.records.serving import Moment, Objectives, ServingResult, Spread, Traffic
from farthing.simulate.serving.deployed import Deployed
from farthing.simulate.serving.rate import CLOSENESS, find_rate, find_replicas

ASKED = Objectives(ttft_s=1.0, share=0.9)


@dataclasses.dataclass(frozen=True)
class Stub:
    """What a search sees of a deployment, and of a run of it."""

    replicas: int = 1
    prefill: Any = None


@dataclasses.dataclass(frozen=True)
class Run:
    traffic: Traffic
    replicas: int
    good_share: float
    offered: int
    series: tuple[Moment, ...]
    model: str = "a model"
    cluster: str = "a cluster"
    ttft_s: Spread = dataclasses.field(default=Spread(count=1, mean=2.0, p50=2.0, p90=2.0, p99=2.5, most=3.0))
    tpot_s: Any = None
    e2e_s: Any = None
    tries: tuple[Any, ...] = ()
    ended: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def breaks(self) -> str:
        if self.good_share < ASKED.share:
            return "ttft"
        return "queue" if self.series else ""

    @property
    def requests_per_s(self) -> float:
        return self.traffic.requests_per_s


GROWING = tuple(
    Moment(
        start_s=index,
        end_s=index + 1,
        requests_per_s=10,
        tokens_per_s=1,
        sequences=1,
        waiting=5.0 * index,
        kv_share=0.1,
        busy_share=1,
        ttft_s=1,
    )
    for index in range(30)
)


class Service:
    """Good up to so much a replica; beyond, requests are late or queues grow."""

    def __init__(self, each: float, *, grows: bool = False) -> None:
        self.each, self.grows = each, grows
        self.played: list[tuple[float, int]] = []

    def __call__(self, deployed: Deployed, traffic: Traffic) -> ServingResult:
        rate = traffic.requests_per_s
        self.played.append((rate, deployed.replicas))
        good = rate <= self.each * deployed.replicas
        found = Run(
            traffic=traffic,
            replicas=deployed.replicas,
            good_share=0.95 if good or self.grows else 0.85,
            offered=1000,
            series=() if good else GROWING if self.grows else (),
        )
        return cast(ServingResult, found)


def one(replicas: int = 1, prefill: Any = None) -> Deployed:
    return cast(Deployed, Stub(replicas, prefill))


@pytest.mark.parametrize("limit", [0.003, 0.9, 1.0, 37.5, 5000.0])
@pytest.mark.parametrize("start", [0.0, 1.0, 80.0])
@pytest.mark.parametrize("grows", [False, True])
def test_the_highest_rate_is_found(limit: float, start: float, grows: bool) -> None:
    service = Service(limit, grows=grows)
    traffic = Traffic(requests_per_s=start or 1.0)
    found = find_rate(one(), traffic, ASKED, service)
    assert limit / (1 + CLOSENESS) <= found.traffic.requests_per_s <= limit
    assert [(tried.requests_per_s, tried.replicas) for tried in found.tries] == service.played
    assert len(service.played) < 35
    shares = {tried.requests_per_s <= limit: tried.good_share for tried in found.tries}
    assert shares[True] == 0.95
    assert grows or shares.get(False, 0.85) == 0.85


def test_no_rate_keeps_them() -> None:
    with pytest.raises(
        Infeasible, match=r"a model on a cluster: no load .* 90% .* 2\.50 s to the first token"
    ):
        find_rate(one(), Traffic(requests_per_s=1.0), ASKED, Service(0.0))


@pytest.mark.parametrize("rate", [0.5, 1.0, 7.0, 8.0, 100.0, 511.0])
def test_the_fewest_replicas_are_found(rate: float) -> None:
    service = Service(1.0)
    found = find_replicas(one(), Traffic(requests_per_s=rate), ASKED, service)
    assert found.replicas == max(1, -(-rate // 1))
    assert [tried.replicas for tried in found.tries] == [count for _, count in service.played]
    assert len(service.played) <= 20


def test_no_number_of_replicas_keeps_them() -> None:
    service = Service(0.0)
    with pytest.raises(Infeasible, match="no load keeps the objectives"):
        find_replicas(one(), Traffic(requests_per_s=1.0), ASKED, service)
    assert max(count for _, count in service.played) <= 2000, "more replicas than requests are of no use"


@pytest.mark.parametrize("search", [find_rate, find_replicas])
def test_questions_that_make_no_sense(search: Any) -> None:
    with pytest.raises(InvalidInput, match="say what a request must keep"):
        search(one(), Traffic(requests_per_s=1.0), Objectives(), Service(1.0))
    with pytest.raises(InvalidInput, match="set the rate themselves"):
        search(one(), Traffic(arrivals="closed", users=3), ASKED, Service(1.0))


def test_of_two_sides_no_number_is_sought() -> None:
    with pytest.raises(InvalidInput, match="find the rate instead"):
        find_replicas(one(prefill=object()), Traffic(requests_per_s=1.0), ASKED, Service(1.0))
