"""What a chip costs to make: dies of a wafer, yield, memory, package, board."""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import numpy as np

from farthing.errors import InvalidInput
from farthing.predict.trace import Number, formula
from farthing.records.chip import YieldModel

_NEGLIGIBLE: Final = 1e-13
_MOST_DEFECTS: Final = 100_000


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


@formula()
def defects_per_die(die_area_mm2: Number, defects_per_cm2: Number) -> Number:
    """Fatal defects of a die on average: ``area × density``.

    Parameters
    ----------
    die_area_mm2
        Area [mm²], scalar or column.
    defects_per_cm2
        Mean of fatal defects [1/cm²], scalar or column.

    Returns
    -------
    Number
        Defects, scalar or column.

    Notes
    -----
    Range: any.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(defects_per_die(814, 0.1), 3)
    0.814
    """
    return die_area_mm2 / 100 * defects_per_cm2


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
    return np.exp(-defects_per_die(die_area_mm2, defects_per_cm2))


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
    defects = np.maximum(defects_per_die(die_area_mm2, defects_per_cm2), 1e-12)
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
    return (1 + defects_per_die(die_area_mm2, defects_per_cm2) / clustering) ** (-clustering)


@formula(
    reference="koren-1998",
    shows="share of dies where all defects, defects per die on average, lie in no more units than are off",
)
def harvested_yield(
    defects: Number,
    *,
    units: int,
    enabled_units: int,
    unit_area_share: float,
    yield_model: YieldModel = "murphy",
    clustering: float = 3.0,
) -> Number:
    """Share of dies that can be sold where units with a defect are switched off.

    ``sum over N of P(N defects) × P(they fall into units, and into no more than units - enabled of them)``.

    Parameters
    ----------
    defects
        Fatal defects of a die on average (`defects_per_die`), scalar or column.
    units, enabled_units
        Like units on the die, and those that a buyer gets.
    unit_area_share
        Share of the die that the units fill, 0..1; a defect elsewhere is fatal.
    yield_model
        How the number of defects on a die spreads: ``poisson``, ``murphy`` or ``negative-binomial``.
    clustering
        Of the last.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Range: units of one size, defects that hit one unit each, one density over a whole die. With no units to
    spare it is the yield of the same model.

    References
    ----------
    koren-1998

    Examples
    --------
    An H100 sells 132 of 144 units; without that, 47% of its dies would do.

    >>> share = harvested_yield(0.814, units=144, enabled_units=132, unit_area_share=0.5)
    >>> round(share, 3)
    0.675
    """
    if not (0 < enabled_units <= units and 0 <= unit_area_share <= 1 and clustering > 0):
        raise InvalidInput(
            "harvest: give 0 < enabled_units <= units, unit_area_share in 0..1 and clustering above 0, not "
            f"{enabled_units} of {units}, {unit_area_share:g} and {clustering:g}"
        )

    def share(mean: float) -> float:
        return _sold_share(mean, units, units - enabled_units, unit_area_share, yield_model, clustering)

    return np.vectorize(share, otypes=[float])(defects) if np.ndim(defects) else share(float(defects))


def _sold_share(
    mean: float, units: int, spare: int, share: float, yield_model: YieldModel, clustering: float
) -> float:
    """Defect by defect: each falls into a unit that is hit already, into a new one, or kills the die."""
    if mean == 0 or (spare == units and share == 1):
        return 1.0
    hit = np.arange(spare + 1)
    # Chance that the die can be sold and so many of its units are hit, after each defect.
    alive = np.zeros(spare + 1)
    alive[0] = 1.0
    sold = counted = 0.0
    for number in range(_MOST_DEFECTS):
        chance = _defects_chance(number, mean, yield_model, clustering)
        counted += chance
        sold += chance * float(alive.sum())
        alive[1:] = alive[1:] * hit[1:] + alive[:-1] * (units - hit[:-1])
        alive[0] = 0.0
        alive *= share / units
        if min(float(alive.sum()), 1 - counted) < _NEGLIGIBLE:
            break
    return min(sold, 1.0)


@functools.cache
def _triangle() -> tuple[Any, Any]:
    """Densities over their mean, and weights: Murphy's triangle from 0 to 2, each side integrated alone."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    densities = np.concatenate(((nodes + 1) / 2, (nodes + 3) / 2))
    return densities, np.concatenate((weights, weights)) / 2 * (1 - np.abs(densities - 1))


def _defects_chance(number: int, mean: float, yield_model: YieldModel, clustering: float) -> float:
    """Chance of so many defects on a die."""
    if yield_model == "poisson":
        return math.exp(number * math.log(mean) - mean - math.lgamma(number + 1))
    if yield_model == "murphy":
        densities, weights = _triangle()
        log = number * np.log(mean * densities) - mean * densities - math.lgamma(number + 1)
        return float(np.sum(weights * np.exp(log)))
    return math.exp(
        math.lgamma(number + clustering)
        - math.lgamma(clustering)
        - math.lgamma(number + 1)
        - clustering * math.log1p(mean / clustering)
        + number * math.log(mean / (clustering + mean))
    )


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


@formula()
def margin_share(cost_usd: Number, price_usd: Number) -> Number:
    """Part of a price that does not go into the thing: ``1 - cost / price``.

    Parameters
    ----------
    cost_usd
        What it costs to make [USD], scalar or column.
    price_usd
        What it is sold for [USD], scalar or column.

    Returns
    -------
    Number
        Share, at most 1 and below 0 where it is sold at a loss, scalar or column.

    Notes
    -----
    Range: price_usd > 0. It pays for development, sales, traders and profit.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> margin_share(2_000, 30_000) > 0.93
    True
    """
    return 1 - cost_usd / price_usd
