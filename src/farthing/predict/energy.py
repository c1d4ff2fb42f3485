"""Power, energy and electricity."""

from __future__ import annotations

from typing import Final

import numpy as np

from farthing.predict.trace import Number, formula
from farthing.units import JOULE_PER_KWH

IDLE_SHARE: Final = 0.12
"""Draw at rest over TDP where a card's idle power is unknown: an assumption."""

COMPUTE_WEIGHT: Final = 1.0
"""Share of the range from idle to TDP that full use of the arithmetic units takes: an assumption."""

MEMORY_WEIGHT: Final = 0.5
"""Share of the range from idle to TDP that full use of the memory bandwidth takes: an assumption."""


@formula(reference="williams-2009")
def accelerator_power_w(
    tdp_w: Number,
    *,
    compute_share: Number,
    memory_share: Number,
    idle_w: Number = 0,
    compute_weight: Number = COMPUTE_WEIGHT,
    memory_weight: Number = MEMORY_WEIGHT,
) -> Number:
    """Average draw of one accelerator at a given load.

    ``min(tdp, idle + (tdp - idle) × (compute weight × compute share + memory weight × memory share))``:
    each operation and each byte moved costs a fixed energy on top of the draw at rest, and the power
    limit holds.

    Parameters
    ----------
    tdp_w
        Power limit [W], scalar or column.
    compute_share, memory_share
        Achieved FLOP/s and bytes/s over their dense peaks, 0..1, averaged over the time in question,
        scalar or column. A time-weighted mean over prefill and decode is right up to the limit.
    idle_w
        Draw at rest [W], scalar or column; 0 means unknown and takes `IDLE_SHARE` of the TDP.
    compute_weight, memory_weight
        What full use of each would take of the range from idle to TDP, scalar or column.

    Returns
    -------
    Number
        Power [W], scalar or column, between idle and TDP.

    Notes
    -----
    The form is physical; the three constants are assumptions that no measurement here has confirmed.
    They were chosen so that matrix products near the peak reach the TDP (training and prefill on
    data-centre cards do) and that decode bound by memory, at 80-90% of the bandwidth and little
    arithmetic, draws a little over half of it. Published decode measurements spread widely: an H200 under
    an unoptimised engine drew 20-43% of its TDP (arXiv 2605.11999), as its kernels also use less of
    the bandwidth. Clock and voltage scaling and the data's bit patterns are left out.

    References
    ----------
    williams-2009 (the two shares of the roofline; the linear power is this project's)

    Examples
    --------
    >>> decode = accelerator_power_w(700, compute_share=0.05, memory_share=0.85, idle_w=100)
    >>> training = accelerator_power_w(700, compute_share=0.7, memory_share=0.4, idle_w=100)
    >>> round(float(decode)), round(float(training))
    (385, 640)
    """
    rest_w = np.where(idle_w > 0, idle_w, IDLE_SHARE * tdp_w)
    load = compute_weight * compute_share + memory_weight * memory_share
    return np.minimum(rest_w + (tdp_w - rest_w) * load, tdp_w)


@formula(reference="li-2023-article")
def cluster_power_w(
    accelerator_power_w: Number,
    accelerators: Number,
    *,
    host_power_w: Number = 0,
    hosts: Number = 0,
    network_power_w: Number = 0,
    pue: Number = 1,
) -> Number:
    """Draw of a whole cluster at the meter.

    ``(accelerator × accelerators + host × hosts + network) × PUE``.

    Parameters
    ----------
    accelerator_power_w, host_power_w
        Each accelerator, and each host without them [W], scalar or column.
    accelerators, hosts
        How many, scalar or column.
    network_power_w
        All switches and optics [W], scalar or column.
    pue
        Power usage effectiveness: power at the meter over power of the computers, 1 and up, scalar or
        column.

    Returns
    -------
    Number
        Power [W], scalar or column.

    Notes
    -----
    Range: a steady load; power supplies' losses belong in the host's power or the PUE.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> cluster_power_w(400, 8, host_power_w=2000, hosts=1)
    5200
    """
    computers_w = accelerator_power_w * accelerators + host_power_w * hosts + network_power_w
    return computers_w * pue


@formula()
def energy_j(power_w: Number, time_s: Number) -> Number:
    """Energy of a time at a steady power: ``power × time``.

    Parameters
    ----------
    power_w
        Average power [W], scalar or column.
    time_s
        Duration [s], scalar or column.

    Returns
    -------
    Number
        Energy [J], scalar or column.

    Notes
    -----
    Range: any, with the average power.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> energy_j(10_000, 3600)
    36000000
    """
    return power_w * time_s


@formula()
def energy_per_token_j(power_w: Number, tokens_per_s: Number) -> Number:
    """Energy of one token: ``power / tokens per second``.

    Parameters
    ----------
    power_w
        Of everything that makes the tokens [W], scalar or column.
    tokens_per_s
        Throughput of the same [token/s], scalar or column.

    Returns
    -------
    Number
        Energy [J/token], scalar or column.

    Notes
    -----
    Range: tokens_per_s > 0.

    References
    ----------
    Plain arithmetic.

    Examples
    --------
    >>> energy_per_token_j(5200, 13_000)
    0.4
    """
    return power_w / tokens_per_s


@formula(reference="li-2023-article")
def electricity_usd_per_s(power_w: Number, usd_per_kwh: Number) -> Number:
    """What electricity costs: ``power × price / 3.6e6 J per kWh``.

    Parameters
    ----------
    power_w
        At the meter [W], scalar or column.
    usd_per_kwh
        Price [USD/kWh], scalar or column.

    Returns
    -------
    Number
        Cost [USD/s], scalar or column.

    Notes
    -----
    Range: a flat price; demand charges are left out.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(electricity_usd_per_s(5200, 0.1) * 3600, 3)
    0.52
    """
    return power_w * usd_per_kwh / JOULE_PER_KWH
