"""What a replica does pass by pass, with passes of a second: each case is worked by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.property.random_services import Played, one_replica, play

from farthing.records.serving import Front, Scheduler
from farthing.simulate.serving.passes import PassTimes, fixed_times
from farthing.simulate.serving.stream import Ask

SECOND = fixed_times(1.0)
BY_TOKEN = dataclasses.replace(SECOND, read_s=[1.0 + 0.1 * tokens for tokens in range(1000)])
USUAL: dict[str, Any] = {
    "token_budget": 100,
    "max_sequences": 8,
    "block_tokens": 1,
    "prefix_caching": False,
}


def ask(
    arrival_s: float,
    prompt: int,
    output: int,
    *,
    written: int = 0,
    priority: int = 0,
    prefix: tuple[int, ...] = (),
) -> Ask:
    return Ask(arrival_s, prompt, output, written or output, priority, prefix)


def run(
    *asks: Ask,
    blocks: int = 1000,
    passes: PassTimes = SECOND,
    front: Front | None = None,
    machine: dict[str, Any] | None = None,
    prefix_tokens: int = 0,
    **scheduler: Any,
) -> Played:
    limits = Scheduler(**{**USUAL, **scheduler})
    deployment = one_replica(limits, passes, blocks, prefix_tokens=prefix_tokens, **(machine or {}))
    return play(deployment, list(asks), front)


def times(played: Played) -> list[tuple[float, float, float]]:
    """Of each request in order of arrival: first pass, first token, end [s]."""
    found = zip(played.book.requests, played.book.ends_s, strict=True)
    ordered = sorted(found, key=lambda pair: pair[0].number)
    return [(request.started_s, request.first_s, end_s) for request, end_s in ordered]


def states(played: Played) -> list[str]:
    ordered = sorted(played.book.requests, key=lambda request: request.number)
    return [request.state for request in ordered]


# How passes are put together ------------------------------------------------------------------------------


def test_prompts_are_read_beside_answers() -> None:
    played = run(ask(0, 2, 3), ask(0.5, 2, 2))
    assert times(played) == [(0, 1, 3), (1, 2, 3)]
    assert played.measures.itl.most == 1


def test_prompts_go_first() -> None:
    played = run(ask(0, 2, 3), ask(0.5, 2, 2), mixes=False)
    assert times(played) == [(0, 1, 4), (1, 2, 3)]
    # The first writes at 1, stands still while the second is read, and writes at 3 and 4.
    assert (played.measures.itl.most, played.measures.itl.total) == (2, 2 + 1 + 1)


def test_long_prompts_are_read_in_parts() -> None:
    assert times(run(ask(0, 10, 1), token_budget=4)) == [(0, 3, 3)]


def test_answers_take_their_part_of_the_budget() -> None:
    # Beside a token of the first, three tokens of the second find room: 3, 3, 1.
    assert times(run(ask(0, 1, 9), ask(0.5, 7, 1), token_budget=4))[1] == (1, 4, 4)


def test_whole_prompts_wait_for_a_pass_that_holds_them_and_nobody_overtakes() -> None:
    played = run(ask(0, 1, 5), ask(0.5, 4, 1), ask(0.6, 1, 1), token_budget=4, chunks=False)
    assert times(played) == [(0, 1, 5), (5, 6, 6), (6, 7, 7)]


def test_whole_prompts_need_not_wait_for_what_is_cached() -> None:
    alike = {"prefix_caching": True, "prefix_tokens": 1, "token_budget": 4, "chunks": False}
    played = run(ask(0, 2, 9, prefix=(5, 6)), ask(1.5, 4, 1, prefix=(5, 6)), **alike)
    assert times(played)[1] == (2, 3, 3)


def test_sequences_are_limited() -> None:
    assert times(run(ask(0, 1, 4), ask(0, 1, 2), ask(0, 1, 1), max_sequences=2)) == [
        (0, 1, 4),
        (0, 1, 2),
        (2, 3, 3),
    ]


def test_the_urgent_are_let_in_first() -> None:
    played = run(ask(0, 1, 3), ask(0.1, 1, 1, priority=1), ask(0.2, 1, 1), max_sequences=1)
    assert times(played) == [(0, 1, 3), (4, 5, 5), (3, 4, 4)]


def test_the_queue_is_looked_at_every_few_passes() -> None:
    # The pass that reads ends at 1; four later the engine looks up.
    played = run(ask(0, 1, 20), ask(1.5, 1, 1), ask(5.5, 1, 1), poll_steps=4)
    assert times(played)[1:] == [(5, 6, 6), (6, 7, 7)]


def test_drafts_yield_several_tokens_a_pass() -> None:
    played = run(ask(0, 1, 6), passes=dataclasses.replace(SECOND, pass_tokens=4, yielded_tokens=2.0))
    # One with the prompt, then 2, 2, and 1 of 2.
    assert times(played) == [(0, 1, 4)]
    assert played.measures.tokens == 6


def test_a_cancelled_answer_ends_at_its_token() -> None:
    played = run(ask(0, 1, 9, written=3))
    assert (times(played), states(played)) == ([(0, 1, 3)], ["cancelled"])


def test_passes_lengthen_with_the_context() -> None:
    played = run(ask(0, 10, 4), passes=fixed_times(1.0, slope_s=0.125))
    assert times(played) == [(0, 1, 1 + 3 + (10 + 11 + 12) * 0.125)]


# Static batches -------------------------------------------------------------------------------------------

STATIC: dict[str, Any] = {"mixes": False, "chunks": False, "holds_batch": True}


def test_a_batch_waits_until_it_is_full_or_for_long_enough() -> None:
    assert times(run(ask(0, 1, 1), ask(3, 1, 1), max_sequences=2, batch_wait_s=2.0, **STATIC)) == [
        (2, 3, 3),
        (5, 6, 6),
    ]
    assert times(run(ask(0, 1, 1), ask(1, 1, 1), max_sequences=2, batch_wait_s=2.0, **STATIC))[0] == (1, 2, 2)


def test_the_first_waits_no_longer_for_the_urgent() -> None:
    late = run(ask(0, 1, 1, priority=1), ask(1, 1, 1), batch_wait_s=2.0, **STATIC)
    assert times(late) == [(2, 3, 3), (2, 3, 3)]


def test_nothing_joins_until_the_longest_is_written() -> None:
    played = run(ask(0, 1, 2), ask(0, 1, 5), ask(0.5, 1, 1), **STATIC)
    assert times(played) == [(0, 1, 2), (0, 1, 5), (5, 6, 6)]
    assert played.measures.tokens == 8, "padding is not counted"


def test_prompts_of_a_batch_are_padded() -> None:
    played = run(ask(0, 2, 1), ask(0, 6, 1), passes=BY_TOKEN, **STATIC)
    assert times(played)[0][1] == pytest.approx(1 + 0.1 * 12)


def test_a_batch_goes_on_without_who_gave_up() -> None:
    """The longest is given up at 2.5: the batch is through when the others are."""
    played = run(ask(0, 1, 9), ask(0, 1, 2), ask(2.4, 1, 1), front=Front(timeout_s=2.5), **STATIC)
    assert states(played) == ["timed-out", "finished", "finished"]
    assert times(played) == [(0, 1, 3), (0, 1, 2), (3, 4, 4)]


def test_who_has_an_answer_does_not_step_back() -> None:
    """Padding fills the cache: the last of those that still write steps back, and none that is through."""
    played = run(ask(0, 1, 2), ask(0, 1, 6), ask(0, 1, 6), blocks=12, **STATIC)
    assert states(played) == ["finished"] * 3
    assert [one.preempted for one in sorted(played.book.requests, key=lambda one: one.number)] == [0, 0, 1]


# Memory ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preemption", "end_s"), [("recompute", 5.0), ("swap", 5.5)])
def test_the_last_steps_back(preemption: str, end_s: float) -> None:
    """Three tokens each, and four in the cache, at 3; the next pass needs ten blocks of eight.

    At 4 the first is through. The second reads five tokens, or gets four blocks back, and writes its last.
    """
    played = run(
        ask(0, 2, 4), ask(0, 2, 4), blocks=8, machine={"swap_s_per_block": 0.125}, preemption=preemption
    )
    assert times(played) == [(0, 1, 4), (0, 1, end_s)]
    assert (played.outcome.preemptions, played.measures.tokens) == (1, 8)
    assert played.measures.itl.most == end_s - 3


def test_the_least_urgent_steps_back() -> None:
    played = run(ask(0, 2, 4, priority=1), ask(0, 2, 4), blocks=8)
    assert times(played) == [(0, 1, 5), (0, 1, 4)]


def test_who_waits_goes_in_one_pass_after_somebody_stepped_back() -> None:
    """At 3 the second steps back, and the urgent third has a place: as in vLLM not in that pass, but at 4."""
    played = run(ask(0, 2, 6), ask(0, 2, 6, priority=1), ask(0.5, 1, 1), blocks=8, max_sequences=2)
    assert times(played)[2] == (4, 5, 5)


@pytest.mark.parametrize(("share", "start_s"), [(0.0, 1.0), (0.5, 1.0), (0.8, 4.0), (1.0, 4.0)])
def test_room_is_left_for_answers(share: float, start_s: float) -> None:
    """Of ten blocks the first has two at 1, and may need four more, as the second; who needs two now."""
    played = run(ask(0, 2, 4), ask(0.5, 2, 4), blocks=10, reserved_share=share)
    assert times(played)[1][0] == start_s
    assert played.outcome.preemptions == 0


@pytest.mark.parametrize("block_tokens", [1, 2, 3, 16])
def test_who_reserves_all_never_steps_back(block_tokens: int) -> None:
    asks = [ask(0.3 * number, 1 + number % 7, 1 + number * 5 % 11) for number in range(40)]
    played = run(*asks, blocks=-(-40 // block_tokens), block_tokens=block_tokens, reserved_share=1.0)
    assert played.outcome.preemptions == 0
    assert set(states(played)) == {"finished"}


def test_a_reserve_is_all_that_the_cache_has() -> None:
    """Two of five tokens in blocks of four need four blocks, and four are there."""
    played = run(ask(0, 2, 3), ask(0, 2, 3), blocks=4, block_tokens=4, reserved_share=1.0)
    assert times(played)[1][0] == 0


def test_beginnings_are_read_once() -> None:
    alike = {"prefix_caching": True, "prefix_tokens": 2, "passes": BY_TOKEN}
    played = run(ask(0, 5, 1, prefix=(7, 8)), ask(9, 5, 1, prefix=(7, 9)), **alike)
    assert [first - begun for begun, first, _ in times(played)] == pytest.approx([1.5, 1.3])


def test_too_long_for_cache_slot_or_pass() -> None:
    assert states(run(ask(0, 5, 5), ask(0, 5, 6), blocks=10)) == ["finished", "too-long"]
    assert states(run(ask(0, 5, 5), ask(0, 6, 5), blocks=20, slots=True, max_sequences=2)) == [
        "finished",
        "too-long",
    ]
    assert states(run(ask(0, 5, 5), ask(0, 6, 1), token_budget=5, chunks=False)) == ["finished", "too-long"]
    drafts = dataclasses.replace(SECOND, pass_tokens=4, yielded_tokens=2.5)
    assert states(run(ask(0, 5, 5), ask(0, 5, 3), blocks=10, passes=drafts)) == ["too-long", "finished"]


def test_a_whole_prompt_that_outgrew_its_pass_comes_back() -> None:
    """Stepped back after more tokens than a pass holds, it is read when it is alone."""
    played = run(ask(0, 3, 9), ask(0, 3, 9), blocks=13, token_budget=6, chunks=False)
    assert states(played) == ["finished", "finished"]
    # Together until seven and six are in the cache: the second comes back when the first ends.
    assert played.outcome.preemptions == 1
    assert times(played)[1][2] > times(played)[0][2] == 9


# People who give up ---------------------------------------------------------------------------------------


def test_who_gives_up_leaves_with_the_pass_under_way() -> None:
    played = run(ask(0, 1, 9), front=Front(timeout_s=2.5))
    assert (times(played), states(played)) == ([(0, 1, 3)], ["timed-out"])
    assert played.measures.tokens == 3


def test_who_gives_up_does_not_wait_for_the_next_look_at_the_queue() -> None:
    assert times(run(ask(0, 1, 99), front=Front(timeout_s=2.5), poll_steps=10)) == [(0, 1, 3)]


@pytest.mark.parametrize("output", [1, 2])
def test_who_gives_up_in_the_last_pass_has_no_answer(output: int) -> None:
    played = run(ask(0, 1, output), front=Front(timeout_s=output - 0.5))
    assert (states(played), played.book.ends_s) == (["timed-out"], [output])


def test_who_gives_up_while_being_read_gets_no_token() -> None:
    played = run(ask(0, 10, 5), front=Front(timeout_s=1.5), token_budget=4)
    assert (states(played), played.book.ends_s, played.measures.tokens) == (["timed-out"], [2], 0)


def test_who_gives_up_while_others_are_read_has_its_last_token_from_before() -> None:
    played = run(ask(0, 1, 5), ask(0.75, 1, 2), front=Front(timeout_s=1.5), mixes=False)
    one = played.book.requests[0]
    assert (one.number, one.state, one.done, one.last_s, played.book.ends_s[0]) == (0, "timed-out", 1, 1, 2)
    assert played.service.replicas[0].lanes[0].recent == []
    # The other writes its second token a pass after its first.
    assert (played.measures.itl.count, played.measures.itl.total) == (1, 1)


def test_the_next_goes_in_when_the_first_in_the_queue_gives_up() -> None:
    """The second needs more blocks than are left, the third does not, and is let in at once."""
    front = Front(queue_timeout_s=2.25)
    played = run(ask(0, 1, 8), ask(0.5, 5, 1), ask(1.5, 1, 1), blocks=11, reserved_share=1.0, front=front)
    assert times(played)[1][2] == 2.75
    assert times(played)[2] == (3, 4, 4)


def test_who_has_begun_has_patience() -> None:
    """It stepped back, and waits again, but it is not given up for waiting to begin."""
    played = run(ask(0, 2, 4), ask(0, 2, 4), blocks=8, front=Front(queue_timeout_s=3.5))
    assert states(played) == ["finished", "finished"]
    assert played.outcome.preemptions == 1


# Several batches ------------------------------------------------------------------------------------------


def test_batches_in_flight_take_turns() -> None:
    """The slowest stage takes three quarters of a pass: two batches come round after one and a half."""
    machine = {"lanes": 2}
    passes = dataclasses.replace(SECOND, slowest_share=0.75)
    alone = run(ask(0, 1, 4), passes=passes, machine=machine)
    assert times(alone) == [(0, 1, 4)]
    both = run(ask(0, 1, 4), ask(0, 1, 4), passes=passes, machine=machine)
    assert times(both)[1] == (0, 1.5, 6)


def test_ranks_wait_for_the_slowest() -> None:
    machine = {"lanes": 2, "lockstep": True}
    played = run(ask(0, 5, 2), ask(0, 30, 2), passes=BY_TOKEN, machine=machine)
    assert times(played) == [(0, 4, 5), (0, 4, 5)]


def test_an_idle_rank_joins_at_the_next_pass() -> None:
    machine = {"lanes": 2, "lockstep": True}
    assert times(run(ask(0, 1, 9), ask(3.5, 1, 1), machine=machine))[1] == (4, 5, 5)
    assert times(run(ask(0, 1, 9), ask(3.5, 1, 1), machine=machine, **STATIC))[1] == (4, 5, 5)


def test_ranks_keep_step_when_somebody_gives_up() -> None:
    machine = {"lanes": 2, "lockstep": True}
    played = run(ask(0, 1, 9), ask(0.25, 1, 20), machine=machine, front=Front(timeout_s=4.5))
    assert [end_s for _, _, end_s in times(played)] == [5, 5]


def test_ranks_have_caches_of_their_own() -> None:
    """Ten blocks each: a request of eleven tokens fits none of the two, and none takes from the other."""
    machine = {"lanes": 2, "lockstep": True}
    assert states(run(ask(0, 5, 6), blocks=20, machine=machine)) == ["too-long"]
    played = run(ask(0, 2, 8), ask(0, 2, 8), blocks=20, machine=machine)
    assert played.outcome.preemptions == 0
    assert [end_s for _, _, end_s in times(played)] == [8, 8]
