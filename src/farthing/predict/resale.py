"""What hardware is worth later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from farthing.errors import InvalidInput
from farthing.predict.trace import Number, formula


@formula()
def residual_share(age_years: Number, yearly_decline: Number) -> Number:
    """Share of the launch price that a used piece brings: ``(1 - decline)^age``.

    Parameters
    ----------
    age_years
        From launch to sale [year], scalar or column.
    yearly_decline
        Share of the value that each year takes, below 1, scalar or column; see `yearly_decline`.

    Returns
    -------
    Number
        Share of the launch price, scalar or column; 1 at age 0.

    Notes
    -----
    Range: age_years >= 0, yearly_decline < 1; a negative decline is a rise. Shortages and gluts move used
    prices by half within a year, which no smooth curve shows.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(residual_share(3, 0.2), 3)
    0.512
    """
    return (1 - yearly_decline) ** age_years


@formula()
def yearly_decline(ages_years: Sequence[float], shares: Sequence[float]) -> float:
    """Share of the value that each year takes: ``1 - median(share^(1/age))`` over observed sales.

    Parameters
    ----------
    ages_years
        From launch to sale [year], one a sale.
    shares
        Used price over launch price, one a sale.

    Returns
    -------
    float
        Yearly decline for `residual_share`.

    Raises
    ------
    InvalidInput
        No sales, not as many ages as shares, or one that is not a positive number.

    Notes
    -----
    Range: the ages of the sales; half of the sales fell faster. A median lets no single bargain decide.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> round(yearly_decline([1, 2, 4], [0.8, 0.49, 0.4096]), 3)
    0.2
    """
    ages, kept = np.asarray(ages_years, dtype=float), np.asarray(shares, dtype=float)
    if ages.ndim != 1 or ages.shape != kept.shape or not ages.size:
        raise InvalidInput("give an age and a share of the launch price for each sale, of at least one sale")
    if not (np.all((ages > 0) & (kept > 0)) and np.all(np.isfinite(ages) & np.isfinite(kept))):
        raise InvalidInput("ages of sales and shares of the launch price must be positive numbers")
    return 1 - float(np.median(kept ** (1 / ages)))
