"""Tiles, waves, rooflines and grouped experts."""

import numpy as np
import pytest

from farthing.predict.compute import (
    elementwise_time_s,
    experts_matmul_time_s,
    experts_touched,
    matmul_bytes,
    matmul_flop,
    matmul_time_s,
    quantised_flop,
    roofline_time_s,
)
from farthing.predict.device import Device

IDEAL = Device(matmul_flop_per_s=1e12, attention_flop_per_s=1e12, memory_bytes=1e10, memory_bytes_per_s=1e10)
REAL = Device(
    matmul_flop_per_s=1e12,
    attention_flop_per_s=1e12,
    memory_bytes=1e10,
    memory_bytes_per_s=1e10,
    matmul_share=0.5,
    memory_share=0.8,
    kernel_s=1e-5,
    compute_units=100,
)


def test_work_and_traffic() -> None:
    assert matmul_flop(2, 3, 4) == 48
    assert matmul_bytes(2, 3, 4, weight_bytes_per_element=1, activation_bytes_per_element=2) == 12 + 2 * 7 * 2


def test_the_longer_of_computing_and_moving() -> None:
    assert roofline_time_s(1, 4, peak_flop_per_s=2, memory_bytes_per_s=2) == 2
    assert roofline_time_s(8, 4, peak_flop_per_s=2, memory_bytes_per_s=2) == 4
    small = matmul_time_s(1, 1000, 1000, device=IDEAL)
    large = matmul_time_s(10_000, 1000, 1000, device=IDEAL)
    assert small == pytest.approx(matmul_bytes(1, 1000, 1000) / 1e10)
    assert large == pytest.approx(2e10 / 1e12)


def test_waves_are_paid_whole() -> None:
    """101 tiles on 100 units take two waves, unless split along the inner width."""
    assert quantised_flop(256, 128 * 100, 256, 100) == pytest.approx(2 * 256 * 128 * 100 * 256)
    one_more = quantised_flop(256, 128 * 101, 256, 100)
    assert one_more > 1.1 * 2 * 256 * 128 * 101 * 256


def test_no_units_no_tiles() -> None:
    assert quantised_flop(3, 5, 7, 0) == 2 * 3 * 5 * 7


def test_real_kernels_start_and_reach_less() -> None:
    time = matmul_time_s(4096, 4096, 4096, device=REAL)
    assert time >= 2 * 4096**3 / 5e11 + 1e-5
    assert elementwise_time_s(8e9, device=REAL, kernels=3) == pytest.approx(1 + 3e-5)


def test_more_rows_cost_no_less_on_ideal_devices() -> None:
    rows = np.arange(1, 3000)
    times = matmul_time_s(rows, 4096, 4096, device=IDEAL)
    assert (np.diff(times) >= 0).all()


def test_experts_touched_grow_to_all() -> None:
    tokens = np.array([1, 2, 8, 64, 1000])
    touched = experts_touched(64, 4, tokens)
    assert touched[0] == 4
    assert (np.diff(touched) > 0).all()
    assert touched[-1] == pytest.approx(64)


def test_each_touched_expert_is_read_once() -> None:
    few = experts_matmul_time_s(2, 2, 1000, 1000, device=IDEAL)
    many = experts_matmul_time_s(8, 8, 1000, 1000, device=IDEAL)
    assert many == pytest.approx(4 * few)
    same = experts_matmul_time_s(4, 2, 1000, 1000, device=IDEAL)
    assert same == pytest.approx(few, rel=0.01)
