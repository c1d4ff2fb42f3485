"""What cards reach of each other, in hosts and between them."""

import dataclasses

import numpy as np
import pytest

from farthing.catalog import host, hosts
from farthing.catalog.cluster import parse_cluster
from farthing.predict.collectives import all_reduce_time_s, axis_all_gather_time_s
from farthing.predict.fabric import (
    LARGE_HOST_MEMORY_BYTES_PER_S,
    SMALL_HOST_MEMORY_BYTES_PER_S,
    across_bytes_per_s,
    across_latency_s,
    host_memory_bytes_per_s,
    inside_bytes_per_s,
    inside_latency_s,
    library_of,
    parallel_axis,
)
from farthing.records.efficiency import Efficiency


def test_typical_and_described_hosts() -> None:
    large, small = parse_cluster("1x8:rtx-4090").groups[0], parse_cluster("1x2:rtx-4090").groups[0]
    assert host_memory_bytes_per_s(large) == LARGE_HOST_MEMORY_BYTES_PER_S
    assert host_memory_bytes_per_s(small) == SMALL_HOST_MEMORY_BYTES_PER_S
    described = host(next(name for name, h in hosts().items() if h.memory_bytes_per_s > 0))
    assert host_memory_bytes_per_s(dataclasses.replace(small, host=described)) == described.memory_bytes_per_s


def test_peer_to_peer_needs_no_copy() -> None:
    fast, slow = parse_cluster("1x8:h100-sxm").groups[0], parse_cluster("1x8:rtx-4090").groups[0]
    assert inside_bytes_per_s(fast) == fast.intra_link.bytes_per_s * fast.intra_link.efficiency
    assert inside_latency_s(fast) == fast.intra_link.latency_s
    assert inside_latency_s(slow) == slow.intra_link.latency_s + 10e-6


def test_software_takes_its_share() -> None:
    constants = Efficiency(id="half", collective_share=0.5, collective_step_s=1e-5)
    cluster = parse_cluster("2x8:h100-sxm@ib-ndr")
    group = cluster.groups[0]
    assert inside_bytes_per_s(group, constants) == inside_bytes_per_s(group) / 2
    assert across_bytes_per_s(cluster, group, constants) == across_bytes_per_s(cluster, group) / 2
    assert inside_latency_s(group, constants) == pytest.approx(inside_latency_s(group) + 1e-5)
    assert across_latency_s(cluster, group, constants) == pytest.approx(
        across_latency_s(cluster, group) + 1e-5
    )


def test_rings_over_pcie_take_steps() -> None:
    """Eight cards of PCIe 4.0: 14 steps of 1 us after 6.6 us, and long messages at a processor's 16 GB/s."""
    group = parse_cluster("1x8:l40s").groups[0]
    constants = Efficiency(id="real", collective_share=0.8, collective_step_s=4e-6)
    axis = parallel_axis(parse_cluster("1x8:l40s"), group, 8, efficiency=constants)
    assert all_reduce_time_s(0.0, axis) == pytest.approx(20.6e-6)
    assert all_reduce_time_s(1.6e9, axis) == pytest.approx(1.75 * 0.1 + 8.4e-6 + 14 * 5.7e-6)
    assert axis_all_gather_time_s(0.0, axis) == pytest.approx(13.6e-6)
    # A pair stays on its own links: 0.8 of the 24 GB/s that PCIe 4.0 x16 carries.
    pair = parallel_axis(
        parse_cluster("1x2:l40s"), parse_cluster("1x2:l40s").groups[0], 2, efficiency=constants
    )
    assert all_reduce_time_s(19.2e9, pair) == pytest.approx(1.0, rel=1e-3)
    assert all_reduce_time_s(0.0, pair) == pytest.approx(8.6e-6)
    # Other vendors' libraries are not NCCL.
    assert library_of(parse_cluster("1x8:arc-pro-b60").groups[0], constants) is None


def test_senders_share_the_ports() -> None:
    cluster = parse_cluster("2x4:rtx-4090@25gbe")
    group = cluster.groups[0]
    alone = across_bytes_per_s(cluster, group, senders=1)
    assert across_bytes_per_s(cluster, group, senders=np.array([1, 2, 4, 8])).tolist() == pytest.approx(
        [alone, alone / 2, alone / 4, alone / 4]
    )
    assert across_bytes_per_s(cluster, group) == alone / 4
    # A card with a rail of its own has that one port, however few send.
    rails = parse_cluster("2x8:h100-sxm@ib-ndr")
    assert across_bytes_per_s(rails, rails.groups[0], senders=1) == across_bytes_per_s(rails, rails.groups[0])


def test_oversubscription_divides() -> None:
    cluster = parse_cluster("4x8:h100-sxm@ib-ndr")
    thin = dataclasses.replace(cluster, oversubscription=4.0)
    assert across_bytes_per_s(thin, thin.groups[0]) == across_bytes_per_s(cluster, cluster.groups[0]) / 4


def test_one_host_has_no_network() -> None:
    cluster = parse_cluster("1x8:h100-sxm")
    group = cluster.groups[0]
    assert across_bytes_per_s(cluster, group) == inside_bytes_per_s(group)
    assert across_latency_s(cluster, group) == inside_latency_s(group)


def test_axes_of_columns() -> None:
    cluster = parse_cluster("4x8:h100-sxm@ib-ndr")
    sizes = np.array([1, 2, 8, 16, 32])
    axis = parallel_axis(cluster, cluster.groups[0], sizes)
    assert axis.inside.tolist() == [1, 2, 8, 8, 8]
    assert axis.hosts.tolist() == [1, 1, 1, 2, 4]


def test_columns_of_links_are_the_links_one_by_one():
    """What a design times together is what each cluster gives alone."""
    texts = ["4x2:rtx-4090@10gbe", "4x2:rtx-4090@25gbe", "4x2:rtx-4090@200g-roce"]
    clusters = [parse_cluster(text) for text in texts]
    networks = [cluster.network for cluster in clusters]
    column = dataclasses.replace(
        networks[0],
        **{
            name: np.array([getattr(network, name) for network in networks])
            for name in ("bytes_per_s", "latency_s", "efficiency")
        },
    )
    group = dataclasses.replace(
        clusters[0].groups[0],
        network=column,
        nics_per_host=np.array([one.groups[0].nics_per_host for one in clusters]),
    )
    together = dataclasses.replace(clusters[0], groups=(group,), network=column)
    axis = parallel_axis(together, group, 8)
    for place, cluster in enumerate(clusters):
        own = parallel_axis(cluster, cluster.groups[0], 8)
        assert axis.across_bytes_per_s[place] == own.across_bytes_per_s
        assert axis.across_latency_s[place] == own.across_latency_s
