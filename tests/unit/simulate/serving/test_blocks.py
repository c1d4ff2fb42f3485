"""The pool of blocks: who holds what, what is shared, and what gives way."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.simulate.serving.blocks import Blocks, Pools
from farthing.simulate.serving.request import Request


def request(prompt: int, *ids: int, number: int = 0, output: int = 10) -> Request:
    return Request(number, 0.0, prompt, output, prefix=ids)


@pytest.mark.parametrize(("tokens", "blocks"), [(0, 0), (1, 1), (16, 1), (17, 2), (160, 10)])
def test_needed(tokens: int, blocks: int) -> None:
    assert Blocks(100, 16).needed(tokens) == blocks


def test_blocks_are_taken_and_come_back() -> None:
    blocks, one = Blocks(10, 16), request(100)
    assert blocks.take(one)
    assert (blocks.free, one.left) == (3, 100)
    assert not blocks.take(request(64))
    assert blocks.free == 3, "a refusal changes nothing"
    blocks.free -= 1
    blocks.release(one, 101 + 12)
    assert blocks.free == 10


def test_some_must_stay_spare() -> None:
    blocks = Blocks(10, 16)
    assert not blocks.take(request(100), spare=3.5)
    assert blocks.take(request(100), spare=3)


def test_a_beginning_is_there_once() -> None:
    blocks = Blocks(100, 16, 16)
    one, other = request(64, 1, 2, 3), request(80, 1, 2, 9)
    assert blocks.matched(other) == 0
    assert blocks.take(one)
    assert (blocks.free, one.left) == (96, 64)
    assert (blocks.matched(other), blocks.unread(other)) == (32, 48)
    assert blocks.take(other)
    assert (blocks.free, other.left) == (96 - 3, 48)
    blocks.release(one, 64)
    assert blocks.free == 100 - 5
    blocks.release(other, 80)
    assert blocks.free == 100
    assert blocks.matched(request(64, 1, 2, 3)) == 48, "kept, though nobody uses it"


def test_one_token_is_always_computed() -> None:
    blocks = Blocks(100, 16, 16)
    assert blocks.take(request(32, 1, 2))
    again = request(32, 1, 2)
    assert blocks.take(again)
    assert again.left == 1
    assert blocks.free == 98


def test_unused_beginnings_give_way_their_ends_first() -> None:
    blocks = Blocks(4, 16, 16)
    old, new = request(32, 1, 2), request(32, 8, 9)
    for one in (old, new):
        assert blocks.take(one)
        blocks.release(one, 32)
    assert blocks.free == 4
    big = request(16)
    assert blocks.take(big)
    assert [blocks.matched(one) for one in (old, new)] == [16, 32]
    blocks.free -= 2
    blocks.settle()
    assert [blocks.matched(one) for one in (old, new)] == [0, 16]


def test_used_again_is_used_last() -> None:
    blocks = Blocks(4, 16, 16)
    old, new = request(32, 1, 2), request(32, 8, 9)
    for one in (old, new, old):
        assert blocks.take(one)
        blocks.release(one, 32)
    assert blocks.take(request(32))
    assert [blocks.matched(one) for one in (old, new)] == [32, 0]


@pytest.mark.parametrize(
    ("block_tokens", "id_tokens", "shared"),
    [
        (16, 16, 96),
        (16, 512, 0),
        (1, 16, 96),
        (32, 16, 96),
        (64, 16, 64),
        (16, 1, 96),
        (24, 16, 96),
        (24, 1, 96),
    ],
)
def test_ids_and_blocks_of_other_sizes(block_tokens: int, id_tokens: int, shared: int) -> None:
    """Whole blocks are shared that whole ids name."""
    blocks = Blocks(1000, block_tokens, id_tokens)
    ids = range(100 // id_tokens)
    one, other = request(100, *ids), request(100, *ids)
    assert blocks.take(one)
    held = blocks.total - blocks.free
    assert held == blocks.needed(100)
    assert blocks.take(other)
    assert other.left == 100 - shared
    assert blocks.total - blocks.free == 2 * held - shared // block_tokens
    blocks.release(one, 100)
    assert blocks.total - blocks.free == held
    blocks.release(other, 100)
    assert blocks.free == blocks.total


def test_long_ids_hold_many_blocks() -> None:
    blocks = Blocks(1000, 16, 512)
    one, other = request(1200, 1, 2), request(1200, 1, 3)
    assert blocks.take(one)
    assert blocks.take(other)
    assert other.left == 1200 - 512
    assert blocks.total - blocks.free == 2 * 75 - 32


@given(st.data())
def test_a_pool_against_a_list_of_holders(data: st.DataObject) -> None:
    block_tokens = data.draw(st.sampled_from((1, 4, 16, 24)))
    id_tokens = data.draw(st.sampled_from((1, 4, 16, 40)))
    blocks = Blocks(data.draw(st.integers(5, 200)), block_tokens, id_tokens)
    piece = math.lcm(block_tokens, id_tokens)
    holders: list[tuple[Request, int]] = []

    def pieces(one: Request) -> list[tuple[int, ...]]:
        count = min(one.prompt, len(one.prefix) * id_tokens) // piece
        return [one.prefix[: (index + 1) * piece // id_tokens] for index in range(count)]

    for number in range(data.draw(st.integers(1, 25))):
        if holders and data.draw(st.booleans()):
            one, tokens = holders.pop(data.draw(st.integers(0, len(holders) - 1)))
            blocks.release(one, tokens)
        else:
            prompt = data.draw(st.integers(1, 120))
            family = 1000 * data.draw(st.integers(0, 2))
            named = data.draw(st.integers(0, prompt // id_tokens))
            one = request(prompt, *range(family, family + named), number=number)
            in_use = {kept for holder, _ in holders for kept in pieces(holder)}
            need = blocks.needed(prompt)
            need -= sum(own in in_use for own in pieces(one)) * piece // block_tokens
            taken = blocks.take(one)
            assert taken == (need <= blocks.total - held_by(blocks, holders, pieces, piece))
            if taken:
                holders.append((one, prompt))
        assert blocks.total - blocks.free == held_by(blocks, holders, pieces, piece)


def held_by(
    blocks: Blocks,
    holders: list[tuple[Request, int]],
    pieces: Callable[[Request], list[tuple[int, ...]]],
    piece: int,
) -> int:
    shared = {own for holder, _ in holders for own in pieces(holder)}
    own = sum(
        blocks.needed(tokens) - len(pieces(holder)) * piece // blocks.block_tokens
        for holder, tokens in holders
    )
    return own + len(shared) * piece // blocks.block_tokens


def test_pools_are_seen_as_one() -> None:
    each = [Blocks(10, 16, 16), Blocks(20, 16, 16)]
    pools = Pools(each)
    assert (pools.total, pools.free) == (30, 30)
    assert each[1].take(request(64, 1, 2, 3, 4))
    assert pools.free == 26
    assert pools.matched(request(64, 1, 2, 3, 5)) == 48
