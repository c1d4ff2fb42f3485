"""Money: what hardware, chips and tokens cost."""

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
    with np.errstate(divide="ignore"):
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


@formula(reference="li-2023-article")
def dies_per_wafer(wafer_diameter_mm: Number, die_area_mm2: Number) -> Number:
    """Whole dies on a round wafer: ``floor(π (d/2)² / A - π d / sqrt(2 A))``.

    Parameters
    ----------
    wafer_diameter_mm
        d [mm], 300 today, scalar or column.
    die_area_mm2
        A [mm²], scalar or column.

    Returns
    -------
    Number
        Dies, good and bad, scalar or column.

    Notes
    -----
    Range: dies far smaller than the wafer, near to square. The second term is the loss at the edge;
    scribe lines are left out.

    References
    ----------
    li-2023-article (its count of about 60 dies of 814 mm²; the formula is plain geometry)

    Examples
    --------
    >>> float(dies_per_wafer(300, 814))
    63.0
    """
    whole = np.pi * (wafer_diameter_mm / 2) ** 2 / die_area_mm2
    edge = np.pi * wafer_diameter_mm / np.sqrt(2 * die_area_mm2)
    return np.maximum(np.floor(whole - edge), 0)


@formula(reference="murphy-1964")
def poisson_yield(die_area_mm2: Number, defects_per_cm2: Number) -> Number:
    """Share of good dies where defects fall anywhere: ``exp(-area × density)``.

    Parameters
    ----------
    die_area_mm2
        Area [mm²], scalar or column.
    defects_per_cm2
        Fatal defects [1/cm²], scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Range: any; too low for large dies, as real defects cluster.

    References
    ----------
    murphy-1964

    Examples
    --------
    >>> round(float(poisson_yield(100, 0.1)), 4)
    0.9048
    """
    return np.exp(-(die_area_mm2 / 100 * defects_per_cm2))


@formula(reference="murphy-1964")
def murphy_yield(die_area_mm2: Number, defects_per_cm2: Number) -> Number:
    """Share of good dies where the density varies: ``((1 - exp(-x)) / x)²``, x = area × density.

    Parameters
    ----------
    die_area_mm2
        Area [mm²], scalar or column.
    defects_per_cm2
        Mean of fatal defects [1/cm²], scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Range: any; the density is taken as triangular from 0 to twice its mean.

    References
    ----------
    murphy-1964

    Examples
    --------
    >>> round(float(murphy_yield(814, 0.1)), 3)
    0.468
    """
    # No defects at all would be 0 / 0.
    defects = np.maximum(die_area_mm2 / 100 * defects_per_cm2, 1e-12)
    return (np.expm1(-defects) / defects) ** 2


@formula(reference="stapper-1983")
def negative_binomial_yield(die_area_mm2: Number, defects_per_cm2: Number, *, clustering: Number) -> Number:
    """Share of good dies where defects cluster: ``(1 + area × density / clustering)^-clustering``.

    Parameters
    ----------
    die_area_mm2
        Area [mm²], scalar or column.
    defects_per_cm2
        Mean of fatal defects [1/cm²], scalar or column.
    clustering
        Parameter alpha, small where defects cluster, scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Range: clustering > 0; a large one is the Poisson yield.

    References
    ----------
    stapper-1983

    Examples
    --------
    >>> round(negative_binomial_yield(814, 0.1, clustering=3), 3)
    0.487
    """
    return (1 + die_area_mm2 / 100 * defects_per_cm2 / clustering) ** (-clustering)


@formula(reference="li-2023-article")
def good_dies(dies: Number, yield_share: Number) -> Number:
    """Dies of a wafer that can be sold: ``dies × yield``.

    Parameters
    ----------
    dies
        On the wafer, scalar or column.
    yield_share
        Share that is good, 0..1, scalar or column.

    Returns
    -------
    Number
        Good dies on average, scalar or column.

    Notes
    -----
    Range: any. Dies sold with some units switched off belong in the share.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> good_dies(60, 0.75)
    45.0
    """
    return dies * yield_share


@formula(reference="li-2023-article")
def die_cost_usd(wafer_usd: Number, good_dies: Number) -> Number:
    """Cost of one good die: ``wafer / good dies``.

    Parameters
    ----------
    wafer_usd
        Price of a processed wafer [USD], scalar or column.
    good_dies
        That it yields, scalar or column.

    Returns
    -------
    Number
        Cost [USD], scalar or column.

    Notes
    -----
    Range: good_dies > 0. Design and masks are left out.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> die_cost_usd(15_000, 50)
    300.0
    """
    return wafer_usd / good_dies


@formula(reference="li-2023-article")
def chip_cost_usd(
    die_usd: Number,
    memory_gb: Number,
    memory_usd_per_gb: Number,
    *,
    package_usd: Number = 0,
    board_usd: Number = 0,
) -> Number:
    """Materials of one accelerator: ``die + memory × price + package + board``.

    Parameters
    ----------
    die_usd
        Cost of the good die [USD], scalar or column.
    memory_gb
        Size of its memory [GB], scalar or column.
    memory_usd_per_gb
        Price of the memory [USD/GB], scalar or column.
    package_usd
        Substrate or interposer, package and cooler [USD], scalar or column.
    board_usd
        Circuit board and its parts [USD], scalar or column.

    Returns
    -------
    Number
        Cost [USD], scalar or column.

    Notes
    -----
    Range: materials alone; development, test and margin are left out.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> chip_cost_usd(300, 80, 15, package_usd=300, board_usd=300)
    2100
    """
    return die_usd + memory_gb * memory_usd_per_gb + package_usd + board_usd
