"""Whatever is played against whatever deployment, nothing is lost and nothing is made up."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.property.random_services import (
    PREFIX_TOKENS,
    Played,
    pass_times,
    play,
    schedulers,
    some_asks,
    tight_blocks,
)

from farthing.records.serving import STATES, Front, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.replica import Replica
from farthing.simulate.serving.request import Request
from farthing.simulate.serving.service import RETRY_S, Deployment
from farthing.simulate.serving.stream import Ask

ROUTINGS = ("round-robin", "least-outstanding", "prefix-aware", "power-of-two")
HOST_S = 0.0007


@st.composite
def fronts(draw: DrawFn) -> Front:
    return Front(
        routing=draw(st.sampled_from(ROUTINGS)),
        queue_limit=draw(st.sampled_from((0, 0, 1, 3))),
        queue_timeout_s=draw(st.sampled_from((0.0, 0.0, 0.0001, 0.0713, 0.713))),
        timeout_s=draw(st.sampled_from((0.0, 0.0, 0.1931, 0.731))),
    )


@st.composite
def machines(draw: DrawFn, scheduler: Scheduler, asks: list[Ask], *, reads_only: bool = False) -> Machine:
    passes = draw(pass_times(drafts=not reads_only))
    lanes = draw(st.sampled_from((1, 1, 2, 3)))
    lockstep = lanes > 1 and draw(st.booleans())
    spare = draw(st.sampled_from((0, 0, 1, 3, 10, 1000)))
    blocks = tight_blocks(scheduler, passes, asks, spare)
    return Machine(
        passes=dataclasses.replace(passes, slowest_share=draw(st.sampled_from((0.5, 1.0)))),
        kv_blocks=blocks * lanes if lockstep else blocks,
        lanes=lanes,
        lockstep=lockstep,
        swap_s_per_block=draw(st.sampled_from((0.0, 0.0011))),
        reads_only=reads_only,
    )


@st.composite
def deployments(draw: DrawFn, asks: list[Ask], prefix_tokens: int) -> Deployment:
    scheduler = draw(schedulers())
    reading = draw(schedulers())
    reader = draw(machines(reading, asks, reads_only=True)) if draw(st.booleans()) else None
    return Deployment(
        machine=draw(machines(scheduler, asks)),
        replicas=draw(st.integers(1, 3)),
        scheduler=scheduler,
        reader=reader,
        readers=draw(st.integers(1, 2)) if reader else 0,
        reading=reading if reader else None,
        transfer_s=lambda tokens: 0.0021 * tokens,
        request_s=draw(st.sampled_from((0.0, HOST_S))),
        prefix_tokens=prefix_tokens,
    )


def replicas(played: Played) -> list[Replica]:
    return played.service._all


def check(played: Played, deployment: Deployment) -> None:
    """All that must hold of any run."""
    requests, outcome, measures = played.book.requests, played.outcome, played.measures
    # Each request ends once, in one of the states.
    assert sorted(request.number for request in requests) == list(range(outcome.offered))
    assert {request.state for request in requests} <= set(STATES)
    for state in STATES:
        assert outcome.ended.get(state, 0) == sum(request.state == state for request in requests)
    for replica in replicas(played):
        assert (replica.queued, replica.in_work, replica.admission.promised) == (0, 0, 0)
        assert replica.blocks.free == replica.blocks.total
        assert replica.due_s == math.inf, "nothing is left to do"
        for lane in replica.lanes:
            assert (lane.sequences, lane.context, lane.padding, lane.held) == (0, 0, 0, 0)
            assert not any((lane.members, lane.prompts, lane.fresh, lane.leaving, lane.recent))
    # Tokens, and the times between them.
    assert measures.tokens == sum(request.done for request in requests)
    for request in requests:
        check_request(request)
    told = [request for request in requests if request.done]
    assert measures.ttft.count == len(told)
    assert measures.itl.count == sum(request.done - 1 for request in told)
    gaps_s = sum(request.last_s - request.first_s for request in told)
    if deployment.machine.passes.yielded_tokens == 1:
        # Of a pass that yields several tokens some are thrown away at the end, its time is not.
        assert measures.itl.total == pytest.approx(gaps_s, rel=1e-9, abs=1e-9)
    moments = measures.timeline.moments(outcome.span_s, len(replicas(played)), 1)
    in_moments = sum(moment.tokens_per_s * (moment.end_s - moment.start_s) for moment in moments)
    assert in_moments == pytest.approx(measures.tokens, rel=1e-9, abs=1e-9)
    # Little's law, and the levels over time, against arrivals and ends that are counted here.
    ends = zip(requests, played.book.ends_s, strict=True)
    changes = sorted([(end_s, -1) for _, end_s in ends] + [(request.arrival_s, 1) for request in requests])
    levels = itertools.accumulate(change for _, change in changes)
    area = sum(
        level * (after - before)
        for level, (before, _), (after, _) in zip(levels, changes, changes[1:], strict=False)
    )
    if outcome.span_s:
        assert outcome.in_system == pytest.approx(area / outcome.span_s, rel=1e-6, abs=1e-9)
        assert outcome.in_system_by_little == pytest.approx(area / outcome.span_s, rel=1e-6, abs=1e-9)
    # Nobody works more than all the time, nor for ever.
    for busy_s in played.book.busy_s.values():
        assert busy_s <= outcome.span_s * (1 + 1e-9)
    work = sum((request.prompt + request.output) * (1 + request.preempted) for request in requests)
    assert played.book.passes <= 2 * work
    assert outcome.preemptions == sum(request.preempted for request in requests)


def check_request(request: Request) -> None:
    begun, first = request.started_s, request.first_s
    if request.state in ("finished", "cancelled"):
        assert request.done == request.written
    if request.done:
        assert 1 <= request.done <= request.written
        assert request.arrival_s <= begun + 1e-12
        assert begun < first <= request.last_s + 1e-12
    else:
        assert first != first


@settings(max_examples=600)
@given(st.data())
def test_nothing_is_lost(data: st.DataObject) -> None:
    prefix_tokens = data.draw(st.sampled_from((0, *PREFIX_TOKENS)), label="prefix tokens")
    asks = data.draw(some_asks(most=20, prefix_tokens=prefix_tokens), label="asks")
    deployment = data.draw(deployments(asks, prefix_tokens), label="deployment")
    front = data.draw(fronts(), label="front")
    played = play(deployment, asks, front, seed=3)
    assert played.outcome.offered == len(asks)
    check(played, deployment)
    again = play(deployment, asks, front, seed=3)
    assert again.outcome == played.outcome
    assert again.book.ends_s == played.book.ends_s


@settings(max_examples=100)
@given(st.data())
def test_users_stop_when_the_load_does(data: st.DataObject) -> None:
    asks = data.draw(some_asks(most=20).filter(bool), label="asks")
    deployment = data.draw(deployments(asks, 0), label="deployment")
    front = data.draw(fronts(), label="front")
    users = data.draw(st.integers(1, 5), label="users")
    think_s = data.draw(st.sampled_from((0.0, 0.05)), label="think")
    until_s = data.draw(st.sampled_from((0.0, 0.3, 3.0)), label="until")
    endless: Any = itertools.cycle(asks)
    played = play(deployment, endless, front, users=users, think_s=think_s, until_s=until_s)
    check(played, deployment)
    assert all(request.arrival_s < until_s for request in played.book.requests)
    assert think_s or (played.outcome.offered >= users) == (until_s > 0)
    # A user sends the next request once the one before has ended, and after a pause.
    for user in range(users):
        own = [
            (request, end_s)
            for request, end_s in zip(played.book.requests, played.book.ends_s, strict=True)
            if request.user == user
        ]
        own.sort(key=lambda pair: pair[0].arrival_s)
        for (one, end_s), (after, _) in itertools.pairwise(own):
            refused = one.state in ("too-long", "rejected")
            least_s = RETRY_S if refused else 0.0
            assert after.arrival_s >= end_s + least_s
            assert think_s or after.arrival_s == end_s + least_s


@settings(max_examples=100)
@given(st.data())
def test_the_first_token_takes_the_passes_of_its_prompt(data: st.DataObject) -> None:
    asks = data.draw(some_asks(most=20), label="asks")
    deployment = data.draw(deployments(asks, 0), label="deployment")
    played = play(deployment, asks)
    scheduler = deployment.reading or deployment.scheduler
    read_s = (deployment.reader or deployment.machine).passes.read_s
    decode_s = min(deployment.machine.passes.written_s[1:]) if deployment.reader else 0.0
    for request in played.book.requests:
        if not request.done:
            continue
        pieces = -(-request.prompt // scheduler.token_budget) if scheduler.chunks else 1
        alone_s = pieces * read_s[0] + request.prompt * (read_s[1] - read_s[0]) + deployment.request_s
        if deployment.reader:
            alone_s += deployment.transfer_s(request.prompt) + decode_s
        assert request.first_s - request.arrival_s >= alone_s * (1 - 1e-9)


@settings(max_examples=100)
@given(st.data())
def test_more_of_anything_loses_nobody(data: st.DataObject) -> None:
    """Without limits of patience all that fit are answered: with more cache, replicas or time no fewer."""
    asks = data.draw(some_asks(most=20), label="asks")
    deployment = data.draw(deployments(asks, 0), label="deployment")
    fewer = dataclasses.replace(deployment.machine, kv_blocks=max(1, deployment.machine.kv_blocks // 2))
    tight = dataclasses.replace(deployment, machine=fewer)

    def answered(of: Deployment, load: list[Ask]) -> int:
        ended = play(of, load).outcome.ended
        assert set(ended) <= {"finished", "cancelled", "too-long"}
        return len(load) - ended.get("too-long", 0)

    base = answered(tight, asks)
    assert answered(deployment, asks) >= base
    assert answered(dataclasses.replace(tight, replicas=tight.replicas + 1), asks) == base
    later = [ask._replace(arrival_s=2 * ask.arrival_s + 1.0) for ask in asks]
    assert answered(tight, later) == base
