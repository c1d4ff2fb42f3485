"""Links, network cards and switches: complete, sourced and physically possible."""

from __future__ import annotations

import re

import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster

PCIE_GBIT_PER_LANE = {2: 5 * 0.8, 3: 8 * 128 / 130, 4: 16 * 128 / 130, 5: 32 * 128 / 130, 6: 64 * 0.95}
NETWORKS = {"ethernet", "roce", "infiniband", "thunderbolt", "wan"}


def test_there_is_enough_to_choose_from() -> None:
    assert len(catalog.links()) >= 70
    assert len(catalog.nics()) >= 15
    assert len(catalog.switches()) >= 15


def test_every_row_has_a_source_and_every_price_a_date() -> None:
    for row in (*catalog.links().values(), *catalog.nics().values(), *catalog.switches().values()):
        assert row.source, row.id
    for priced in (*catalog.nics().values(), *catalog.switches().values()):
        assert bool(priced.price_usd) == bool(priced.price_date), priced.id
        assert re.fullmatch(r"(20\d\d(-\d\d(-\d\d)?)?)?", priced.price_date), priced.id


def test_ids_are_lower_case() -> None:
    for row in (*catalog.links(), *catalog.nics(), *catalog.switches()):
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", row)


@pytest.mark.parametrize(
    ("name", "gb_per_s"),
    [
        ("pcie3-x16", 15.75),
        ("pcie4-x8", 15.75),
        ("pcie4-x16", 31.5),
        ("pcie5-x16", 63.0),
        ("nvlink2", 150),
        ("nvlink3", 300),
        ("nvlink4", 450),
        ("nvlink5", 900),
        ("nvlink-h800", 200),
        ("xgmi-mi300", 448),
        ("gaudi2-roce", 262.5),
        ("ici-v5p", 600),
        ("1gbe", 0.125),
        ("10gbe", 1.25),
        ("200g-roce", 25),
        ("ib-hdr", 25),
        ("ib-ndr", 50),
    ],
)
def test_rates_are_one_way(name: str, gb_per_s: float) -> None:
    assert catalog.link(name).bytes_per_s == pytest.approx(gb_per_s * 1e9, rel=2e-3)


def test_pcie_rates_follow_from_lanes() -> None:
    for link in catalog.links().values():
        match = re.fullmatch(r"pcie(\d)-x(\d+)", link.id)
        if match:
            expected = PCIE_GBIT_PER_LANE[int(match[1])] / 8 * int(match[2])
            assert link.bytes_per_s / 1e9 == pytest.approx(expected, rel=0.01), link.id


def test_a_number_in_a_network_name_is_its_rate() -> None:
    for link in catalog.links().values():
        match = re.fullmatch(r"([\d.]+)g(?:be|-roce)", link.id)
        if match:
            assert link.bytes_per_s * 8 / 1e9 == pytest.approx(float(match[1])), link.id


def test_latencies_are_ordered_by_kind() -> None:
    slowest_inside = max(
        link.latency_s for link in catalog.links().values() if link.kind in ("nvlink", "pcie")
    )
    assert slowest_inside <= min(link.latency_s for link in catalog.links().values() if link.kind in NETWORKS)
    rdma = [link.latency_s for link in catalog.links().values() if link.kind in ("roce", "infiniband")]
    assert max(rdma) < catalog.link("10gbe").latency_s < catalog.link("1gbe").latency_s
    assert catalog.link("1gbe").latency_s < catalog.link("wan").latency_s == pytest.approx(0.05)


def test_efficiencies_leave_room_for_headers() -> None:
    for link in catalog.links().values():
        assert 0.5 < link.efficiency < 1, link.id


def test_ports_for_each_card_are_those_of_training_fabrics() -> None:
    for link in catalog.links().values():
        if link.kind == "infiniband" or link.id.startswith("efa"):
            assert link.per_accelerator, link.id
        if link.kind in ("ethernet", "thunderbolt", "wan", "pcie", "nvlink"):
            assert not link.per_accelerator, link.id


def test_nics_exist_as_links_and_fit_their_slot() -> None:
    for nic in catalog.nics().values():
        link = catalog.link(nic.link)
        assert link.kind in NETWORKS, nic.id
        assert nic.ports >= 1
        if nic.pcie_lanes:
            slot = PCIE_GBIT_PER_LANE[nic.pcie_generation] * nic.pcie_lanes * 1e9 / 8
            assert link.bytes_per_s <= slot, nic.id


def test_every_usual_network_has_a_nic_and_a_switch() -> None:
    rates = {(switch.kind, round(switch.bytes_per_s)) for switch in catalog.switches().values()}
    served = {nic.link for nic in catalog.nics().values()}
    for name in (
        "1gbe",
        "2.5gbe",
        "10gbe",
        "25gbe",
        "100g-roce",
        "200g-roce",
        "400g-roce",
        "ib-hdr",
        "ib-ndr",
    ):
        link = catalog.link(name)
        kind = "infiniband" if link.kind == "infiniband" else "ethernet"
        assert name in served
        assert (kind, round(link.bytes_per_s)) in rates, name


def test_prices_of_the_article() -> None:
    assert catalog.nics()["intel-x710"].price_usd == 150
    assert catalog.nics()["connectx-6"].price_usd == 1000
    assert catalog.nics()["nic-25g"].price_usd == 300
    ten, fast = catalog.switches()["switch-10g-20"], catalog.switches()["switch-200g-40"]
    assert (ten.price_usd, ten.ports, ten.bytes_per_s) == (1500, 20, 1.25e9)
    assert (fast.price_usd, fast.ports, fast.bytes_per_s) == (20000, 40, 25e9)


def test_every_accelerator_makes_a_host_and_a_cluster() -> None:
    for name in catalog.accelerators():
        cluster = parse_cluster(f"2x8:{name}@ib-ndr")
        assert cluster.count == 16
        assert cluster.groups[0].intra_link.kind not in NETWORKS or cluster.groups[0].accelerator.link


@pytest.mark.parametrize(
    ("text", "intra", "ports", "host_copy"),
    [
        ("1x8:rtx-4090", "pcie4-x16", 1, True),
        ("8x1:rtx-4090@10gbe", "pcie4-x16", 1, True),
        ("2x4:rtx-4090@25gbe", "pcie4-x16", 1, True),
        ("8x1:rtx-4090@200g-roce", "pcie4-x16", 1, True),
        ("256x8:a100-sxm-80gb@ib-hdr", "nvlink3", 8, False),
    ],
)
def test_the_usual_clusters(text: str, intra: str, ports: int, host_copy: bool) -> None:
    group = parse_cluster(text).groups[0]
    assert (group.intra_link.id, group.nics_per_host, group.host_copy) == (intra, ports, host_copy)
