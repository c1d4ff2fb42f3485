"""Money: what hardware and tokens cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from farthing.predict.trace import Number, formula
from farthing.units import HOUR, MONTH, YEAR


@formula(reference="li-2023-article")
def capital_usd_per_s(price_usd: Number, years: Number, *, residual_share: Number = 0) -> Number:
    """Straight-line depreciation: ``price × (1 - residual share) / (years × 8760 h)``.

    Parameters
    ----------
    price_usd
        What the hardware costs [USD], scalar or column.
    years
        Until it is written off [year of 8760 h], scalar or column.
    residual_share
        Share of the price that a sale brings then, 0..1, scalar or column.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column, whether it is used or not.

    Notes
    -----
    Range: years > 0. Interest is left out; see `financed_usd_per_s`.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(capital_usd_per_s(40_000, 3) * 3600, 3)
    1.522
    """
    return price_usd * (1 - residual_share) / (years * YEAR)


@formula()
def financed_usd_per_s(price_usd: Number, annual_interest: Number, years: Number) -> Number:
    """Annuity that pays a price off with interest: ``price × r / (1 - (1 + r)^-years)`` a year.

    Parameters
    ----------
    price_usd
        What is borrowed [USD], scalar or column.
    annual_interest
        Rate r a year, 0.08 for 8%, scalar or column.
    years
        Number of equal yearly payments [year of 8760 h], scalar or column.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column.

    Notes
    -----
    Range: annual_interest >= 0, with straight-line depreciation as its limit at 0; years > 0.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(float(financed_usd_per_s(40_000, 0.08, 3) * 3600), 3)
    1.772
    """
    # A rate too small to matter stands for none, where the quotient would be 0 / 0.
    rate = np.maximum(annual_interest, 1e-9)
    yearly_usd = price_usd * rate / -np.expm1(-years * np.log1p(rate))
    return yearly_usd / YEAR


@formula()
def hosting_usd_per_s(power_w: Number, usd_per_kw_month: Number) -> Number:
    """Rent of rack space by power: ``power / 1000 × price / 730 h``.

    Parameters
    ----------
    power_w
        That is contracted [W], scalar or column.
    usd_per_kw_month
        Price [USD/kW/month of 730 h], scalar or column.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column.

    Notes
    -----
    Range: any; where the price includes electricity, do not add it again.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(hosting_usd_per_s(10_000, 146) * 3600, 9)
    2.0
    """
    return power_w / 1000 * usd_per_kw_month / MONTH


@formula(reference="li-2023-article")
def rental_usd_per_s(usd_per_hour: Number, accelerators: Number = 1) -> Number:
    """Rent of accelerators: ``price an hour × accelerators / 3600``.

    Parameters
    ----------
    usd_per_hour
        Price of one [USD/h], scalar or column.
    accelerators
        How many, scalar or column.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column.

    Notes
    -----
    Range: any.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> rental_usd_per_s(4.5, 8)
    0.01
    """
    return usd_per_hour * accelerators / HOUR


@formula(reference="li-2023-article")
def cost_usd_per_s(
    capital_usd_per_s: Number,
    electricity_usd_per_s: Number = 0,
    *,
    hosting_usd_per_s: Number = 0,
    rental_usd_per_s: Number = 0,
) -> Number:
    """Everything that a cluster costs: ``capital + electricity + hosting + rental``.

    Parameters
    ----------
    capital_usd_per_s, electricity_usd_per_s, hosting_usd_per_s, rental_usd_per_s
        Each part [USD/s], scalar or column.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column.

    Notes
    -----
    Range: any; staff and taxes are left out.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> cost_usd_per_s(0.5, 0.25)
    0.75
    """
    return capital_usd_per_s + electricity_usd_per_s + hosting_usd_per_s + rental_usd_per_s


@formula(reference="li-2023-article", unit="USD/Mtoken")
def usd_per_million_tokens(usd_per_s: Number, tokens_per_s: Number, *, utilisation: Number = 1) -> Number:
    """Price of a million tokens at cost: ``cost / (tokens per second × utilisation) × 1e6``.

    Parameters
    ----------
    usd_per_s
        Cost of the cluster [USD/s], scalar or column.
    tokens_per_s
        Throughput when busy [token/s], scalar or column.
    utilisation
        Share of the time that it is busy, 0..1, scalar or column.

    Returns
    -------
    Number
        Price [USD per million tokens], scalar or column.

    Notes
    -----
    Range: tokens_per_s and utilisation above 0; the cost runs on while idle.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> usd_per_million_tokens(0.002, 1000), usd_per_million_tokens(0.002, 1000, utilisation=0.5)
    (2.0, 4.0)
    """
    return usd_per_s / (tokens_per_s * utilisation) * 1e6


@formula(reference="li-2023-article")
def tokens_per_usd(tokens_per_s: Number, usd_per_s: Number, *, utilisation: Number = 1) -> Number:
    """Tokens that a dollar buys: ``tokens per second × utilisation / cost``.

    Parameters
    ----------
    tokens_per_s
        Throughput when busy [token/s], scalar or column.
    usd_per_s
        Cost of the cluster [USD/s], scalar or column.
    utilisation
        Share of the time that it is busy, 0..1, scalar or column.

    Returns
    -------
    Number
        Tokens [token/USD], scalar or column.

    Notes
    -----
    Range: usd_per_s > 0.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(tokens_per_usd(44e6 / 3600, 2 / 3600))
    22000000
    """
    return tokens_per_s * utilisation / usd_per_s


@formula(reference="li-2023-article")
def payback_s(price_usd: Number, income_usd_per_s: Number, running_usd_per_s: Number = 0) -> Number:
    """Time until the income has paid a price: ``price / (income - running cost)``.

    Parameters
    ----------
    price_usd
        What was paid [USD], scalar or column.
    income_usd_per_s, running_usd_per_s
        Income, and electricity and hosting [USD/s], scalar or column.

    Returns
    -------
    Number
        Time [s], scalar or column; infinite where the income does not cover the running cost.

    Notes
    -----
    Range: price_usd > 0. Interest is left out.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(float(payback_s(30_000, 6 / 3600)) / (730 * 3600), 1)
    6.8
    """
    margin_usd_per_s = np.maximum(income_usd_per_s - running_usd_per_s, 0)
    with np.errstate(divide="ignore", over="ignore"):
        return np.divide(price_usd, margin_usd_per_s)


@formula(reference="li-2023-article")
def bill_usd(quantities: Sequence[Number], unit_prices_usd: Sequence[Number]) -> Number:
    """Sum of a bill of materials: ``quantity × unit price`` of each row.

    Parameters
    ----------
    quantities
        One a row, each a scalar or column.
    unit_prices_usd
        One a row [USD], each a scalar or column.

    Returns
    -------
    Number
        Price [USD], scalar or column.

    Raises
    ------
    ValueError
        The two have not the same number of rows.

    Notes
    -----
    Range: any; no rows cost 0.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> bill_usd([8, 8, 1, 8], [1600, 150, 750, 700])
    20350
    """
    rows = [quantity * price for quantity, price in zip(quantities, unit_prices_usd, strict=True)]
    return sum(rows[1:], start=rows[0]) if rows else 0
