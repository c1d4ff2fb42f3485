"""What is told of requests: from which on, and which of them are good."""

from __future__ import annotations

import math

import pytest

from farthing.records.serving import Front, Objectives, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import fixed_times
from farthing.simulate.serving.request import Request
from farthing.simulate.serving.service import Deployment, Service
from farthing.simulate.serving.stream import Ask


def ended(*, output: int = 5, first_s: float = 2.0, last_s: float = 6.0, state: str = "finished") -> Request:
    request = Request(0, 0.0, 10, output)
    request.started_s, request.first_s, request.last_s = 1.0, first_s, last_s
    request.done, request.state = output, state
    return request


@pytest.mark.parametrize(
    ("objectives", "good"),
    [
        (Objectives(), 1),
        (Objectives(ttft_s=2.0, tpot_s=1.0, e2e_s=6.0), 1),
        (Objectives(ttft_s=1.9), 0),
        (Objectives(tpot_s=0.9), 0),
        (Objectives(e2e_s=5.9), 0),
    ],
)
def test_good_is_who_keeps_all_objectives(objectives: Objectives, good: int) -> None:
    measures = Measures(objectives)
    measures.ended(ended(), 6.0)
    assert (measures.good, measures.judged) == (good, 1)
    assert measures.e2e.total == 6.0
    assert measures.tpot.total == 1.0


@pytest.mark.parametrize("state", ["timed-out", "rejected", "too-long"])
def test_who_is_not_answered_is_not_good(state: str) -> None:
    measures = Measures(Objectives(ttft_s=100.0))
    measures.ended(ended(state=state), 6.0)
    assert (measures.good, measures.judged, measures.e2e.count) == (0, 1, 0)


def test_one_token_has_no_time_between() -> None:
    request = ended(output=1, last_s=2.0)
    assert math.isnan(request.tpot_s)
    measures = Measures(Objectives(tpot_s=1e-9))
    measures.ended(request, 2.0)
    assert (measures.good, measures.tpot.count) == (1, 0)


def test_the_warm_up_counts_in_no_latency() -> None:
    measures = Measures(Objectives(), warm_up=3)
    machine = Machine(passes=fixed_times(1.0), kv_blocks=100)
    service = Service(Deployment(machine=machine, replicas=1, scheduler=Scheduler()), Front(), measures)
    service.run(iter([Ask(10.0 * number, 1, 2, 2, 0, ()) for number in range(5)]))
    counts = {one.count for one in (measures.ttft, measures.tpot, measures.e2e, measures.queue)}
    assert counts == {2}
    assert (measures.judged, measures.tokens) == (2, 10)
