"""Rules of thumb: work, cards, messages, tensor parallelism, plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from farthing.predict.arithmetic import difference, product, quotient, total, whole_quotient
from farthing.predict.communication import (
    activation_message_bytes,
    largest_message_bytes,
    point_to_point_time_s,
)
from farthing.predict.memory import accelerators_needed
from farthing.predict.tensor_parallel import largest_busy_tp, needed_bytes_per_s, work_per_byte
from farthing.predict.work import forward_flop, mfu, training_flop


def test_training_is_three_forward_passes() -> None:
    parameters = np.array([7e9, 70e9])
    assert training_flop(parameters, 2e12) == pytest.approx(3 * forward_flop(parameters, 2e12))


def test_mfu_of_cards_is_that_of_their_summed_time() -> None:
    work = training_flop(70e9, 1e12)
    together = mfu(work, 1e6, peak_flop_per_s=312e12, accelerators=2048)
    assert together == pytest.approx(mfu(work, 2048e6, peak_flop_per_s=312e12))


def test_reserved_memory_takes_more_cards() -> None:
    cards = accelerators_needed(np.array([160e9, 160.1e9]), 80e9, reserved_bytes=np.array([0.0, 1e9]))
    assert cards.tolist() == [2, 3]


def test_largest_message_takes_just_the_time() -> None:
    message = largest_message_bytes(5e-3, bytes_per_s=125e6, latency_s=1e-3)
    assert point_to_point_time_s(message, bytes_per_s=125e6, latency_s=1e-3) == pytest.approx(5e-3)
    assert largest_message_bytes(5e-3, bytes_per_s=125e6, latency_s=6e-3) == 0


def test_at_the_largest_busy_tp_the_needed_bandwidth_is_the_links() -> None:
    work, message, rate, link = 6 * 8192**2, activation_message_bytes(1, 8192), 330e12, 32e9
    tp = largest_busy_tp(work, message, flop_per_s=rate, link_bytes_per_s=link)
    assert needed_bytes_per_s(rate, work_per_byte(work, message, tp)) == pytest.approx(link)


def test_arithmetic_takes_columns() -> None:
    column = np.array([1.0, 2.0, 4.0])
    assert total([column, 1, column]).tolist() == [3, 5, 9]
    assert product([column, column]).tolist() == [1, 4, 16]
    assert difference(column, 1).tolist() == [0, 1, 3]
    assert quotient(column, 2).tolist() == [0.5, 1, 2]
    assert whole_quotient(column, 3).tolist() == [1, 1, 2]
