"""The serving engine, which plays many passes as one stretch, against one that plays each of them."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.plain_service import PlainService
from tests.property.random_services import (
    PREFIX_TOKENS,
    one_replica,
    pass_times,
    play,
    schedulers,
    some_asks,
    tight_blocks,
)

from farthing.records.serving import Front

WAITS_S = (0.07131527193, 0.19313177131, 0.71301937113)
"""Which no sum of passes takes: what happens as a pass ends may come before or after, by rounding."""


def alike(one: float, other: float) -> bool:
    both_missing = one != one and other != other
    return both_missing or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


@settings(max_examples=1000)
@given(st.data())
def test_stretches_are_their_passes(data: st.DataObject) -> None:
    scheduler = data.draw(schedulers(), label="scheduler")
    passes = data.draw(pass_times(), label="passes")
    prefix_tokens = data.draw(st.sampled_from((0, *PREFIX_TOKENS)), label="prefix tokens")
    asks = data.draw(some_asks(prefix_tokens=prefix_tokens), label="asks")
    spare = data.draw(st.sampled_from((-2, 0, 0, 1, 3, 10, 1000)), label="spare blocks")
    blocks = tight_blocks(scheduler, passes, asks, spare)
    front = Front(
        queue_timeout_s=data.draw(st.sampled_from((0.0, 0.0, *WAITS_S)), label="queue timeout"),
        timeout_s=data.draw(st.sampled_from((0.0, 0.0, *WAITS_S)), label="timeout"),
    )
    swap_s = data.draw(st.sampled_from((0.0, 0.0011)), label="swap")
    plain = PlainService(
        scheduler, passes, blocks, front=front, prefix_tokens=prefix_tokens, swap_s_per_block=swap_s
    )
    expected = plain.play(asks)
    played = play(
        one_replica(scheduler, passes, blocks, prefix_tokens=prefix_tokens, swap_s_per_block=swap_s),
        asks,
        front,
    )
    found = {
        request.number: (request.state, request.first_s, end_s, request.done)
        for request, end_s in zip(played.book.requests, played.book.ends_s, strict=True)
    }
    assert len(found) == len(asks)
    for one in expected:
        state, first_s, end_s, done = found[one.number]
        told = f"request {one.number}: {found[one.number]}, plainly {one}"
        assert (state, done) == (one.state, one.done), told
        assert alike(first_s, one.first_s), told
        assert alike(end_s, one.end_s), told
    assert played.outcome.preemptions == plain.preemptions
