"""Collectives over an axis: symmetry, hosts, and the quicker of trees and rings."""

import pytest

from farthing.predict.collectives import (
    Axis,
    all_reduce_time_s,
    axis_all_gather_time_s,
    axis_all_to_all_time_s,
)
from farthing.predict.communication import ring_all_reduce_time_s, tree_all_reduce_time_s


def axis(ranks: int, inside: int) -> Axis:
    return Axis(
        ranks=ranks,
        inside=inside,
        inside_bytes_per_s=1e11,
        inside_latency_s=1e-6,
        across_bytes_per_s=1e9,
        across_latency_s=1e-5,
    )


@pytest.mark.parametrize("time_s", [all_reduce_time_s, axis_all_gather_time_s, axis_all_to_all_time_s])
def test_axes(time_s: object) -> None:
    assert time_s(1e9, axis(1, 1)) == 0  # type: ignore[operator]
    inside, across = time_s(1e9, axis(8, 8)), time_s(1e9, axis(8, 1))  # type: ignore[operator]
    assert 0 < inside < across
    assert inside < time_s(1e9, axis(16, 8)) < across * 2  # type: ignore[operator]


def test_an_all_reduce_is_two_all_gathers() -> None:
    for ranks, inside in ((8, 8), (2, 1), (8, 4)):
        assert all_reduce_time_s(1e9, axis(ranks, inside)) == pytest.approx(
            2 * axis_all_gather_time_s(1e9, axis(ranks, inside))
        )


def test_between_many_hosts_a_short_message_takes_a_tree_and_a_long_one_a_ring() -> None:
    hosts = axis(64, 1)
    way = {"bytes_per_s": hosts.across_bytes_per_s, "latency_s": hosts.across_latency_s}
    assert all_reduce_time_s(1e3, hosts) == tree_all_reduce_time_s(1e3, 64, **way)
    assert all_reduce_time_s(1e12, hosts) == ring_all_reduce_time_s(1e12, 64, **way)


def test_a_token_crosses_to_a_card_once() -> None:
    axis = Axis(
        ranks=8,
        inside=8,
        inside_bytes_per_s=100e9,
        inside_latency_s=0,
        across_bytes_per_s=1e9,
        across_latency_s=0,
    )
    assert axis_all_to_all_time_s(80e9, axis, inside_share=0.5) == pytest.approx(0.35)
