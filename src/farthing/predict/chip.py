"""What a chip costs to make: dies of a wafer, yield, memory, package, board."""

from __future__ import annotations

import numpy as np

from farthing.predict.trace import Number, formula


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
