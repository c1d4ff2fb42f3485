"""Units: the one place that knows anything but SI base units.

Inside farthing every number is in byte, second, FLOP/s, USD or watt. People write and read
``80GiB``, ``2T`` tokens, ``50ms``; this module turns one into the other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from farthing.errors import InvalidInput

KILO: Final = 1e3
MEGA: Final = 1e6
GIGA: Final = 1e9
TERA: Final = 1e12
PETA: Final = 1e15
KIB: Final = 2.0**10
MIB: Final = 2.0**20
GIB: Final = 2.0**30
TIB: Final = 2.0**40

MICROSECOND: Final = 1e-6
MILLISECOND: Final = 1e-3
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
YEAR: Final = 365 * DAY
MONTH: Final = YEAR / 12
"""A twelfth of a year: 730 hours."""

BYTES_PER_GBIT: Final = 1e9 / 8
JOULE_PER_KWH: Final = 3.6e6

_DECIMAL: Final = {"": 1.0, "k": KILO, "m": MEGA, "g": GIGA, "b": GIGA, "t": TERA, "p": PETA}
_BYTES: Final = {
    "": 1.0,
    "b": 1.0,
    **{f"{p}b": f for p, f in (("k", KILO), ("m", MEGA), ("g", GIGA), ("t", TERA), ("p", PETA))},
    **{f"{p}ib": f for p, f in (("k", KIB), ("m", MIB), ("g", GIB), ("t", TIB), ("p", 2.0**50))},
}
_SECONDS: Final = {
    "": 1.0,
    "s": 1.0,
    "ms": MILLISECOND,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "ns": 1e-9,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_QUANTITY: Final = re.compile(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([A-Za-zµ]*)\s*\Z")


def _parse(text: str, factors: dict[str, float], what: str, example: str) -> float:
    match = _QUANTITY.match(text)
    factor = factors.get(match.group(2).lower()) if match else None
    if match is None or factor is None:
        raise InvalidInput(f"{text!r} is not {what}; write it like {example}")
    value = float(match.group(1).replace("_", "").replace(",", "")) * factor
    if not math.isfinite(value):
        raise InvalidInput(f"{text!r} is too large for {what}")
    return value


def parse_bytes(text: str) -> float:
    """Size of a text such as ``80GiB``.

    Examples
    --------
    >>> parse_bytes("80GiB") / 2**30, parse_bytes("24 GB"), parse_bytes("512")
    (80.0, 24000000000.0, 512.0)
    """
    return _parse(text, _BYTES, "a size", "80GiB, 24GB or 512MB")


def parse_tokens(text: str) -> float:
    """Count of a text such as ``2T`` tokens or ``70B`` parameters.

    Examples
    --------
    >>> parse_tokens("2T"), parse_tokens("1.5B"), parse_tokens("4096")
    (2000000000000.0, 1500000000.0, 4096.0)
    """
    return _parse(text, _DECIMAL, "a count", "2T, 15B, 300M or 4096")


def parse_seconds(text: str) -> float:
    """Duration of a text such as ``50ms``.

    Examples
    --------
    >>> parse_seconds("50ms"), parse_seconds("2s"), parse_seconds("3h")
    (0.05, 2.0, 10800.0)
    """
    return _parse(text, _SECONDS, "a duration", "50ms, 2s, 10min or 3h")


def _three_digits(value: float) -> str:
    """Three significant digits, no exponent for ordinary sizes."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2e}")  # 999.9 is written 1000: one place less
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{digits}f}" if abs(value) < 1e15 else f"{value:.3g}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {steps[-1][1]}".rstrip()
    for factor, unit in steps:
        if abs(value) >= factor * 0.9995:
            return f"{_three_digits(value / factor)} {unit}".rstrip()
    factor, unit = steps[-1]
    return f"{value / factor:.3g} {unit}".rstrip()


def format_bytes(value: float, binary: bool = False) -> str:
    """Readable size, decimal unless ``binary``.

    Examples
    --------
    >>> format_bytes(140e9), format_bytes(24 * 2**30, binary=True), format_bytes(327680, binary=True)
    ('140 GB', '24.0 GiB', '320 KiB')
    """
    if binary:
        return _scaled(value, ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1, "B")))
    return _scaled(value, ((PETA, "PB"), (TERA, "TB"), (GIGA, "GB"), (MEGA, "MB"), (KILO, "kB"), (1, "B")))


def format_seconds(value: float) -> str:
    """Readable duration.

    Examples
    --------
    >>> format_seconds(0.0175), format_seconds(3e-6), format_seconds(86400 * 40), format_seconds(90)
    ('17.5 ms', '3.00 us', '40.0 days', '90.0 s')
    """
    if abs(value) >= 2 * DAY:
        return f"{_three_digits(value / DAY)} days"
    if abs(value) >= 2 * HOUR:
        return f"{_three_digits(value / HOUR)} h"
    if abs(value) >= 10 * MINUTE:
        return f"{_three_digits(value / MINUTE)} min"
    return _scaled(value, ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")))


def format_count(value: float) -> str:
    """Readable count: 70e9 is ``70.0 B``.

    Examples
    --------
    >>> format_count(68_976_648_192), format_count(2e12), format_count(12)
    ('69.0 B', '2.00 T', '12')
    """
    if abs(value) < 1e5 and float(value).is_integer():
        return f"{value:,.0f}"
    return _scaled(value, ((TERA, "T"), (GIGA, "B"), (MEGA, "M"), (KILO, "k"), (1, "")))


def format_flop(value: float) -> str:
    """Readable amount of work.

    Examples
    --------
    >>> format_flop(8.4e23), format_flop(1.97e14)
    ('840,000 EFLOP', '197 TFLOP')
    """
    return _scaled(
        value,
        ((1e18, "EFLOP"), (PETA, "PFLOP"), (TERA, "TFLOP"), (GIGA, "GFLOP"), (MEGA, "MFLOP"), (1, "FLOP")),
    )


def format_flop_per_s(value: float) -> str:
    """Readable rate of work.

    Examples
    --------
    >>> format_flop_per_s(312e12)
    '312 TFLOP/s'
    """
    return format_flop(value) + "/s"


def format_bytes_per_s(value: float) -> str:
    """Readable data rate.

    Examples
    --------
    >>> format_bytes_per_s(1.008e12)
    '1.01 TB/s'
    """
    return format_bytes(value) + "/s"


def format_usd(value: float) -> str:
    """Readable money.

    Examples
    --------
    >>> format_usd(0.0456), format_usd(1.5), format_usd(40000)
    ('$0.0456', '$1.50', '$40,000')
    """
    if abs(value) >= 1000:
        return f"${value:,.0f}"
    if abs(value) >= 1 or value == 0:
        return f"${value:,.2f}"
    return f"${value:.3g}"


def format_watts(value: float) -> str:
    """Readable power.

    Examples
    --------
    >>> format_watts(450), format_watts(10_000)
    ('450 W', '10.0 kW')
    """
    return _scaled(value, ((MEGA, "MW"), (KILO, "kW"), (1, "W")))


def unit_of(name: str) -> str:
    """SI unit that the end of a name states; ``""`` for a plain number.

    Examples
    --------
    >>> unit_of("weight_bytes"), unit_of("matmul_time_s"), unit_of("memory_bytes_per_s"), unit_of("tp")
    ('byte', 's', 'byte/s', '')
    """
    for suffix, unit in (
        ("tokens_per_s", "token/s"),
        ("tokens_per_s_per_sequence", "token/s"),
        ("requests_per_s", "request/s"),
        ("flop_per_s", "FLOP/s"),
        ("op_per_s", "op/s"),
        ("bytes_per_s", "byte/s"),
        ("usd_per_s", "USD/s"),
        ("tokens_per_usd", "token/USD"),
        ("tokens_per_s_per_usd", "token/s/USD"),
        ("per_token", ""),
        ("bytes", "byte"),
        ("flop", "FLOP"),
        ("usd", "USD"),
        ("_w", "W"),
        ("_j", "J"),
        ("_s", "s"),
    ):
        if name.endswith(suffix):
            if suffix == "per_token" and name.endswith("bytes_per_token"):
                return "byte/token"
            return unit
    return ""


_BY_UNIT: Final[dict[str, Callable[[float], str]]] = {
    "byte": lambda v: format_bytes(v),
    "byte/token": lambda v: f"{format_bytes(v, binary=True)}/token",
    "s": format_seconds,
    "FLOP": format_flop,
    "FLOP/s": format_flop_per_s,
    "byte/s": format_bytes_per_s,
    "USD": format_usd,
    "USD/s": lambda v: f"{format_usd(v * HOUR)}/h",
    "W": format_watts,
    "J": lambda v: _scaled(v, ((GIGA, "GJ"), (MEGA, "MJ"), (KILO, "kJ"), (1, "J"))),
    "token/s": lambda v: f"{_three_digits(v)} token/s" if v < 1e6 else f"{format_count(v)} token/s",
    "token/USD": lambda v: f"{format_count(v)} token/USD",
    "request/s": lambda v: f"{_three_digits(v)} request/s",
}


def format_quantity(value: float, unit: str) -> str:
    """Readable value of an SI unit.

    Examples
    --------
    >>> format_quantity(0.0175, "s"), format_quantity(17.5e9, "byte"), format_quantity(0.431, "")
    ('17.5 ms', '17.5 GB', '0.431')
    """
    if not math.isfinite(value):
        return f"{value:g}"
    formatter = _BY_UNIT.get(unit)
    if formatter is not None:
        return formatter(value)
    text = f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.4g}"
    return f"{text} {unit}".rstrip()
