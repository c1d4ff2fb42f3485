"""Messages: limits, inverses and what hides."""

import numpy as np
import pytest

from farthing.predict.communication import (
    activation_message_bytes,
    all_gather_time_s,
    all_to_all_time_s,
    direct_all_reduce_time_s,
    exposed_time_s,
    host_copy_bytes_per_s,
    largest_message_bytes,
    point_to_point_time_s,
    ring_all_reduce_time_s,
    tree_all_reduce_time_s,
)

LINK = {"bytes_per_s": 1e9, "latency_s": 1e-6}


@pytest.mark.parametrize(
    "time_s",
    [
        ring_all_reduce_time_s,
        tree_all_reduce_time_s,
        direct_all_reduce_time_s,
        all_gather_time_s,
        all_to_all_time_s,
    ],
)
def test_one_rank_exchanges_nothing(time_s: object) -> None:
    assert time_s(1e9, 1, **LINK) == 0  # type: ignore[operator]


def test_messages_and_times_invert() -> None:
    time = point_to_point_time_s(12345, **LINK)
    assert largest_message_bytes(time, **LINK) == pytest.approx(12345)
    assert largest_message_bytes(1e-7, **LINK) == 0
    assert activation_message_bytes(3, 8192) == 3 * 8192 * 2


def test_copies_never_beat_pcie() -> None:
    rates = host_copy_bytes_per_s(
        pcie_bytes_per_s=25e9, host_memory_bytes_per_s=200e9, accelerators=np.array([1, 4, 8])
    )
    assert rates.tolist() == [25e9, 25e9, 12.5e9]


def test_what_compute_hides() -> None:
    found = exposed_time_s(np.array([1.0, 3.0]), 2.0, overlap=0.5)
    assert found.tolist() == [0.0, 2.0]
