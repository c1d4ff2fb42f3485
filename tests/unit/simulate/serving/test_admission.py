"""The queue, and what a replica promises."""

from __future__ import annotations

from typing import Any

import pytest

from farthing.records.serving import Objectives, Scheduler
from farthing.simulate.serving.admission import Admission
from farthing.simulate.serving.blocks import Blocks
from farthing.simulate.serving.lane import Lane
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import fixed_times
from farthing.simulate.serving.request import Request


def admission(blocks: int = 100, *, reads_only: bool = False, **limits: Any) -> tuple[Admission, Lane]:
    machine = Machine(passes=fixed_times(1.0), kv_blocks=blocks, reads_only=reads_only)
    scheduler = Scheduler(block_tokens=4, max_sequences=2, batch_wait_s=3.0, **limits)
    pool = Blocks(blocks, 4)
    return Admission(machine, scheduler, pool, 2, Measures(Objectives())), Lane(pool)


def test_the_queue_is_in_order_of_urgency_and_arrival() -> None:
    desk, _ = admission()
    order = [Request(number, 0.0, 1, 1, priority=priority) for number, priority in ((0, 2), (1, 1), (2, 1))]
    for request in order:
        desk.enqueue(request)
    assert desk.head() is order[1]
    order[1].state = "timed-out"
    assert desk.head() is order[2]


def test_a_batch_is_full_or_has_waited() -> None:
    desk, _ = admission()
    desk.enqueue(Request(0, 7.0, 1, 1))
    assert desk.full_s(8.0) == 10.0
    assert desk.full_s(11.0) == 11.0
    desk.enqueue(Request(1, 8.0, 1, 1))
    assert desk.full_s(8.0) == 8.0


def test_promises_are_kept_to_the_block() -> None:
    desk, lane = admission()
    one, two, three = (Request(number, 0.0, 5, 10) for number in range(3))
    for request in (one, two, three):
        desk.enqueue(request)
    assert desk.admit(lane, 1.0, 99) == 0.0
    assert (desk.queued, desk.in_work, desk.is_full) == (1, 2, True)
    # Fifteen tokens need four blocks, and five have two.
    assert (desk.promised, lane.blocks.free) == (4, 96)
    assert one.started_s == 1.0
    lane.prompts.remove(one)
    desk.release(one, lane, one.total)
    assert (desk.promised, desk.in_work, lane.blocks.free) == (2, 1, 98)


def test_who_only_reads_promises_nothing() -> None:
    desk, lane = admission(reads_only=True)
    desk.enqueue(Request(0, 0.0, 5, 1000))
    desk.admit(lane, 0.0, 99)
    assert desk.promised == 0
    assert desk.fits(Request(1, 0.0, 400, 10**6))
    assert not desk.fits(Request(1, 0.0, 401, 1))


@pytest.mark.parametrize(("preemption", "tokens"), [("recompute", 9), ("swap", 8)])
def test_who_was_handed_over_steps_back_before_its_first_pass(preemption: str, tokens: int) -> None:
    """Read anew it has its whole prompt to read; brought back, the last token is computed here as before."""
    desk, lane = admission(blocks=6, preemption=preemption)
    one, two = Request(0, 0.0, 9, 3), Request(1, 0.0, 9, 3)
    for request in (one, two):
        request.handed, request.total = True, 8
        desk.enqueue(request)
    desk.admit(lane, 0.0, 99)
    assert (lane.fresh, lane.blocks.free) == ([one, two], 2)
    assert not desk.make_room(lane), "room for a token each is left"
    lane.blocks.free -= 1
    assert desk.make_room(lane), "but another batch has taken it"
    assert (list(lane.members), lane.fresh) == ([one], [one])
    assert (two.handed, two.swapped, two.preempted, two.done) == (False, preemption == "swap", 1, 0)
    assert two.total == two.left == tokens
    assert desk.head() is two
    assert (desk.in_work, desk.queued, lane.blocks.free) == (1, 1, 3)


def test_what_is_brought_here_needs_room_for_its_next_token() -> None:
    desk, lane = admission(blocks=4)
    request = Request(0, 0.0, 17, 1)
    request.handed, request.total = True, 16
    desk.enqueue(request)
    desk.admit(lane, 0.0, 99)
    assert (desk.in_work, lane.blocks.free) == (0, 4)
