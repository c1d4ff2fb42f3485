"""Where an axis begins, ends and has its ticks, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from farthing.records.chart import Scale

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_LARGE: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """The range of an axis.

    Attributes
    ----------
    low, high
        Its ends.
    values
        Its ticks, upwards.
    scale
        ``linear`` or ``log``.
    """

    low: float
    high: float
    values: tuple[float, ...]
    scale: Scale

    def share(self, value: float) -> float:
        """How far along the axis a value is, 0..1."""
        low, high, place = (math.log10(v) if self.scale == "log" else v for v in (self.low, self.high, value))
        return (place - low) / (high - low)

    def value(self, share: float) -> float:
        """What is so far along the axis: the inverse of `share`."""
        if self.scale == "log":
            low, high = math.log10(self.low), math.log10(self.high)
            return float(10.0 ** (low + share * (high - low)))
        return self.low * (1 - share) + self.high * share


def ticks(values: Iterable[float], scale: Scale, wanted: int = 6, *, zero: bool = False) -> Ticks:
    """Round ticks around values, and the range that they span.

    Parameters
    ----------
    values
        Finite, and above 0 where the scale is ``log``; none at all gives 0..1 or 1..10.
    scale
        ``linear`` or ``log``.
    wanted
        About so many ticks.
    zero
        Begin at 0, where no value is below.

    Examples
    --------
    >>> ticks([12.0, 87.0], "linear").values
    (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    >>> ticks([0.3, 40.0], "log").values
    (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    """
    found = list(values)
    return _log_ticks(found, wanted) if scale == "log" else _linear_ticks(found, wanted, zero)


def _linear_ticks(values: list[float], wanted: int, zero: bool) -> Ticks:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if (zero and low > 0) or 0 <= low < 0.3 * high:
        low = 0.0  # An axis that nearly begins at 0 should.
    if high == low:
        low, high = (0.0, 1.25 * high) if high > 0 else (1.25 * low, 0.0) if low < 0 else (0.0, 1.0)
    raw = (high - low) / wanted
    if raw < 1e-300:
        return Ticks(low=low, high=high, values=(low, high), scale="linear")
    decade = 10.0 ** math.floor(math.log10(raw))
    step = next(s * decade for s in _STEPS if s * decade >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    found = tuple(float(f"{number * step:.12g}") for number in range(first, last + 1))
    if len(set(found)) < max(
        len(found), 2
    ):  # Values so near to each other have no round numbers between them.
        return Ticks(low=low, high=high, values=(low, high), scale="linear")
    return Ticks(low=found[0], high=found[-1], values=found, scale="linear")


def _log_ticks(values: list[float], wanted: int) -> Ticks:
    low, high = min(values, default=1.0), max(values, default=10.0)
    if high < 1.0001 * low:
        low, high = low / 2, high * 2
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = max(last - first, 1)
    factors = (1, 2, 5) if decades <= 3 else (1,)
    stride = max(1, math.ceil(decades / (wanted + 2)))
    marks = [
        float(f"{factor}e{power}") for power in range(first, last + stride, stride) for factor in factors
    ]
    marks = [mark for mark in marks if math.isfinite(mark)]
    begin = max((mark for mark in marks if mark <= low * 1.000001), default=low)
    end = min((mark for mark in marks if mark >= high * 0.999999), default=high)
    found = tuple(mark for mark in marks if begin <= mark <= end)
    return Ticks(low=begin, high=end, values=found, scale="log")


def figure(value: float, *, full: bool = False) -> str:
    """A number in few digits: three of them, and a letter for thousands and more.

    Parameters
    ----------
    value
        Any finite one.
    full
        Write all three digits of it, also zeros at the end.

    Examples
    --------
    >>> [figure(value) for value in (0, 0.0456, 7.25, 1234, 56_780, 2.5e6, 3e9, 1e20)]
    ['0', '0.0456', '7.25', '1,234', '56.8k', '2.5M', '3B', '1e+20']
    >>> [figure(value, full=True) for value in (1, 0.51, 200, 2.5e6, 500e3)]
    ['1.00', '0.510', '200', '2.50M', '500k']
    """
    three = "#.3g" if full and value else ".3g"
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if size >= 9999.5:
        for factor, letter in _LARGE:
            if size >= factor * 0.9995:
                digits = three if size < factor * 999.5 else ".0f"
                return f"{value / factor:{digits}}".rstrip(".") + letter
    return f"{value:,.0f}" if size >= 99.95 else f"{value:{three}}"


def tick_texts(values: Iterable[float]) -> list[str]:
    """The ticks in words; with more digits where three would make two ticks the same.

    Examples
    --------
    >>> tick_texts([0.0, 50.0, 100.0]), tick_texts([10_000.0, 10_010.0])
    (['0', '50', '100'], ['10,000', '10,010'])
    """
    found = list(values)
    short = [figure(value) for value in found]
    for digits in (6, 9, 12, 15):
        if len(set(short)) == len(short):
            break
        short = [f"{value:,.{digits}g}" for value in found]
    return short
