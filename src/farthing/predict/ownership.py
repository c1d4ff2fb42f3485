"""Owning a rig: what it costs with interest and a sale at its end, how busy it is, what a circuit feeds."""

from __future__ import annotations

from typing import Final

import numpy as np

from farthing.errors import InvalidInput
from farthing.predict.money import financed_usd_per_s, payback_s
from farthing.predict.trace import Number, formula

SWING: Final = {"sine": 1 / 2, "office-hours": 8 / 24}
"""Shapes of a day and the mean of their swing from trough to peak: even waves, or a peak from 9 to 17."""

QUIETEST_HOUR: Final = 3
"""When demand is least, and 12 hours before it is most: a choice that no mean depends on."""

MOST_HOURS: Final = 366 * 24
"""A leap year."""


@formula()
def owned_usd_per_s(
    price_usd: Number, years: Number, annual_interest: Number = 0, residual_share: Number = 0
) -> Number:
    """Capital recovery: annuity on price less discounted sale, ``price × (1 - share / (1 + r)^years)``.

    Parameters
    ----------
    price_usd
        What the hardware costs [USD], scalar or column.
    years
        Until it is sold [year of 8760 h], scalar or column.
    annual_interest
        Rate r a year, 0.08 for 8%, of a loan or of what the money would earn elsewhere, scalar or column.
    residual_share
        Share of the price that the sale brings then, 0..1, scalar or column; see `residual_share`.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column, whether it is used or not.

    Notes
    -----
    Range: years > 0, annual_interest >= 0, with `capital_usd_per_s` as its limit at 0; payments at the end of
    each year. Taxes are left out.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(float(owned_usd_per_s(40_000, 3, 0.08, 0.4) * 3600), 3)
    1.209
    """
    sunk_usd = price_usd * (1 - residual_share / (1 + annual_interest) ** years)
    return financed_usd_per_s(sunk_usd, annual_interest, years)


@formula()
def net_present_cost_usd(
    price_usd: Number,
    running_usd_per_s: Number,
    years: Number,
    annual_interest: Number = 0,
    residual_share: Number = 0,
) -> Number:
    """All that owning costs, today: ``price × (1 - share / (1 + r)^years) + running / annuity of 1``.

    Parameters
    ----------
    price_usd
        What the hardware costs [USD], scalar or column.
    running_usd_per_s
        Electricity, hosting and the like [USD/s], scalar or column.
    years
        Until it is sold [year of 8760 h], scalar or column.
    annual_interest
        Rate r a year, 0.08 for 8%, scalar or column.
    residual_share
        Share of the price that the sale brings then, 0..1, scalar or column.

    Returns
    -------
    Number
        Cost [USD], scalar or column.

    Notes
    -----
    Range: years > 0, annual_interest >= 0; running costs are paid at the end of each year, as in an annuity.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(float(net_present_cost_usd(40_000, 1 / 3600, 3, 0.08, 0.4)))
    49874
    """
    sunk_usd = price_usd * (1 - residual_share / (1 + annual_interest) ** years)
    return sunk_usd + running_usd_per_s / financed_usd_per_s(1, annual_interest, years)


@formula()
def break_even_s(price_usd: Number, owned_running_usd_per_s: Number, alternative_usd_per_s: Number) -> Number:
    """Time after which owning is cheaper than renting or an API: `payback_s` of what is no longer paid.

    Parameters
    ----------
    price_usd
        What the hardware costs [USD], scalar or column.
    owned_running_usd_per_s
        Electricity, hosting and the like of the own hardware [USD/s], scalar or column.
    alternative_usd_per_s
        What the same tokens cost rented or from an API [USD/s], scalar or column.

    Returns
    -------
    Number
        Time [s], scalar or column; infinite where the alternative costs no more than the running.

    Notes
    -----
    Range: price_usd > 0. Interest and a sale at the end are left out; see `net_present_cost_usd`.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> months = break_even_s(20_000, 0.5 / 3600, 4 / 3600) / (730 * 3600)
    >>> round(float(months), 1), float(break_even_s(20_000, 1.0, 0.5))
    (7.8, inf)
    """
    return payback_s(price_usd, alternative_usd_per_s, owned_running_usd_per_s)


@formula()
def mean_load(trough_share: Number, peak_share: Number = 1, shape: str = "sine") -> Number:
    """Mean demand over its peak in a day that swings: ``(trough + (peak - trough) × mean swing) / peak``.

    Parameters
    ----------
    trough_share, peak_share
        Least and most demand of the day, in any one unit, scalar or column.
    shape
        ``sine``, half of the swing on average, or ``office-hours``, 8 of 24 hours at the peak.

    Returns
    -------
    Number
        Share of the peak, scalar or column.

    Raises
    ------
    InvalidInput
        No such shape.

    Notes
    -----
    Range: 0 <= trough_share <= peak_share, peak_share > 0. What is built for the peak is this busy.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(mean_load(0.2), 3), round(mean_load(0.25, shape="office-hours"), 3)
    (0.6, 0.5)
    """
    return (trough_share + (peak_share - trough_share) * _mean_swing(shape)) / peak_share


@formula()
def load_curve(trough_share: Number, hours: int = 24, shape: str = "sine") -> Number:
    """Demand over its peak by hour, from midnight: ``trough + (1 - trough) × swing``.

    Parameters
    ----------
    trough_share
        Least demand of the day over the most, 0..1, a scalar.
    hours
        How many, 1 to 8784; every 24 of them are alike.
    shape
        ``sine``, with the trough at 3 and the peak at 15 o'clock, or ``office-hours``, at the peak from 9
        to 17.

    Returns
    -------
    Number
        Share of the peak, a column of one an hour; over whole days its mean is `mean_load`.

    Raises
    ------
    InvalidInput
        No such shape, or no such number of hours.

    Notes
    -----
    Range: 0 <= trough_share <= 1.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> load_curve(0.2, shape="office-hours")[[8, 9, 16, 17]].tolist()
    [0.2, 1.0, 1.0, 0.2]
    >>> curve = load_curve(0.2)
    >>> round(float(curve[3]), 3), round(float(curve[15]), 3), round(float(curve.mean()), 3)
    (0.2, 1.0, 0.6)
    """
    _mean_swing(shape)
    if not (1 <= hours <= MOST_HOURS and hours == int(hours)):
        raise InvalidInput(f"hours must be a whole number from 1 to {MOST_HOURS} (a year), not {hours}")
    hour = np.arange(hours) % 24
    if shape == "sine":
        swing = (1 - np.cos(2 * np.pi * (hour - QUIETEST_HOUR) / 24)) / 2
    else:
        swing = np.where((hour >= 9) & (hour < 17), 1.0, 0.0)
    return trough_share + (1 - trough_share) * swing


def _mean_swing(shape: str) -> float:
    if shape not in SWING:
        raise InvalidInput(f"unknown shape of a day {shape!r}; use one of {', '.join(SWING)}")
    return SWING[shape]


@formula()
def average_power_w(busy_w: Number, idle_w: Number, load: Number) -> Number:
    """Draw of a machine that is busy for a share of the time: ``idle + (busy - idle) × load``.

    Parameters
    ----------
    busy_w, idle_w
        Draw at work and at rest [W], scalar or column.
    load
        Share of the time that it is busy, 0..1, scalar or column.

    Returns
    -------
    Number
        Power [W], scalar or column.

    Notes
    -----
    Range: exact for two states; a server at half its batch draws more than half of the difference.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> average_power_w(2000, 400, 0.5)
    1200.0
    """
    return idle_w + (busy_w - idle_w) * load


@formula(reference="nfpa-2020-nec")
def circuit_w(volts: Number, amperes: Number, continuous_share: Number = 0.8) -> Number:
    """Load that a circuit may carry for hours: ``volts × amperes × share``.

    Parameters
    ----------
    volts
        Of the mains [V], scalar or column.
    amperes
        Rating of the breaker or socket [A], scalar or column.
    continuous_share
        What a load of three hours and more may take of it, 0..1, scalar or column.

    Returns
    -------
    Number
        Power [W], scalar or column.

    Notes
    -----
    Range: single phase at a power factor of 1, which modern power supplies nearly reach. The code of the US
    asks for breakers of 1.25 times the continuous load (article 210.20(A)), hence 0.8; other countries rate
    breakers for their full current, but sockets grow hot near it, and 0.8 is a prudent choice there.

    References
    ----------
    nfpa-2020-nec

    Examples
    --------
    >>> circuit_w(120, 15), circuit_w(230, 16)
    (1440.0, 2944.0)
    """
    return volts * amperes * continuous_share
