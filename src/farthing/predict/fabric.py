"""How a parallel dimension lies on the hosts, and what its cards reach of each other."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from farthing.predict.collectives import Axis, Library
from farthing.predict.communication import host_copy_bytes_per_s
from farthing.predict.trace import Number, larger, select, smaller, untraced
from farthing.records.efficiency import IDEAL, Efficiency
from farthing.records.hardware import Cluster, HostGroup

DIRECT_BYTES: Final = 8 * 2**20
"""Largest message of the all-reduce kernels of serving engines; vLLM's default."""

SMALL_HOST_MEMORY_BYTES_PER_S: Final = 76.8e9
"""Two channels of DDR5-4800: a desktop, taken for hosts of one or two cards that are not described."""

LARGE_HOST_MEMORY_BYTES_PER_S: Final = 204.8e9
"""Eight channels of DDR4-3200: a server, taken for hosts of more cards that are not described."""

NCCL_SHORT_S: Final = 6.6e-6
NCCL_LONG_S: Final = 8.4e-6
"""Fixed times of NCCL's rings with its protocols LL and Simple (``baseLatencies`` in src/graph/tuning.cc of
NVIDIA/nccl@5067397)."""

NCCL_LONG_STEP_S: Final = 5.7e-6
"""A step of its ring with Simple over PCIe (``hwLatencies`` there); one with LL is the link's latency."""

NCCL_SHORT_SHARE: Final = 0.5
"""LL sends a flag with each word: half of what travels is the message."""

PROCESSOR_BYTES_PER_S: Final = {3: 10e9, 4: 16e9, 5: 22e9}
"""Rate from one part of a host's processors to another, by generation of PCIe: Skylake, AMD's EPYC, Sapphire
Rapids (``SKL_QPI_BW``, ``AMD_BW``, ``SRP_QPI_BW`` in src/graph/topo.h of NVIDIA/nccl@5067397). Beyond a pair,
NCCL joins cards through host memory unless they share a PCIe switch (``p2pLevel`` in src/graph/paths.cc)."""


def host_memory_bytes_per_s(group: HostGroup) -> float:
    """Main-memory bandwidth of a host: its own, or a typical one for so many cards.

    Parameters
    ----------
    group
        Hosts.

    Returns
    -------
    float
        [byte/s]

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> host_memory_bytes_per_s(parse_cluster("1x8:rtx-4090").groups[0]) / 1e9
    204.8
    """
    given = group.host_memory_bytes_per_s
    if isinstance(given, np.ndarray) or given > 0:
        return given
    if group.host is not None and group.host.memory_bytes_per_s > 0:
        return group.host.memory_bytes_per_s
    if group.accelerators_per_host > 2:
        return LARGE_HOST_MEMORY_BYTES_PER_S
    return SMALL_HOST_MEMORY_BYTES_PER_S


def inside_bytes_per_s(group: HostGroup, efficiency: Efficiency = IDEAL) -> Number:
    """Rate that one card reaches to the others of its host.

    Parameters
    ----------
    group
        Hosts.
    efficiency
        Constants of the architecture.

    Returns
    -------
    float
        [byte/s], one way.

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> inside_bytes_per_s(parse_cluster("1x8:h100-sxm").groups[0]) <= 450e9
    True
    """
    link = group.intra_link
    rate: Number = link.bytes_per_s * link.efficiency
    if group.host_copy:
        rate = host_copy_bytes_per_s(
            pcie_bytes_per_s=rate,
            host_memory_bytes_per_s=host_memory_bytes_per_s(group),
            accelerators=group.accelerators_per_host,
        )
    return rate * efficiency.collective_share


def inside_latency_s(group: HostGroup, efficiency: Efficiency = IDEAL) -> float:
    """Time of one step of a collective inside a host, however short the message.

    Parameters
    ----------
    group
        Hosts.
    efficiency
        Constants of the architecture.

    Returns
    -------
    float
        [s]

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> inside_latency_s(parse_cluster("1x8:rtx-4090").groups[0]) >= 10e-6
    True
    """
    copy = group.host_copy_latency_s if group.host_copy else 0.0
    return group.intra_link.latency_s + efficiency.collective_step_s + copy


def library_of(group: HostGroup, efficiency: Efficiency, ranks: Number = 2) -> Library | None:
    """Constants of a library's collectives inside a host; None where links alone set the pace.

    Parameters
    ----------
    group
        Hosts.
    efficiency
        Constants of the architecture.
    ranks
        Cards that take part.

    Returns
    -------
    Library or None

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> library_of(parse_cluster("1x8:h100-sxm").groups[0], IDEAL) is None
    True
    """
    link = group.intra_link
    if link.kind == "pcie" and group.accelerator.vendor == "NVIDIA" and efficiency.collective_step_s:
        return _pcie_library(group, efficiency, ranks)
    if link.kind != "nvlink" or not efficiency.collective_s:
        return None
    return Library(
        bytes_per_s=link.bytes_per_s * link.efficiency * efficiency.ring_share,
        step_s=link.latency_s + efficiency.ring_step_s,
        start_s=efficiency.collective_s,
        ramp_s=efficiency.collective_ramp_s,
        copied=efficiency.collective_copied,
        direct_s=efficiency.direct_s,
        direct_bytes_per_s=link.bytes_per_s * efficiency.direct_share,
        direct_bytes=DIRECT_BYTES,
    )


def _pcie_library(group: HostGroup, efficiency: Efficiency, ranks: Number) -> Library:
    """NCCL's rings over PCIe: its own latencies, and the processor between the cards of longer rings."""
    own = inside_bytes_per_s(group, efficiency)
    through = smaller(own, PROCESSOR_BYTES_PER_S.get(group.accelerator.pcie_generation, own))
    rate = select(ranks > 2, through, own)
    return Library(
        bytes_per_s=rate * NCCL_SHORT_SHARE,
        start_s=NCCL_SHORT_S,
        step_s=group.intra_link.latency_s,
        bulk=Library(bytes_per_s=rate, start_s=NCCL_LONG_S, step_s=NCCL_LONG_STEP_S),
    )


def across_bytes_per_s(
    cluster: Cluster, group: HostGroup, efficiency: Efficiency = IDEAL, *, senders: Number = 0
) -> Number:
    """One card's share of its host's network ports.

    A card alone reaches one port, or its share where there are more ports than cards.

    Parameters
    ----------
    cluster, group
        The cluster, and the hosts in it.
    efficiency
        Constants of the architecture.
    senders
        Cards of a host that send at the same time, scalar or column; 0 means all of them.

    Returns
    -------
    Number
        [byte/s], one way.

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> four = parse_cluster("2x4:rtx-4090@25gbe")
    >>> across_bytes_per_s(four, four.groups[0]) <= 25e9 / 8 / 4
    True
    """
    if cluster.network is None:
        return inside_bytes_per_s(group, efficiency)
    network = group.network or cluster.network
    cards = group.accelerators_per_host
    own = larger(group.nics_per_host / cards, 1.0)
    busy = cards if isinstance(senders, int) and not senders else smaller(senders, cards)
    ports = smaller(group.nics_per_host / busy, own)
    rate = network.bytes_per_s * network.efficiency / cluster.oversubscription
    return rate * ports * efficiency.collective_share


def across_latency_s(cluster: Cluster, group: HostGroup, efficiency: Efficiency = IDEAL) -> float:
    """Time of one step of a collective between hosts, however short the message.

    Parameters
    ----------
    cluster, group
        The cluster, and the hosts in it.
    efficiency
        Constants of the architecture.

    Returns
    -------
    float
        [s]

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> eight = parse_cluster("8x1:rtx-4090@10gbe")
    >>> across_latency_s(eight, eight.groups[0]) > 0
    True
    """
    if cluster.network is None:
        return inside_latency_s(group, efficiency)
    network = group.network or cluster.network
    return network.latency_s + efficiency.collective_step_s


def joined_cards(group: HostGroup) -> int:
    """Cards that reach each other over the link inside hosts: those of a host, or of hosts that it joins.

    Where the domain does not divide the cards, each domain gives as many whole hosts as do.

    Parameters
    ----------
    group
        Hosts.

    Returns
    -------
    int

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> [joined_cards(parse_cluster(text).groups[0]) for text in
    ...  ("64x4:gb200@ib-ndr", "18x4:gb200@ib-ndr", "2x8:h100-sxm@ib-ndr")]
    [64, 72, 8]
    """
    each = group.accelerators_per_host
    if not group.intra_link.domain:
        return each
    most = min(group.intra_link.domain // each, group.hosts)
    whole = next((hosts for hosts in range(most, 1, -1) if group.hosts % hosts == 0), 1)
    return each * whole


def parallel_axis(
    cluster: Cluster, group: HostGroup, size: Number, *, stride: Number = 1, efficiency: Efficiency = IDEAL
) -> Axis:
    """A parallel dimension whose ranks are ``stride`` cards apart.

    Parameters
    ----------
    cluster, group
        The cluster, and the hosts that the dimension lies on.
    size, stride
        Ranks of the dimension, and the product of the dimensions inside it; scalar or column.
    efficiency
        Constants of the architecture.

    Returns
    -------
    Axis

    References
    ----------
    narayanan-2021

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("2x8:h100-sxm@ib-ndr")
    >>> axis = parallel_axis(cluster, cluster.groups[0], 4, stride=4)
    >>> axis.ranks, axis.inside, axis.hosts
    (4, 2, 2.0)
    """
    size, stride = untraced(size), untraced(stride)
    room = larger(joined_cards(group) // stride, 1)
    # A group that fits in a host lies in it; a larger one is cut into equal parts.
    if isinstance(size, int) and isinstance(room, int):
        inside: Number = math.gcd(size, room) if size > room else size
    else:
        inside = select(size <= room, size, np.gcd(size, room))
    return Axis(
        library=library_of(group, efficiency, inside),
        ranks=size,
        inside=inside,
        inside_bytes_per_s=inside_bytes_per_s(group, efficiency),
        inside_latency_s=inside_latency_s(group, efficiency),
        # Where unlike hosts join in, all wait for the slowest port.
        across_bytes_per_s=min(across_bytes_per_s(cluster, other, efficiency) for other in cluster.groups),
        across_latency_s=max(across_latency_s(cluster, other, efficiency) for other in cluster.groups),
    )
