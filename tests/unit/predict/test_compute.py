"""Tiles, waves, rooflines and grouped experts."""

import dataclasses

import numpy as np
import pytest

from farthing.predict.compute import (
    AT_ONCE,
    elementwise_time_s,
    experts_matmul_time_s,
    experts_touched,
    matmul_bytes,
    matmul_flop,
    matmul_time_s,
    ranks_reached,
    roofline_time_s,
    tiles_time_s,
)
from farthing.predict.device import Device, Tiling

UNITS = Tiling(units=100, load_bytes_per_s=1e9, step_s=1e-9, split_s=1e-6, cache_bytes_per_s=3e10)

IDEAL = Device(matmul_flop_per_s=1e12, attention_flop_per_s=1e12, memory_bytes=1e10, memory_bytes_per_s=1e10)
REAL = Device(
    matmul_flop_per_s=1e12,
    attention_flop_per_s=1e12,
    memory_bytes=1e10,
    memory_bytes_per_s=1e10,
    matmul_share=0.5,
    memory_share=0.8,
    kernel_s=1e-5,
    tiling=UNITS,
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
    """101 tiles on 100 units take two waves; of the idle units' time ``tail_share`` is paid."""
    units = Tiling(units=100, load_bytes_per_s=1.5e8)
    full = 2 * 256 * 128 * 100 * 256 / 1e12
    assert tiles_time_s(256, 12800, 256, flop_per_s=1e12, tiling=units) == pytest.approx(full)
    assert tiles_time_s(256, 12801, 256, flop_per_s=1e12, tiling=units) > 1.5 * full
    halved = dataclasses.replace(units, tail_share=0.1)
    assert tiles_time_s(256, 12801, 256, flop_per_s=1e12, tiling=halved) < 1.3 * full


def test_rows_fill_a_tile_of_the_engines_height() -> None:
    times = [
        tiles_time_s(9, 12800, 256, flop_per_s=1e12, tiling=dataclasses.replace(UNITS, rows=rows))
        for rows in (16.0, 32.0)
    ]
    whole = tiles_time_s(32, 12800, 256, flop_per_s=1e12, tiling=dataclasses.replace(UNITS, rows=32.0))
    assert times[0] < times[1] == whole


def test_a_long_inner_width_is_split_among_idle_units() -> None:
    unsplit = dataclasses.replace(UNITS, split_s=1.0)
    asked = {"flop_per_s": 1e12, "weight_bytes_per_element": 2.0}
    split = tiles_time_s(64, 64, 65536, tiling=UNITS, **asked)
    assert split < tiles_time_s(64, 64, 65536, tiling=unsplit, **asked) / 5
    assert split > UNITS.split_s


def test_units_may_need_several_tiles_in_flight() -> None:
    """100 tiles on 100 units that need two each leave half of every unit idle; 200 tiles fill them."""
    single, double = (Tiling(units=100, unit_tiles=tiles, splits=False) for tiles in (1.0, 2.0))
    for columns, factor in ((6400, 2.0), (12800, 1.0)):
        times = [tiles_time_s(64, columns, 256, flop_per_s=1e12, tiling=units) for units in (single, double)]
        assert times[1] == pytest.approx(factor * times[0])


def test_kernels_may_leave_the_inner_width_whole() -> None:
    whole = dataclasses.replace(UNITS, splits=False)
    asked = {"flop_per_s": 1e12}
    assert tiles_time_s(64, 64, 65536, tiling=whole, **asked) > tiles_time_s(
        64, 64, 65536, tiling=UNITS, **asked
    )


@pytest.mark.parametrize(("power", "expected"), [(1.0, 2.0), (2.0, 2**0.5)])
def test_kernels_overlap_computing_and_reading_or_take_turns(power: float, expected: float) -> None:
    """A cube of 1024: 2.1 ms of arithmetic, and as long to read 2 MB of weights and 4 MB of tokens."""
    card = Device(
        matmul_flop_per_s=1e12,
        attention_flop_per_s=1e12,
        memory_bytes=1e12,
        memory_bytes_per_s=3e9,
        overlap_power=power,
        tiling=Tiling(units=1),
    )
    time = matmul_time_s(1024, 1024, 1024, device=card)
    assert time == pytest.approx(expected * 2 * 1024**3 / 1e12, rel=0.02)


def test_small_tiles_wait_for_the_latency_of_a_step() -> None:
    assert tiles_time_s(1, 32, 500, flop_per_s=1e15, tiling=UNITS) >= 500 * 2 * UNITS.step_s


def test_columns_equal_scalars() -> None:
    rows = np.array([1.0, 7, 8, 33, 500, 5000])
    column = tiles_time_s(rows, 4096, 1024, flop_per_s=1e12, tiling=UNITS)
    assert list(column) == [
        pytest.approx(tiles_time_s(m, 4096, 1024, flop_per_s=1e12, tiling=UNITS)) for m in rows
    ]


def test_a_cache_serves_what_it_holds() -> None:
    read = matmul_time_s(1, 8192, 8192, device=REAL)
    held = matmul_time_s(1, 8192, 8192, device=REAL, cached_share=1.0)
    assert read / 3.5 < held < read / 2


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


def test_a_token_goes_once_to_a_rank() -> None:
    # Two ranks, two experts: both on one in half of the cases.
    assert ranks_reached(2, 2) == pytest.approx(1.5)
    assert ranks_reached(1, 64) == pytest.approx(1.0)
    assert ranks_reached(8, 1) == pytest.approx(1.0)
    assert ranks_reached(8, 1e6) == pytest.approx(8.0, rel=1e-4)


def test_few_products_and_many_take_the_same_time() -> None:
    """Shapes of a tile are tried side by side for a short column, one after the other for a long one."""
    units = Tiling(units=132, load_bytes_per_s=5e10, step_s=1e-8, wave_s=1e-7, split_s=1e-6, tail_share=0.5)
    rows = np.arange(1.0, AT_ONCE + 2)
    many = tiles_time_s(rows, 4096, 8192, flop_per_s=5e14, tiling=units)
    few = tiles_time_s(rows[:100], 4096, 8192, flop_per_s=5e14, tiling=units)
    assert few.tolist() == many[:100].tolist()
    assert [tiles_time_s(float(m), 4096, 8192, flop_per_s=5e14, tiling=units) for m in rows[:100]] == (
        pytest.approx(few.tolist(), rel=1e-12)
    )
