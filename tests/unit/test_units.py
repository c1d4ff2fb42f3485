"""Numbers as people write and read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InvalidInput
from farthing.units import (
    BYTES_PER_GBIT,
    DAY,
    GIB,
    MONTH,
    YEAR,
    format_bytes,
    format_bytes_per_s,
    format_count,
    format_flop,
    format_flop_per_s,
    format_quantity,
    format_seconds,
    format_usd,
    format_watts,
    parse_bytes,
    parse_seconds,
    parse_tokens,
    unit_of,
)


def test_constants() -> None:
    assert GIB == 1024**3
    assert BYTES_PER_GBIT == 125e6
    assert pytest.approx(YEAR) == 12 * MONTH == 365 * DAY


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80GiB", 80 * 1024**3),
        ("24 GB", 24e9),
        ("512", 512),
        ("1.5TB", 1.5e12),
        ("1_000 kB", 1e6),
        ("2mib", 2 * 1024**2),
    ],
)
def test_sizes(text: str, value: float) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("2T", 2e12), ("15B", 15e9), ("300m", 3e8), ("1,024", 1024), ("1e9", 1e9)]
)
def test_counts(text: str, value: float) -> None:
    assert parse_tokens(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("50ms", 0.05), ("3h", 10800), ("2 us", 2e-6), ("1.5d", 129600), ("7", 7)]
)
def test_durations(text: str, value: float) -> None:
    assert parse_seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "GB", "80 parsecs", "-5GB", "1.2.3", "nan", "inf", "1e999", "5 5"])
@pytest.mark.parametrize("parse", [parse_bytes, parse_tokens, parse_seconds])
def test_nonsense_is_refused(parse: object, text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text)  # type: ignore[operator]


def test_the_message_shows_how_to_write_it() -> None:
    with pytest.raises(InvalidInput, match="80GiB"):
        parse_bytes("lots")


@given(st.floats(1, 1e17))
def test_sizes_survive_within_their_three_digits(value: float) -> None:
    assert parse_bytes(format_bytes(value)) == pytest.approx(value, rel=6e-3)
    assert parse_bytes(format_bytes(value, binary=True)) == pytest.approx(value, rel=6e-3)


@given(st.floats(1e-9, 1e9))
def test_durations_never_lose_their_size(value: float) -> None:
    text = format_seconds(value).replace("days", "d").replace(" ", "")
    assert parse_seconds(text) == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (format_bytes(0), "0 B"),
        (format_bytes(-1.5e9), "-1.50 GB"),
        (format_bytes(999.9e6), "1.00 GB"),
        (format_bytes_per_s(3.35e12), "3.35 TB/s"),
        (format_flop(2e15), "2.00 PFLOP"),
        (format_flop_per_s(989e12), "989 TFLOP/s"),
        (format_count(70e9), "70.0 B"),
        (format_usd(0), "$0.00"),
        (format_usd(1234.5), "$1,234"),
        (format_watts(700), "700 W"),
        (format_seconds(0.0175), "17.5 ms"),
        (format_quantity(327680, "byte/token"), "320 KiB/token"),
        (format_quantity(math.inf, "s"), "inf"),
        (format_quantity(12, "sequence"), "12 sequence"),
    ],
)
def test_readable(found: str, text: str) -> None:
    assert found == text


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("weight_bytes", "byte"),
        ("kv_bytes_per_token", "byte/token"),
        ("memory_bytes_per_s", "byte/s"),
        ("peak_flop_per_s", "FLOP/s"),
        ("matmul_flop", "FLOP"),
        ("tokens_per_s", "token/s"),
        ("tokens_per_usd", "token/USD"),
        ("usd_per_s", "USD/s"),
        ("power_w", "W"),
        ("energy_j", "J"),
        ("step_s", "s"),
        ("tp", ""),
        ("layers", ""),
    ],
)
def test_units_of_names(name: str, unit: str) -> None:
    assert unit_of(name) == unit
