"""Plain arithmetic by name, for data that add, multiply or divide what prediction functions return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from farthing.predict.trace import Number


def total(parts: Sequence[Number]) -> Number:
    """Sum of some numbers of like unit.

    Parameters
    ----------
    parts
        One or more, each a scalar or column.

    Returns
    -------
    Number
        In the unit of the parts, scalar or column.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> total([17.5, 4.5])
    22.0
    """
    first, *others = parts
    for part in others:
        first = first + part
    return first


def difference(whole: Number, part: Number) -> Number:
    """What remains of a number: ``whole - part``.

    Parameters
    ----------
    whole, part
        Scalar or column, of like unit.

    Returns
    -------
    Number
        In the same unit, scalar or column.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> difference(200, 140)
    60
    """
    return whole - part


def product(factors: Sequence[Number]) -> Number:
    """Product of some numbers.

    Parameters
    ----------
    factors
        One or more, each a scalar or column.

    Returns
    -------
    Number
        In the product of their units, scalar or column.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> product([2048, 8])
    16384
    """
    first, *others = factors
    for factor in others:
        first = first * factor
    return first


def quotient(dividend: Number, divisor: Number) -> Number:
    """One number over another.

    Parameters
    ----------
    dividend, divisor
        Scalar or column.

    Returns
    -------
    Number
        In the quotient of their units, scalar or column.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> quotient(1, 8)
    0.125
    """
    return dividend / divisor


def whole_quotient(dividend: Number, divisor: Number) -> Number:
    """One number over another, rounded up.

    Parameters
    ----------
    dividend, divisor
        Scalar or column.

    Returns
    -------
    Number
        Whole, scalar or column.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> float(whole_quotient(80, 12))
    7.0
    """
    return np.ceil(dividend / divisor)
