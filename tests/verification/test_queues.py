"""The serving simulation against the closed forms of queueing theory.

With passes of a fixed time and so many sequences at most, a replica is a queue with as many servers. Each
figure must lie within its 99.9% confidence interval: Student's t over independent replications with fixed
seeds, of which the interval must be narrow enough to tell one formula from another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from farthing.records.serving import Front, Objectives, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import fixed_times
from farthing.simulate.serving.service import Deployment, Outcome, Service
from farthing.simulate.serving.stream import Ask

REPLICATIONS = 10
T_999 = 4.781
"""Of Student's t with nine degrees of freedom: 99.9% lie between -T and T."""
SERVICE_S = 1.0
TOKENS = 1000
"""Of a mean answer whose length is geometric: its passes take nearly exponential time."""


def asks(rate: float, count: int, seed: int, *, exponential: bool) -> Iterator[Ask]:
    draws = np.random.default_rng(seed)
    times = np.cumsum(draws.exponential(1 / rate, count)) if rate else np.zeros(count)
    lengths = draws.geometric(1 / TOKENS, count) if exponential else np.ones(count, int)
    for time, length in zip(times.tolist(), lengths.tolist(), strict=True):
        yield Ask(time, 1, length, length, 0, ())


def run(
    load: Iterator[Ask], servers: int, *, pass_s: float, users: int = 0, think_s: float = 0.0
) -> tuple[Measures, Outcome]:
    deployment = Deployment(
        machine=Machine(passes=fixed_times(pass_s, sequences=servers), kv_blocks=10**9),
        replicas=1,
        scheduler=Scheduler(max_sequences=servers, token_budget=1000, prefix_caching=False),
    )
    measures = Measures(Objectives())
    outcome = Service(deployment, Front(), measures, users=users, think_s=think_s).run(load)
    assert set(outcome.ended) == {"finished"}
    return measures, outcome


def agrees(samples: list[float], expected: float, *, width: float) -> None:
    """The expected value lies within the interval, whose half is no wider than a share of it."""
    mean = float(np.mean(samples))
    half = T_999 * float(np.std(samples, ddof=1)) / math.sqrt(len(samples))
    assert half <= width * expected, f"too wide to tell anything: {mean:.4f} +- {half:.4f}"
    assert abs(mean - expected) <= half, f"{mean:.4f} +- {half:.4f}, not {expected:.4f}"


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_fixed_answers_wait_as_in_m_d_1(load: float) -> None:
    """Waiting rho S / 2 (1 - rho), in the system rho + rho^2 / 2 (1 - rho)."""
    waits_s, present = [], []
    for seed in range(REPLICATIONS):
        found = asks(load / SERVICE_S, 5000, seed, exponential=False)
        measures, outcome = run(found, 1, pass_s=SERVICE_S)
        waits_s.append(measures.queue.total / measures.queue.count)
        present.append(outcome.in_system)
    # Kleinrock, L., Queueing Systems, Volume 1: Theory, Wiley 1975, section 5.6 (Pollaczek and Khinchin).
    agrees(waits_s, load * SERVICE_S / (2 * (1 - load)), width=0.15)
    agrees(present, load + load**2 / (2 * (1 - load)), width=0.1)


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_geometric_answers_wait_as_in_m_m_1(load: float) -> None:
    """Waiting rho S / (1 - rho), in the system rho / (1 - rho)."""
    waits_s, present = [], []
    for seed in range(REPLICATIONS):
        found = asks(load / SERVICE_S, 5000, seed, exponential=True)
        measures, outcome = run(found, 1, pass_s=SERVICE_S / TOKENS)
        waits_s.append(measures.queue.total / measures.queue.count)
        present.append(outcome.in_system)
    # Kleinrock 1975, section 3.2.
    agrees(waits_s, load * SERVICE_S / (1 - load), width=0.25)
    agrees(present, load / (1 - load), width=0.2)


def erlang_c(servers: int, offered: float) -> float:
    """Probability that all servers are busy."""
    terms = [offered**count / math.factorial(count) for count in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - offered / servers)
    return last / (sum(terms) + last)


def test_erlang_c() -> None:
    assert erlang_c(1, 0.6) == pytest.approx(0.6)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("servers", "load"), [(3, 0.6), (8, 0.8)])
def test_batches_wait_as_in_m_m_c(servers: int, load: float) -> None:
    """Waiting C S / c (1 - rho) with Erlang's C, in the system c rho + rate x waiting."""
    waits_s, present = [], []
    rate = servers * load / SERVICE_S
    for seed in range(REPLICATIONS):
        found = asks(rate, 8000, seed, exponential=True)
        measures, outcome = run(found, servers, pass_s=SERVICE_S / TOKENS)
        waits_s.append(measures.queue.total / measures.queue.count)
        present.append(outcome.in_system)
    # Kleinrock 1975, section 3.5. Who finds a place free waits for the end of the pass under way.
    wait_s = erlang_c(servers, servers * load) * SERVICE_S / (servers * (1 - load))
    wait_s += SERVICE_S / TOKENS / 2
    agrees(waits_s, wait_s, width=0.3)
    agrees(present, servers * load + rate * wait_s, width=0.1)


@pytest.mark.parametrize(("users", "think_s"), [(3, 4.0), (6, 5.0)])
def test_users_wait_as_machines_for_repair(users: int, think_s: float) -> None:
    """Of K users n are waiting with probability p0 K! / (K - n)! (S / Z)^n: rate (1 - p0) / S, and answers
    take K / rate - Z. It holds for thinking times of any distribution."""
    rates, answers_s = [], []
    for seed in range(REPLICATIONS):
        found = asks(0.0, 4000, seed, exponential=True)
        measures, outcome = run(found, 1, pass_s=SERVICE_S / TOKENS, users=users, think_s=think_s)
        rates.append(outcome.offered / outcome.span_s)
        answers_s.append(measures.e2e.total / measures.e2e.count)
    # Kleinrock 1975, section 3.8; any distribution: Baskett, Chandy, Muntz and Palacios 1975, type 3 centres.
    ratio = SERVICE_S / think_s
    weights = [math.perm(users, count) * ratio**count for count in range(users + 1)]
    rate = (1 - weights[0] / sum(weights)) / SERVICE_S
    agrees(rates, rate, width=0.04)
    agrees(answers_s, users / rate - think_s, width=0.1)


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_littles_law(load: float) -> None:
    """Requests in the system, counted over time, are the rate times the mean time of each."""
    measures, outcome = run(asks(load, 3000, 5, exponential=True), 1, pass_s=SERVICE_S / TOKENS)
    rate = outcome.offered / outcome.span_s
    # Little, J. D. C., Operations Research 9 (1961) 383.
    assert outcome.in_system == pytest.approx(rate * measures.e2e.total / measures.e2e.count, rel=1e-9)
    assert outcome.in_system_by_little == pytest.approx(outcome.in_system, rel=1e-9)
