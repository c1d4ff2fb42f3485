"""A stretch of passes against its passes, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from farthing.simulate.serving.blocks import Blocks
from farthing.simulate.serving.lane import PARTS, Lane
from farthing.simulate.serving.request import Request


def lane_of(lengths: list[int], block_tokens: int = 16, yielded: float = 1.0, steps: int = 0) -> Lane:
    """Sequences with so many tokens in the cache, in a lane that has written before."""
    lane = Lane(Blocks(10**6, block_tokens), yielded)
    lane.steps = steps
    for number, tokens in enumerate(lengths):
        request = Request(number, 0.0, tokens, 50 + number)
        request.lane = lane
        lane.join(request, tokens)
    return lane


@st.composite
def lanes(draw: DrawFn) -> Lane:
    lane = lane_of(
        draw(st.lists(st.integers(0, 100), min_size=1, max_size=8)),
        draw(st.sampled_from((1, 3, 16))),
        draw(st.sampled_from((1.0, 1.7, 2.0, 3.3))),
        draw(st.integers(0, 40)),
    )
    for _ in range(draw(st.integers(0, 3))):
        lane.advance(draw(st.integers(1, 9)))
    return lane


def blocks_needed(lane: Lane, tokens: int) -> int:
    size = lane.blocks.block_tokens
    return sum(-(-(lane.cached(one) + tokens) // size) - -(-lane.cached(one) // size) for one in lane.members)


@given(lanes(), st.integers(0, 200))
def test_blocks_of_further_tokens(lane: Lane, tokens: int) -> None:
    assert lane.blocks_of(tokens) == blocks_needed(lane, tokens)


@given(lanes(), st.integers(0, 60), st.integers(1, 200))
def test_tokens_within(lane: Lane, blocks: int, most: int) -> None:
    found = lane.tokens_within(blocks, most)
    assert found <= most
    assert not found or blocks_needed(lane, found) <= blocks
    assert found == most or blocks_needed(lane, found + 1) > blocks


@given(lanes(), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_a_stretch_yields_what_its_passes_do(lane: Lane, stretches: list[int]) -> None:
    single = lane_of([1], yielded=lane._parts / PARTS)
    single._credit = lane._credit
    for count in stretches:
        told = lane.tokens_of(count)
        assert lane.advance(count) == told == sum(single.advance(1) for _ in range(count))
    exact = sum(stretches) * lane._parts / PARTS
    assert abs(single.steps - exact) <= 1, "but for what has not come out yet"


@given(lanes(), st.integers(1, 100))
def test_passes_until_tokens_are_written(lane: Lane, tokens: int) -> None:
    passes = lane.passes_of(tokens)
    assert lane.tokens_of(passes) >= tokens
    assert passes == 1 or lane.tokens_of(passes - 1) < tokens


@given(lanes())
def test_passes_alike_begin_in_one_octave(lane: Lane) -> None:
    def octave() -> int:
        return (lane.context // lane.sequences).bit_length()

    first = octave()
    for _ in range(lane.passes_of(lane.steps_alike())):
        assert octave() == first
        lane.advance(1)
    assert octave() > first


@given(
    first=st.floats(1e-4, 1.0),
    growth=st.sampled_from((0.0, 1e-14, 1e-9, 1e-5, 1e-3)),
    length=st.integers(1, 5000),
    data=st.data(),
)
def test_passes_done(first: float, growth: float, length: int, data: st.DataObject) -> None:
    lane = lane_of([10])
    lane.first_s, lane.growth_s, lane.length = first, growth, length
    count = data.draw(st.integers(0, length - 1))
    along = data.draw(st.floats(0.001, 0.999))
    elapsed_s = lane.time_s(count) + along * (first + growth * count)
    assert lane.passes_done(elapsed_s) == count
    assert lane.passes_done(2 * lane.time_s(length) + 1) == length


def test_time_is_that_of_each_pass() -> None:
    lane = lane_of([10])
    lane.first_s, lane.growth_s = 0.5, 0.25
    assert [lane.time_s(count) for count in range(5)] == [0.0, 0.5, 1.25, 2.25, 3.5]


def test_passes_without_time_are_all_done() -> None:
    lane = lane_of([10])
    lane.length = 7
    assert lane.passes_done(0.0) == 7


@pytest.mark.parametrize("yielded", [1.0, 3.0])
def test_members_come_and_go(yielded: float) -> None:
    lane = lane_of([5, 20, 33], yielded=yielded)
    one, two, three = lane.members
    assert (lane.sequences, lane.context, lane.steps_to_finish()) == (3, 58, 50)
    tokens = lane.advance(4)
    assert tokens == 4 * yielded
    assert (lane.context, lane.cached(two)) == (58 + 3 * tokens, 20 + tokens)
    lane.leave(one)
    assert (one.done, one.ends, lane.sequences) == (tokens, -1, 2)
    assert lane.context == 53 + 2 * tokens
    assert lane.steps_to_finish() == 51 - tokens
    assert lane.finished() == []
    lane.advance(lane.passes_of(lane.steps_to_finish()))
    assert lane.finished() == [two]
    lane.leave(two)
    assert two.done == 51, "what is drafted beyond is thrown away"
    assert list(lane.members) == [three]
    assert lane.blocks_of(1) == blocks_needed(lane, 1)


def test_who_comes_back_ends_later() -> None:
    lane = lane_of([5, 5])
    one, _ = lane.members
    lane.advance(10)
    lane.leave(one)
    lane.advance(5)
    lane.join(one, 15)
    assert one.done == 10
    assert lane.steps_to_finish() == 51 - 15, "the entry that it left behind is skipped"
    lane.advance(36)
    assert [request.number for request in lane.finished()] == [1]
    lane.advance(4)
    assert lane.finished() == [one]


def test_who_comes_back_at_once_ends_once() -> None:
    lane = lane_of([5, 5])
    one, other = lane.members
    lane.advance(10)
    lane.leave(one)
    lane.join(one, 15)
    lane.advance(40)
    assert lane.finished() == [one]
    lane.advance(1)
    assert lane.finished() == [other]


def test_padding_grows_but_writes_nothing() -> None:
    lane = lane_of([5, 5])
    one, other = lane.members
    lane.advance(50)
    assert lane.finished() == [one]
    lane.pad(one)
    assert (one.done, lane.padding, lane.sequences) == (50, 1, 2)
    lane.advance(1)
    assert (lane.cached(one), lane.context) == (56, 112)
    lane.leave(one)
    assert (one.done, lane.padding, lane.sequences) == (50, 0, 1)
    assert lane.finished() == [other]


def test_a_shorter_stretch_gives_blocks_back() -> None:
    lane: Any = lane_of([16, 16], block_tokens=16)
    lane.length, lane.held = 40, lane.blocks_of(40)
    assert lane.held == 6
    lane.blocks.free -= 6
    lane.shorten(17)
    assert (lane.length, lane.held, lane.blocks.free) == (17, 4, 10**6 - 4)
    lane.shorten(30)
    assert lane.length == 17
