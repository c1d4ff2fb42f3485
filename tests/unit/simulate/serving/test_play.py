"""Whether queues grow."""

from __future__ import annotations

import random

import pytest

from farthing.records.serving import Front, Moment, Objectives, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import fixed_times
from farthing.simulate.serving.play import is_growing
from farthing.simulate.serving.service import Deployment, Service
from farthing.simulate.serving.stream import Ask


def series(load: float, count: int, seed: int) -> tuple[Moment, ...]:
    """Of one server with fixed answers of a second, at such a share of what it can do."""
    chance = random.Random(seed)
    arrival_s, asks = 0.0, []
    for _ in range(count):
        arrival_s += chance.expovariate(load)
        asks.append(Ask(arrival_s, 1, 1, 1, 0, ()))
    measures = Measures(Objectives())
    machine = Machine(passes=fixed_times(1.0), kv_blocks=10)
    deployment = Deployment(machine=machine, replicas=1, scheduler=Scheduler(max_sequences=1))
    outcome = Service(deployment, Front(), measures).run(iter(asks))
    return measures.timeline.moments(outcome.span_s, 1, 10)


@pytest.mark.parametrize("count", [300, 1000, 5000])
def test_queues_of_too_much_load_grow(count: int) -> None:
    assert all(is_growing(series(1.6, count, seed)) for seed in range(10))


@pytest.mark.parametrize("count", [100, 1000, 5000])
@pytest.mark.parametrize("load", [0.2, 0.7])
def test_queues_of_little_load_do_not(load: float, count: int) -> None:
    assert not any(is_growing(series(load, count, seed)) for seed in range(10))


def test_a_little_too_much_shows_in_the_end() -> None:
    assert all(is_growing(series(1.1, 10_000, seed)) for seed in range(3))


def test_few_requests_tell_nothing() -> None:
    assert not is_growing(())
    assert not is_growing(series(2.0, 5, 1))
