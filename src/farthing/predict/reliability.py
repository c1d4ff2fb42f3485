"""Failures: how often they come, how often to checkpoint, and what time they cost.

Failures are independent and come at a constant rate (exponential times between them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from farthing.predict.trace import Number, formula, named, untraced


@formula(reference="li-2023-article")
def cluster_mtbf_s(component_mtbf_s: Number, components: Number) -> Number:
    """Mean time between failures of many like components, any of which stops the job.

    ``component MTBF / components``.

    Parameters
    ----------
    component_mtbf_s
        Of one component [s], scalar or column.
    components
        How many, scalar or column.

    Returns
    -------
    Number
        Mean time between failures [s], scalar or column.

    Notes
    -----
    Range: components fail independently; components >= 1.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> cluster_mtbf_s(30 * 86400, 2048) / 60
    21.09375
    """
    return component_mtbf_s / components


@formula(reference="young-1974")
def combined_mtbf_s(class_mtbf_s: Sequence[Number]) -> Number:
    """Mean time between failures of several classes of components together.

    ``1 / sum(1 / MTBF)``: the rates add.

    Parameters
    ----------
    class_mtbf_s
        Of all cards, all hosts, all links ... [s], each a scalar or column; infinite where a class never
        fails.

    Returns
    -------
    Number
        Mean time between failures [s], scalar or column.

    Notes
    -----
    Range: at least one class, at least one of them finite; independent failures.

    References
    ----------
    young-1974

    Examples
    --------
    >>> combined_mtbf_s([6000, 3000])
    2000.0
    """
    first, *others = class_mtbf_s
    failures_per_s = 1 / first
    for mtbf_s in others:
        failures_per_s = failures_per_s + 1 / mtbf_s
    return 1 / failures_per_s


@formula(reference="rajbhandari-2020")
def checkpoint_bytes(parameters: Number, bytes_per_parameter: Number) -> Number:
    """Size of a checkpoint: ``parameters × bytes per parameter``.

    Parameters
    ----------
    parameters
        Of the whole model, scalar or column.
    bytes_per_parameter
        Weights and optimizer state [byte]; 14 for 16-bit weights with Adam's fp32 master weights, momentum
        and variance, scalar or column.

    Returns
    -------
    Number
        Size [byte], scalar or column.

    Notes
    -----
    Range: each state stored once, not per replica.

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> checkpoint_bytes(70e9, 14)
    980000000000.0
    """
    return parameters * bytes_per_parameter


@formula(reference="young-1974")
def checkpoint_time_s(stored_bytes: Number, storage_bytes_per_s: Number) -> Number:
    """Time to write or read a checkpoint: ``size / bandwidth``.

    Parameters
    ----------
    stored_bytes
        Size [byte], scalar or column.
    storage_bytes_per_s
        What all writers reach together [byte/s], scalar or column.

    Returns
    -------
    Number
        Time [s], scalar or column.

    Notes
    -----
    Range: the job waits for the write; for an asynchronous one take the time that it does wait.

    References
    ----------
    young-1974

    Examples
    --------
    >>> checkpoint_time_s(980e9, 9.8e9)
    100.0
    """
    return stored_bytes / storage_bytes_per_s


@formula(reference="young-1974")
def young_interval_s(checkpoint_time_s: Number, mtbf_s: Number) -> Number:
    """Best time of work between two checkpoints, to first order: ``sqrt(2 × checkpoint × MTBF)``.

    Parameters
    ----------
    checkpoint_time_s
        That the job waits for one checkpoint [s], scalar or column.
    mtbf_s
        Of all that can stop the job [s], scalar or column.

    Returns
    -------
    Number
        Interval [s], scalar or column, without the checkpoint itself.

    Notes
    -----
    Range: checkpoint_time_s far below mtbf_s; else `daly_interval_s`.

    References
    ----------
    young-1974

    Examples
    --------
    >>> round(float(young_interval_s(60, 3 * 3600)), 1)
    1138.4
    """
    return np.sqrt(2 * checkpoint_time_s * mtbf_s)


@formula(reference="daly-2006")
def daly_interval_s(checkpoint_time_s: Number, mtbf_s: Number) -> Number:
    """Best time of work between two checkpoints, to higher order.

    With ``x = sqrt(checkpoint / (2 MTBF))``: ``MTBF (2 x (1 + x / 3 + x² / 9) - 2 x²)``, where the
    last part is the checkpoint itself. From ``x = 1``, a checkpoint of twice the MTBF, it is the MTBF.

    Parameters
    ----------
    checkpoint_time_s
        That the job waits for one checkpoint [s], scalar or column.
    mtbf_s
        Of all that can stop the job [s], scalar or column.

    Returns
    -------
    Number
        Interval [s], scalar or column, without the checkpoint itself.

    Notes
    -----
    Range: any. Within 1% of the minimum of `lost_time_share` while a checkpoint takes less than half the
    MTBF (a test holds it).

    References
    ----------
    daly-2006

    Examples
    --------
    >>> round(float(daly_interval_s(60, 3 * 3600)), 1)
    1098.8
    """
    x = named("x", np.sqrt(checkpoint_time_s / (2 * mtbf_s)))
    return mtbf_s * np.where(x < 1, 2 * x * (1 + x / 3 + x**2 / 9) - 2 * x**2, 1)


@formula(reference="daly-2006")
def effective_time_share(
    interval_s: Number, checkpoint_time_s: Number, restart_time_s: Number, mtbf_s: Number
) -> Number:
    """Share of the wall-clock time that makes progress which is kept.

    ``interval / (MTBF × exp(restart / MTBF) × (exp((interval + checkpoint) / MTBF) - 1))``.

    Parameters
    ----------
    interval_s
        Work between two checkpoints [s], scalar or column.
    checkpoint_time_s, restart_time_s
        Time of one checkpoint, and from a failure until work goes on [s], scalar or column.
    mtbf_s
        Of all that can stop the job [s], scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Exact for exponential failures, which also strike while checkpointing and restarting. Range:
    interval_s > 0; all times below some 300 MTBF.

    References
    ----------
    daly-2006

    Examples
    --------
    >>> round(float(effective_time_share(1099, 60, 300, 3 * 3600)), 4)
    0.8737
    """
    restarts = np.exp(restart_time_s / mtbf_s)
    expected_s = mtbf_s * restarts * np.expm1((interval_s + checkpoint_time_s) / mtbf_s)
    return interval_s / expected_s


@formula(reference="daly-2006")
def lost_time_share(
    interval_s: Number, checkpoint_time_s: Number, restart_time_s: Number, mtbf_s: Number
) -> Number:
    """Share of the wall-clock time lost to checkpoints, restarts and work done again.

    ``1 - effective time share``.

    Parameters
    ----------
    interval_s, checkpoint_time_s, restart_time_s, mtbf_s
        As in `effective_time_share` [s], scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    The range of `effective_time_share`.

    References
    ----------
    daly-2006

    Examples
    --------
    >>> round(float(lost_time_share(1099, 60, 300, 3 * 3600)), 4)
    0.1263
    """
    return 1 - effective_time_share(interval_s, checkpoint_time_s, restart_time_s, mtbf_s)


@formula(reference="young-1974")
def first_order_lost_time_share(
    interval_s: Number, checkpoint_time_s: Number, restart_time_s: Number, mtbf_s: Number
) -> Number:
    """The same by hand: ``checkpoint / interval + (interval / 2 + restart) / MTBF``, at most 1.

    A checkpoint each interval; a failure each MTBF, which costs a restart and half an interval of work.

    Parameters
    ----------
    interval_s, checkpoint_time_s, restart_time_s, mtbf_s
        As in `effective_time_share` [s], scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Range: all times far below the MTBF.

    References
    ----------
    young-1974

    Examples
    --------
    >>> round(float(first_order_lost_time_share(1099, 60, 300, 3 * 3600)), 4)
    0.1333
    """
    share = checkpoint_time_s / interval_s + (interval_s / 2 + restart_time_s) / mtbf_s
    return np.minimum(share, 1)


@formula(reference="li-2023-article")
def naive_loss_share(recovery_s: Number, mtbf_s: Number) -> Number:
    """Share of time spent recovering, where nothing else is lost: ``recovery / MTBF``, at most 1.

    Parameters
    ----------
    recovery_s
        From a failure until work goes on [s], scalar or column.
    mtbf_s
        Of all that can stop the job [s], scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    Notes
    -----
    Range: a first guess; `lost_time_share` also counts checkpoints and work done again.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> round(float(naive_loss_share(10 * 60, 21.09375 * 60)), 3)
    0.474
    """
    return np.minimum(recovery_s / mtbf_s, 1)


@formula(reference="young-1974")
def spares_needed(mtbf_s: Number, repair_time_s: Number, *, confidence: Number = 0.99) -> Number:
    """Spare components that cover all that are under repair at a time, with a given confidence.

    The smallest ``k`` for which a Poisson count of mean ``repair time / MTBF`` is at most ``k`` with the
    confidence asked for.

    Parameters
    ----------
    mtbf_s
        Of all like components together [s], scalar or column.
    repair_time_s
        From a failure until the component, or its replacement, is a spare again [s], scalar or column.
    confidence
        Probability that the spares suffice, 0..1 without the end, scalar or column.

    Returns
    -------
    Number
        Whole spares, scalar or column.

    Notes
    -----
    Exact for independent repairs, whatever their distribution. Range: a mean below 1e8.

    References
    ----------
    young-1974 (failures at a constant rate; the rest is the Poisson distribution)

    Examples
    --------
    >>> float(spares_needed(21.09375 * 60, 7 * 86400, confidence=0.99))
    529.0
    """
    mean = np.asarray(untraced(repair_time_s) / untraced(mtbf_s), dtype=float)
    wanted = np.asarray(untraced(confidence), dtype=float)
    mean, wanted = np.broadcast_arrays(np.maximum(mean, 1e-300), wanted)
    # Ten deviations below the mean there is nothing left to count; logarithms keep large means finite.
    spares = np.floor(np.maximum(mean - 10 * np.sqrt(mean), 0))
    log_gamma = np.array([math.lgamma(k + 1) for k in spares.ravel()]).reshape(spares.shape)
    log_probability = spares * np.log(mean) - mean - log_gamma
    count, covered = spares.copy(), np.exp(log_probability)
    for _ in range(int(22 * math.sqrt(float(mean.max()))) + 60):
        short = covered < wanted
        if not short.any():
            break
        spares = spares + short
        count = count + 1
        log_probability = log_probability + np.log(mean / count)
        covered = covered + np.exp(log_probability)
    return spares[()]
