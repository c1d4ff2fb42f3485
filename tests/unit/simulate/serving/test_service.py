"""The whole service, with passes of a second: what stands before and between the replicas."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import tracemalloc
from typing import Any

import pytest
from tests.property.random_services import Played, play

from farthing.errors import FarthingError
from farthing.records.serving import Front, Objectives, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import fixed_times
from farthing.simulate.serving.service import RETRY_S, Deployment, Service
from farthing.simulate.serving.stream import Ask

MACHINE = Machine(passes=fixed_times(1.0), kv_blocks=1000)
ALONE = Deployment(
    machine=MACHINE,
    replicas=1,
    scheduler=Scheduler(max_sequences=1, block_tokens=1, token_budget=100, prefix_caching=False),
)
APART = dataclasses.replace(
    ALONE,
    reader=dataclasses.replace(MACHINE, reads_only=True),
    readers=1,
    scheduler=dataclasses.replace(ALONE.scheduler, max_sequences=8),
    transfer_s=lambda tokens: 0.25 * tokens,
)


def ask(arrival_s: float, prompt: int = 1, output: int = 1) -> Ask:
    return Ask(arrival_s, prompt, output, output, 0, ())


def told(played: Played) -> list[tuple[str, float, float]]:
    """Of each request in order of arrival: state, first token, end [s]."""
    pairs = sorted(
        zip(played.book.requests, played.book.ends_s, strict=True), key=lambda pair: pair[0].number
    )
    return [(request.state, request.first_s, end_s) for request, end_s in pairs]


def test_no_request() -> None:
    outcome = play(ALONE, []).outcome
    assert (outcome.offered, outcome.ended, outcome.span_s) == (0, {}, 0.0)
    assert (outcome.in_system, outcome.in_system_by_little) == (0.0, 0.0)


def test_one_request() -> None:
    played = play(ALONE, [ask(3, 1, 4)])
    assert told(played) == [("finished", 4, 7)]
    assert (played.outcome.span_s, played.outcome.in_system) == (7, pytest.approx(4 / 7))


def test_the_host_takes_its_time_first() -> None:
    played = play(dataclasses.replace(ALONE, request_s=0.25), [ask(3, 1, 4)])
    assert told(played) == [("finished", 4.25, 7.25)]
    assert played.measures.ttft.total == 1.25
    assert played.outcome.in_system == pytest.approx(4.25 / 7.25)


def test_queues_have_limits() -> None:
    played = play(ALONE, [ask(0), ask(0.5), ask(0.6), ask(0.7)], Front(queue_limit=2))
    assert [state for state, _, _ in told(played)] == ["finished", "finished", "finished", "rejected"]
    assert told(played)[3][2] == 0.7


def test_patience_ends_in_the_queue_or_anywhere() -> None:
    load = [ask(0, 1, 3), ask(0.5), ask(2.75)]
    assert told(play(ALONE, load, Front(queue_timeout_s=2)))[1][::2] == ("timed-out", 2.5)
    ends = [(state, end_s) for state, _, end_s in told(play(ALONE, load, Front(timeout_s=2.25)))]
    assert ends == [("timed-out", 3), ("timed-out", 2.75), ("finished", 4)]


def test_patience_that_ends_before_the_host_is_through() -> None:
    slow = dataclasses.replace(ALONE, request_s=1.0)
    played = play(slow, [ask(0), ask(0)], Front(queue_timeout_s=0.5))
    assert [state for state, _, _ in told(played)] == ["timed-out", "timed-out"]
    assert [end_s for _, _, end_s in told(played)] == [1.0, 1.0]


def test_prompts_are_handed_over_one_at_a_time() -> None:
    """Both are read by 1 and 2, sent by 2 and 3, and written by passes that begin then."""
    played = play(APART, [ask(0, 4, 2), ask(0, 4, 2)])
    assert told(played) == [("finished", 3, 4), ("finished", 4, 5)]
    quick = play(
        dataclasses.replace(APART, reading=dataclasses.replace(ALONE.scheduler, max_sequences=8)),
        [ask(0, 4, 2), ask(0, 4, 2)],
    )
    assert told(quick) == [("finished", 3, 4), ("finished", 4, 5)]
    assert quick.measures.tokens == 4


def test_each_reader_has_its_link() -> None:
    played = play(dataclasses.replace(APART, readers=2), [ask(0, 4, 2), ask(0, 4, 2)])
    assert told(played) == [("finished", 3, 4), ("finished", 3, 4)]


@pytest.mark.parametrize(("timeout_s", "end_s"), [(0.5, 1.0), (1.5, 1.5), (2.5, 3.0), (3.5, 4.0)])
def test_patience_ends_on_the_way(timeout_s: float, end_s: float) -> None:
    """While it is read, on the way, in its first pass there, and in a later one."""
    played = play(APART, [ask(0, 4, 9)], Front(timeout_s=timeout_s))
    assert told(played)[0][::2] == ("timed-out", end_s)


def test_a_prompt_must_fit_both_sides() -> None:
    small = dataclasses.replace(MACHINE, kv_blocks=10)
    states = [
        told(play(deployment, [ask(0, 8, 4)]))[0][0]
        for deployment in (
            dataclasses.replace(APART, reader=dataclasses.replace(small, reads_only=True)),
            dataclasses.replace(APART, machine=small),
            dataclasses.replace(APART, machine=dataclasses.replace(small, kv_blocks=12)),
        )
    ]
    assert states == ["finished", "too-long", "finished"]


def test_a_hand_over_has_the_same_context_as_a_prompt_read_there() -> None:
    """The last token of the prompt is computed where the answer is written, and needs no block beyond."""
    passes = fixed_times(1.0, slope_s=0.5)
    apart = dataclasses.replace(
        APART,
        machine=dataclasses.replace(MACHINE, passes=passes, kv_blocks=10),
        transfer_s=lambda tokens: 0.0,
    )
    played = play(apart, [ask(0, 8, 2)])
    assert told(played) == [("finished", 1 + 1 + 3.5, 1 + 4.5 + 1 + 4)]


def test_users_wait_for_their_answers() -> None:
    played = play(ALONE, [ask(0)] * 4, users=1)
    assert [request.arrival_s for request in played.book.requests] == [0, 1, 2, 3]


def test_users_pause_for_times_of_their_own() -> None:
    played = play(ALONE, [ask(0)] * 4000, users=1, think_s=2.0)
    sent = [request.arrival_s for request in played.book.requests]
    pauses = [later - earlier - 1 for earlier, later in itertools.pairwise(sent)]
    # Exponential: the mean is the deviation, and both are within four standard errors of it.
    assert min(pauses) > 0
    assert statistics.mean(pauses) == pytest.approx(2.0, rel=4 / 4000**0.5)
    assert statistics.stdev(pauses) == pytest.approx(2.0, rel=6 / 4000**0.5)


def test_users_stop_when_the_time_is_over() -> None:
    endless: Any = itertools.repeat(ask(0))
    played = play(ALONE, endless, users=2, until_s=5.0)
    assert {request.arrival_s for request in played.book.requests} == {0, 1, 2, 3, 4}
    assert played.outcome.span_s == 6


def test_users_who_are_refused_pause() -> None:
    endless: Any = itertools.repeat(ask(0, 2000))
    played = play(ALONE, endless, users=1, until_s=3.5)
    assert [request.arrival_s for request in played.book.requests] == [0, RETRY_S, 2 * RETRY_S, 3 * RETRY_S]


def test_a_request_that_ends_twice_is_a_fault() -> None:
    service = Service(ALONE, Front(), Measures(Objectives()))
    played = play(ALONE, [ask(0)])
    with pytest.raises(FarthingError, match="request 0 ended as finished and rejected"):
        service._finish(played.book.requests[0], 1.0, "rejected")


def test_lost_blocks_are_a_fault() -> None:
    service = Service(ALONE, Front(), Measures(Objectives()))
    service.replicas[0].blocks.free -= 3  # type: ignore[misc]
    with pytest.raises(FarthingError, match="3 blocks of replica 0 were not freed"):
        service.run(iter([ask(0)]))


def test_memory_does_not_grow_with_the_requests() -> None:
    def most(count: int) -> int:
        service = Service(ALONE, Front(timeout_s=50.0), Measures(Objectives()))
        tracemalloc.start()
        service.run(ask(1.25 * number) for number in range(count))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(8000) < 1.5 * most(2000)
