"""Messages and collectives worked out by hand."""

from __future__ import annotations

import pytest

import farthing
from farthing.catalog import link
from farthing.catalog.cluster import parse_cluster
from farthing.predict.collectives import (
    Axis,
    all_reduce_time_s,
    axis_all_gather_time_s,
    axis_all_to_all_time_s,
)
from farthing.predict.communication import (
    host_copy_bytes_per_s,
    point_to_point_time_s,
    ring_all_reduce_time_s,
    tree_all_reduce_time_s,
)
from farthing.predict.fabric import (
    across_bytes_per_s,
    inside_bytes_per_s,
    inside_latency_s,
    parallel_axis,
)

MS, US = 1e-3, 1e-6


def test_ring_all_reduce() -> None:
    """1 GB over 8 cards at 100 GB/s: 2 x 7/8 x 10 ms, and 14 steps of latency."""
    assert ring_all_reduce_time_s(1e9, 8, bytes_per_s=100e9, latency_s=0) == pytest.approx(17.5 * MS)
    slow = ring_all_reduce_time_s(1e9, 8, bytes_per_s=100e9, latency_s=10 * US)
    assert slow == pytest.approx(17.5 * MS + 14 * 10 * US)


def test_tree_beats_ring_for_small_messages() -> None:
    """16 KiB over 1024 cards at 5 us a step: 2 x 10 steps against 2 x 1023."""
    few = {"bytes_per_s": 25e9, "latency_s": 5 * US}
    assert tree_all_reduce_time_s(16384, 1024, **few) == pytest.approx(2 * 16384 / 25e9 + 100 * US)
    assert ring_all_reduce_time_s(16384, 1024, **few) > 2046 * 5 * US


def two_hosts() -> Axis:
    return Axis(
        ranks=16,
        inside=8,
        inside_bytes_per_s=200e9,
        inside_latency_s=2 * US,
        across_bytes_per_s=25e9,
        across_latency_s=5 * US,
    )


def test_all_reduce_over_two_hosts() -> None:
    """1 GB: scattered inside in 7/8 x 5 ms, each card's eighth exchanged between the hosts, spread inside.

    Between two hosts: 2 x 1/2 x 125 MB / 25 GB/s = 5 ms. Inside, both ways: 8.75 ms. Latency: two steps
    inside, two between.
    """
    expected = 8.75 * MS + 5 * MS + 2 * 2 * US + 2 * 5 * US
    assert all_reduce_time_s(1e9, two_hosts()) == pytest.approx(expected)


def test_all_gather_over_two_hosts() -> None:
    """Half of what the all-reduce moves."""
    expected = 4.375 * MS + 2.5 * MS + 2 * US + 5 * US
    assert axis_all_gather_time_s(1e9, two_hosts()) == pytest.approx(expected)


def test_all_to_all_over_two_hosts() -> None:
    """1 GB a card: half of it leaves the host at 25 GB/s while 7/16 go round inside."""
    assert axis_all_to_all_time_s(1e9, two_hosts()) == pytest.approx(20 * MS + 2 * US + 5 * US)


def test_copies_through_host_memory() -> None:
    """Eight cards without peer-to-peer share 204.8 GB/s, each byte written and read: 12.8 GB/s a card."""
    assert host_copy_bytes_per_s(
        pcie_bytes_per_s=24e9, host_memory_bytes_per_s=204.8e9, accelerators=8
    ) == pytest.approx(12.8e9)
    group = parse_cluster("1x8:rtx-4090").groups[0]
    assert inside_bytes_per_s(group) == pytest.approx(12.8e9)
    assert inside_latency_s(group) == pytest.approx(group.intra_link.latency_s + 10e-6)
    # Two of them are held up by PCIe or their desktop's memory, not by both.
    pair = parse_cluster("1x2:rtx-4090").groups[0]
    assert inside_bytes_per_s(pair) == pytest.approx(min(pair.intra_link.bytes_per_s * 0.762, 76.8e9 / 4))


def test_point_to_point_over_gigabit_ethernet() -> None:
    """One token of 8192 numbers in 16 bits: 16 KiB / 125 MB/s = 131 us, and the link's latency."""
    ethernet = link("1gbe")
    time = point_to_point_time_s(16384, bytes_per_s=ethernet.bytes_per_s, latency_s=ethernet.latency_s)
    assert time == pytest.approx(131.072 * US + ethernet.latency_s)


def test_cards_of_a_host_share_its_port() -> None:
    cluster = parse_cluster("2x4:rtx-4090@25gbe")
    share = across_bytes_per_s(cluster, cluster.groups[0])
    assert share == pytest.approx(25e9 / 8 * 0.941 / 4)
    rails = parse_cluster("2x8:h100-sxm@ib-ndr")
    port = link("ib-ndr")
    assert across_bytes_per_s(rails, rails.groups[0]) == pytest.approx(port.bytes_per_s * port.efficiency)


def test_a_dimension_lies_inside_hosts_first() -> None:
    cluster = parse_cluster("4x8:h100-sxm@ib-ndr")
    group = cluster.groups[0]
    sizes = {(8, 1): (8, 1), (16, 1): (8, 2), (4, 8): (1, 4), (4, 4): (2, 2), (32, 1): (8, 4)}
    for (size, stride), (inside, hosts) in sizes.items():
        axis = parallel_axis(cluster, group, size, stride=stride)
        assert (axis.inside, axis.hosts) == (inside, hosts)


@pytest.mark.parametrize("network", ["1gbe", "10gbe", "25gbe"])
def test_tensor_parallelism_over_ethernet(network: str) -> None:
    """LLaMA-2 70B exchanges 160 times a token, and once for the embedding: short messages go over trees."""
    found = farthing.infer("llama-2-70b", f"8x1:rtx-4090@{network}", tp=8, pp=1, ideal=True)
    traffic = next(
        part.value for part in found.decode if part.name == "traffic between tensor-parallel cards"
    )
    wire = link(network)
    exchange = 2 * 16384 / (wire.bytes_per_s * wire.efficiency) + 2 * 3 * wire.latency_s
    logits = 7 / 8 * 32000 * 2 / (wire.bytes_per_s * wire.efficiency) + 3 * wire.latency_s
    assert traffic == pytest.approx(161 * exchange + logits, rel=1e-9)
    assert traffic > 160 * 2 * wire.latency_s


def test_a_ring_of_machines_over_the_internet() -> None:
    """A client and three servers at a round trip of 100 ms: four hops, 200 ms a token, (S + 1) x RTT / 2."""
    near = farthing.infer("llama-2-70b", "4x1:a100-sxm-80gb@100gbe", tp=1, pp=4)
    far = farthing.infer("llama-2-70b", "4x1:a100-sxm-80gb@wan-100m-100ms", tp=1, pp=4)

    def hops_s(found: object) -> float:
        return next(part.value for part in found.decode if part.name == "hops between stages")  # type: ignore[attr-defined]

    wire = link("wan-100m-100ms")
    software = hops_s(near) - 4 * link("100gbe").latency_s
    servers, round_trip = 3, 2 * wire.latency_s
    assert (servers + 1) * round_trip / 2 == pytest.approx(0.2)
    # The messages themselves, 16 KiB at 100 Mbit/s, and the software's share come on top.
    sent = 3 * 16384 / (wire.bytes_per_s * wire.efficiency * 0.85)
    assert hops_s(far) == pytest.approx(0.2 + sent + software, abs=1e-4)
    assert far.tpot_s - near.tpot_s == pytest.approx(0.2, abs=0.006)


@pytest.mark.parametrize("stages", [2, 4, 8])
def test_hops_grow_with_the_machines(stages: int) -> None:
    """Every machine of the ring sends on, the last one back to the first."""
    found = farthing.infer("llama-2-70b", f"{stages}x1:rtx-4090@wan", tp=1, pp=stages, ideal=True)
    hops = next(part.value for part in found.decode if part.name == "hops between stages")
    wire = link("wan")
    sent = (stages - 1) * 16384 / (wire.bytes_per_s * wire.efficiency)
    assert hops == pytest.approx(stages * wire.latency_s + sent, rel=1e-9)


@pytest.mark.parametrize(
    "cluster", ["1x1:rtx-4090@100gbe+1x1:rtx-4090@1gbe", "1x1:rtx-4090@1gbe+1x1:rtx-4090@100gbe"]
)
def test_a_hop_takes_the_slower_of_two_ports(cluster: str) -> None:
    """2048 tokens of 4096 numbers from one machine to the other: 16.8 MB through 1 Gbit/s."""
    found = farthing.infer("llama-2-7b", cluster, tp=1, pp=2, prompt_tokens=2048, ideal=True)
    hops = next(part.value for part in found.prefill if part.name == "hops between stages")
    wire = link("1gbe")
    sent = 2048 * 4096 * 2 / (wire.bytes_per_s * wire.efficiency)
    assert hops == pytest.approx(sent + 2 * wire.latency_s)


def test_a_card_that_sends_alone_has_the_port_to_itself() -> None:
    """Four cards a host in one pipeline: one hop in eight crosses, and nothing else does then."""
    found = farthing.infer("llama-2-70b", "2x4:rtx-4090@25gbe", tp=1, pp=8, prompt_tokens=2048, ideal=True)
    hops = next(part.value for part in found.prefill if part.name == "hops between stages")
    wire, group = link("25gbe"), parse_cluster("1x4:rtx-4090").groups[0]
    message = 2048 * 8192 * 2
    across = message / (wire.bytes_per_s * wire.efficiency) + wire.latency_s
    inside = message / inside_bytes_per_s(group) + inside_latency_s(group)
    assert hops == pytest.approx(6 * inside + across + wire.latency_s)
