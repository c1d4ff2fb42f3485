"""Time of collectives and of point-to-point transfers: steps x latency plus bytes / bandwidth.

Rates are one-way for one card; a message is what one card holds before (all-reduce, all-to-all) or after
(all-gather) the operation, or before it is scattered (reduce-scatter).
"""

from __future__ import annotations

import numpy as np

from farthing.predict.trace import Number, formula, larger, rounded_up, select, smaller


@formula(reference="hockney-1994")
def point_to_point_time_s(message_bytes: Number, *, bytes_per_s: Number, latency_s: Number) -> Number:
    """Time of one message.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    bytes_per_s, latency_s
        [byte/s], [s]

    Returns
    -------
    Number
        [s]

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> round(point_to_point_time_s(16384, bytes_per_s=125e6, latency_s=250e-6) * 1e3, 3)
    0.381
    """
    return message_bytes / bytes_per_s + latency_s


@formula(reference="hockney-1994")
def largest_message_bytes(time_s: Number, *, bytes_per_s: Number, latency_s: Number) -> Number:
    """Largest message that arrives within a time: `point_to_point_time_s` the other way round.

    Parameters
    ----------
    time_s
        At hand [s], scalar or column.
    bytes_per_s, latency_s
        [byte/s], [s]

    Returns
    -------
    Number
        [byte], scalar or column; 0 where the latency alone takes longer.

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> float(largest_message_bytes(7.5e-3, bytes_per_s=125e6, latency_s=0))
    937500.0
    """
    return larger(time_s - latency_s, 0) * bytes_per_s


@formula(reference="li-2023-article")
def activation_message_bytes(tokens: Number, hidden: Number, *, bytes_per_element: Number = 2) -> Number:
    """What one stage, or one tensor-parallel region, hands on: ``tokens × hidden × element``.

    Parameters
    ----------
    tokens
        Of the micro-batch in this step, scalar or column.
    hidden
        Width of the model.
    bytes_per_element
        [byte]

    Returns
    -------
    Number
        [byte], scalar or column.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> activation_message_bytes(330, 8192)
    5406720
    """
    return tokens * hidden * bytes_per_element


@formula(reference="patarasuk-2009")
def ring_all_reduce_time_s(
    message_bytes: Number, ranks: Number, *, bytes_per_s: Number, latency_s: Number
) -> Number:
    """All-reduce in a ring: 2 (n-1)/n of the message each way, 2 (n-1) steps.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    ranks
        Cards.
    bytes_per_s, latency_s
        [byte/s], [s] a step

    Returns
    -------
    Number
        [s]; bandwidth-optimal.

    References
    ----------
    patarasuk-2009

    Examples
    --------
    >>> round(ring_all_reduce_time_s(1e9, 8, bytes_per_s=100e9, latency_s=0), 4)
    0.0175
    """
    return 2 * (ranks - 1) / ranks * message_bytes / bytes_per_s + 2 * (ranks - 1) * latency_s


@formula(reference="sanders-2009")
def tree_all_reduce_time_s(
    message_bytes: Number, ranks: Number, *, bytes_per_s: Number, latency_s: Number
) -> Number:
    """All-reduce over two pipelined binary trees: twice the message, 2 ceil(log2 n) steps.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    ranks
        Cards.
    bytes_per_s, latency_s
        [byte/s], [s] a step

    Returns
    -------
    Number
        [s]; beats the ring where many ranks exchange little.

    References
    ----------
    sanders-2009

    Examples
    --------
    >>> round(tree_all_reduce_time_s(1e3, 1024, bytes_per_s=25e9, latency_s=5e-6) * 1e6)
    100
    """
    steps = 2 * rounded_up(np.log2(ranks))
    return select(ranks > 1, 2 * message_bytes / bytes_per_s, 0.0) + steps * latency_s


@formula(reference="thakur-2005")
def direct_all_reduce_time_s(
    message_bytes: Number, ranks: Number, *, bytes_per_s: Number, latency_s: Number
) -> Number:
    """All-reduce as a direct reduce-scatter and all-gather: every card talks to all others at once.

    The ring's volume in two steps; needs a switch or a full mesh.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    ranks
        Cards.
    bytes_per_s, latency_s
        [byte/s], [s] a step

    Returns
    -------
    Number
        [s]

    References
    ----------
    thakur-2005

    Examples
    --------
    >>> round(direct_all_reduce_time_s(16384, 8, bytes_per_s=300e9, latency_s=4e-6) * 1e6, 2)
    8.1
    """
    return 2 * (ranks - 1) / ranks * message_bytes / bytes_per_s + select(ranks > 1, 2.0, 0.0) * latency_s


@formula(reference="thakur-2005")
def all_gather_time_s(
    message_bytes: Number, ranks: Number, *, bytes_per_s: Number, latency_s: Number
) -> Number:
    """All-gather, or reduce-scatter, of a message: (n-1)/n of it each way, all peers at once.

    Parameters
    ----------
    message_bytes
        The whole gathered (or not yet scattered) message [byte], scalar or column.
    ranks
        Cards.
    bytes_per_s, latency_s
        [byte/s], [s]

    Returns
    -------
    Number
        [s]

    References
    ----------
    thakur-2005

    Examples
    --------
    >>> all_gather_time_s(8e9, 8, bytes_per_s=100e9, latency_s=0)
    0.07
    """
    return (ranks - 1) / ranks * message_bytes / bytes_per_s + select(ranks > 1, 1.0, 0.0) * latency_s


@formula(reference="thakur-2005")
def all_to_all_time_s(
    message_bytes: Number, ranks: Number, *, bytes_per_s: Number, latency_s: Number
) -> Number:
    """All-to-all: each card keeps 1/n of its message and sends the rest to the others.

    Parameters
    ----------
    message_bytes
        What one card sends and keeps [byte], scalar or column.
    ranks
        Cards.
    bytes_per_s, latency_s
        [byte/s], [s]

    Returns
    -------
    Number
        [s]

    References
    ----------
    thakur-2005

    Examples
    --------
    >>> all_to_all_time_s(8e9, 8, bytes_per_s=100e9, latency_s=0)
    0.07
    """
    return (ranks - 1) / ranks * message_bytes / bytes_per_s + select(ranks > 1, 1.0, 0.0) * latency_s


@formula(reference="li-2023-article")
def host_copy_bytes_per_s(
    *, pcie_bytes_per_s: Number, host_memory_bytes_per_s: Number, accelerators: Number
) -> Number:
    """Rate of card-to-card transfers that cross the host's memory, when all cards send at once.

    Each byte is written to main memory and read from it again.

    Parameters
    ----------
    pcie_bytes_per_s
        One card's PCIe rate [byte/s], scalar or column.
    host_memory_bytes_per_s
        Main memory [byte/s].
    accelerators
        Cards that send at the same time.

    Returns
    -------
    Number
        [byte/s] for each card, never above its PCIe rate.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> host_copy_bytes_per_s(pcie_bytes_per_s=25e9, host_memory_bytes_per_s=200e9, accelerators=8) / 1e9
    12.5
    """
    return smaller(pcie_bytes_per_s, host_memory_bytes_per_s / (2 * accelerators))


@formula(reference="li-2023-article")
def exposed_time_s(communication_s: Number, compute_s: Number, *, overlap: Number) -> Number:
    """Part of a transfer that compute does not hide.

    Of the compute, a share ``overlap`` can run while data moves (double buffering); the transfer hides behind
    that much and no more.

    Parameters
    ----------
    communication_s, compute_s
        [s], scalar or column.
    overlap
        0 (one after the other) to 1 (entirely at the same time).

    Returns
    -------
    Number
        [s], between 0 and ``communication_s``.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> exposed_time_s(0.75, 0.5, overlap=1), exposed_time_s(0.75, 0.5, overlap=0)
    (0.25, 0.75)
    """
    return larger(communication_s - compute_s * overlap, 0.0)
