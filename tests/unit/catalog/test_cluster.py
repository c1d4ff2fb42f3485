"""Texts and TOML files become clusters; anything else gets one line that says what to do."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.catalog.cluster import MAX_HOSTS, find_cluster, parse_cluster, read_cluster
from farthing.errors import FarthingError, InvalidInput, UnknownName
from farthing.records.hardware import Accelerator, Cluster, Host, Link


def card(name: str, **fields: object) -> Accelerator:
    values = {
        "id": name,
        "name": name,
        "vendor": "NVIDIA",
        "architecture": "ada",
        "year": 2022,
        "kind": "gpu",
        "memory_bytes": 24e9,
        "memory_bytes_per_s": 1e12,
        "fp16_flop_per_s": 1e14,
    }
    return Accelerator(**{**values, **fields})  # type: ignore[arg-type]


def wire(name: str, rate: float, latency_s: float = 1e-5, kind: str = "ethernet", each: bool = False) -> Link:
    return Link(
        id=name,
        name=name,
        kind=kind,  # type: ignore[arg-type]
        bytes_per_s=rate,
        latency_s=latency_s,
        per_accelerator=each,
    )


CARDS = {
    one.id: one
    for one in (
        card("rtx-4090", pcie_generation=4, pcie_lanes=16, peer_to_peer=False),
        card("rtx-3060", pcie_generation=4, pcie_lanes=16),
        card("a100", link="nvlink3", peer_to_peer=True),
        card("m2-ultra", unified_memory=True),
    )
}
LINKS = {
    one.id: one
    for one in (
        wire("pcie4-x16", 31.5e9, kind="pcie"),
        wire("pcie3-x1", 0.985e9, kind="pcie"),
        wire("nvlink3", 300e9, kind="nvlink"),
        wire("1gbe", 0.125e9),
        wire("10gbe", 1.25e9),
        wire("25gbe", 3.125e9),
        wire("200g-roce", 25e9, kind="roce", each=True),
        wire("ib-hdr", 25e9, kind="infiniband", each=True),
    )
}
HOSTS = {
    "rig": Host(
        id="rig",
        name="Mining rig",
        kind="mining",
        slots=6,
        pcie_generation=3,
        pcie_lanes_per_slot=1,
        memory_bytes=16e9,
        memory_bytes_per_s=25e9,
    )
}


def parse(text: str) -> Cluster:
    return parse_cluster(text, CARDS, LINKS)


def read(toml: str) -> Cluster:
    return read_cluster(toml, "mine.toml", CARDS, LINKS, HOSTS)


@pytest.mark.parametrize(
    ("text", "hosts", "cards", "network"),
    [
        ("rtx-4090", 1, 1, None),
        ("8:rtx-4090", 1, 8, None),
        ("1x8:rtx-4090", 1, 8, None),
        ("8x1:rtx-4090@10gbe", 8, 1, "10gbe"),
        ("2x4:rtx-4090@25gbe", 2, 4, "25gbe"),
        (" 2x4:RTX-4090@25GbE ", 2, 4, "25gbe"),
        ("256x8:a100@ib-hdr", 256, 8, "ib-hdr"),
        ("rtx-4090@10gbe", 1, 1, "10gbe"),
    ],
)
def test_plain_clusters(text: str, hosts: int, cards: int, network: str | None) -> None:
    cluster = parse(text)
    assert (cluster.hosts, cluster.count) == (hosts, hosts * cards)
    assert (cluster.network.id if cluster.network else None) == network
    assert cluster.name == text.strip()


def test_cards_without_peer_to_peer_copy_through_the_host() -> None:
    group = parse("8:rtx-4090").groups[0]
    assert (group.intra_link.id, group.host_copy) == ("pcie4-x16", True)
    assert not parse("8:rtx-3060").groups[0].host_copy
    group = parse("8:a100").groups[0]
    assert (group.intra_link.id, group.host_copy) == ("nvlink3", False)


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("2x8:a100@10gbe", 1),
        ("2x8:a100@ib-hdr", 8),
        ("2x8:a100@4xib-hdr", 4),
        ("2x8:a100@4x200g-roce", 4),
        ("2x4:rtx-4090@2x25gbe", 2),
    ],
)
def test_ports_of_a_host(text: str, ports: int) -> None:
    assert parse(text).groups[0].nics_per_host == ports


def test_unlike_hosts_share_the_last_network() -> None:
    cluster = parse("1x2:rtx-4090+1x1:m2-ultra@1gbe")
    assert [group.accelerator.id for group in cluster.groups] == ["rtx-4090", "m2-ultra"]
    assert {group.network.id for group in cluster.groups if group.network} == {"1gbe"}
    assert cluster.is_mixed
    assert cluster.count == 3


def test_the_slowest_of_several_networks_connects_all() -> None:
    cluster = parse("2x8:a100@ib-hdr+1x2:rtx-4090@10gbe+m2-ultra@25gbe")
    assert cluster.network is LINKS["10gbe"]
    assert [group.nics_per_host for group in cluster.groups] == [8, 1, 1]
    assert [group.network.id for group in cluster.groups if group.network] == ["ib-hdr", "10gbe", "25gbe"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "2x:rtx-4090",
        "x4:rtx-4090",
        "2x4",
        "2x4:",
        "2x4:rtx-4090@",
        "a b",
        "1x1:rtx-4090++a100",
        "-1:a100",
        "1.5:a100",
    ],
)
def test_syntax_errors_show_the_grammar(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    message = str(caught.value)
    assert "2x4" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0x4:rtx-4090", "hosts must be 1 to"),
        ("2x0:rtx-4090@1gbe", "cards of a host must be 1 to"),
        (f"{MAX_HOSTS + 1}x1:rtx-4090@1gbe", "hosts must be 1 to"),
        (f"{MAX_HOSTS}x1:rtx-4090@1gbe+a100@1gbe", "more than"),
        ("9" * 5000 + "x1:rtx-4090@1gbe", "hosts must be 1 to"),
        ("2x1:rtx-4090@0x1gbe", "network ports"),
        ("2x4:rtx-4090", "name their network"),
        ("rtx-4090+a100", "name their network"),
    ],
)
def test_senseless_numbers_are_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        parse(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("rtx-4900", "rtx-4090"), ("2x4:rtx-4090@10gb", "10gbe"), ("2x8:a100@ib-hdrr", "ib-hdr")],
)
def test_unknown_names_offer_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(UnknownName, match=nearest):
        parse(text)


@given(st.text(alphabet="0123456789x:@+-.abgert \n\0é", max_size=40))
def test_any_text_is_a_cluster_or_a_one_line_error(text: str) -> None:
    try:
        outcome = f"{parse(text).count} cards"
    except FarthingError as error:
        outcome = str(error)
    assert outcome
    assert "\n" not in outcome


@given(st.integers(1, 1000), st.integers(1, 72))
def test_counts_multiply(hosts: int, cards: int) -> None:
    cluster = parse(f"{hosts}x{cards}:a100@ib-hdr")
    assert cluster.count == hosts * cards
    assert cluster.groups[0].nics_per_host == cards


FULL = """
name = "cellar"
oversubscription = 2
usd = 12000
usd_per_hour = 3.6
network = "10gbe"

[[group]]
hosts = 2
accelerators_per_host = 4
accelerator = "rtx-4090"
nics_per_host = 2
accelerator_overrides = { tdp_w = 300, memory_gib = 48, peer_to_peer = true, compute_units = 100 }
intra_link = { like = "pcie4-x16", efficiency = 0.5, latency_us = 20 }

[[group]]
accelerator = "rtx-3060"
accelerators_per_host = 6
host = "rig"
network = { gbit_per_s = 2.5, latency_ms = 0.1, name = "cheap switch" }
"""


def test_a_full_file() -> None:
    cluster = read(FULL)
    first, second = cluster.groups
    assert (cluster.name, cluster.count, cluster.oversubscription) == ("cellar", 14, 2)
    assert cluster.usd == 12000
    assert cluster.usd_per_s == pytest.approx(0.001)
    assert (first.accelerator.tdp_w, first.accelerator.memory_bytes) == (300, 48 * 2**30)
    assert (first.accelerator.peer_to_peer, first.accelerator.compute_units) == (True, 100)
    assert not first.host_copy
    assert (first.intra_link.bytes_per_s, first.intra_link.efficiency) == (31.5e9, 0.5)
    assert first.intra_link.latency_s == pytest.approx(20e-6)
    assert first.nics_per_host == 2
    assert second.host is HOSTS["rig"]
    assert second.intra_link.id == "pcie3-x1"
    assert second.network is not None
    assert (second.network.name, second.network.bytes_per_s) == ("cheap switch", 2.5e9 / 8)
    assert cluster.network is second.network


def test_the_shortest_file() -> None:
    cluster = read('[[group]]\naccelerator = "rtx-4090"\n')
    assert (cluster.name, cluster.count, cluster.network) == ("mine", 1, None)
    assert cluster.groups[0].host_copy
    assert read('[[group]]\naccelerator = "rtx-4090"\nhost_copy = false\n').groups[0].host_copy is False


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("oversubscription", "oversubscripton", "did you mean oversubscription"),
        ("hosts = 2", "host_count = 2", "host_count"),
        ("nics_per_host", "nic_per_host", "did you mean nics_per_host"),
        ('accelerator = "rtx-4090"', "", "accelerator is missing"),
        ('accelerator = "rtx-4090"', "accelerator = 4090", "must be a text"),
        ("rtx-3060", "rtx-3061", "did you mean rtx-3060"),
        ("hosts = 2", "hosts = 0", "hosts must be 1 to"),
        ("hosts = 2", "hosts = -2", "hosts must be 1 to"),
        ("hosts = 2", "hosts = 2.5", "must be a whole number"),
        ("hosts = 2", "hosts = true", "must be a whole number"),
        ("hosts = 2", 'hosts = "2"', "must be a whole number"),
        ("hosts = 2", "hosts = 2000000", "hosts must be 1 to"),
        ("oversubscription = 2", "oversubscription = 0.5", "at least 1"),
        ("oversubscription = 2", "oversubscription = nan", "at least 1"),
        ("usd = 12000", "usd = inf", "usd must be"),
        ("usd = 12000", "usd = -1", "usd must be"),
        ("usd_per_hour = 3.6", "usd_per_hour = nan", "usd_per_hour must be"),
        ("efficiency = 0.5", "efficiency = 1.5", "efficiency must be"),
        ("efficiency = 0.5", "efficiency = 0", "efficiency must be"),
        ("gbit_per_s = 2.5", "gbit_per_s = 0", "rate must be positive"),
        ("gbit_per_s = 2.5, ", "", "give gb_per_s or gbit_per_s"),
        ("gbit_per_s = 2.5", "gbit_per_s = 2.5, gb_per_s = 1", "the rate once"),
        ("latency_ms = 0.1", "latency_ms = -1", "latency_ms must be"),
        ("latency_ms = 0.1", 'latency_ms = 0.1, kind = "cable"', "kind of link"),
        ('network = "10gbe"', 'network = "10gb"', "did you mean 10gbe"),
        ('network = "10gbe"', "network = 10", "must be a table"),
        ("accelerators_per_host = 6", "accelerators_per_host = 7", "takes 6 cards"),
        ("tdp_w = 300", "tdp = 300", "did you mean tdp_w"),
        ("tdp_w = 300", "tdp_w = nan", "tdp_w must be"),
        ("memory_gib = 48", "memory_gib = 0", "memory_bytes must be positive"),
        ("peer_to_peer = true", "peer_to_peer = 1", "true or false"),
        ('host = "rig"', 'host = "rigg"', "did you mean rig"),
        ('name = "cellar"', "name = [", "not valid TOML"),
    ],
)
def test_slips_in_a_file_are_named(old: str, new: str, problem: str) -> None:
    assert old in FULL
    with pytest.raises(InvalidInput, match=problem) as caught:
        read(FULL.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("toml", ["", "group = 3", "group = []", "group = [3]", "group = " + "[" * 5000])
def test_files_without_groups(toml: str) -> None:
    with pytest.raises(InvalidInput, match=r"mine\.toml"):
        read(toml)


def test_find_cluster_reads_files_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = '[[group]]\naccelerator = "rtx-4090"\naccelerators_per_host = 2\n'
    path = tmp_path / "two.toml"
    path.write_text(toml)
    assert find_cluster(str(path)).count == 2
    assert find_cluster(str(path)).name == "two"
    monkeypatch.setattr("sys.stdin", io.StringIO(toml))
    assert find_cluster("-").count == 2
    assert find_cluster("3:rtx-4090").count == 3


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read"):
        find_cluster(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InvalidInput, match="cannot read"):
        find_cluster(str(tmp_path / "folder.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not a text file"):
        find_cluster(str(tmp_path / "bytes.toml"))
    (tmp_path / "long.toml").write_text("#" * 1_000_001)
    with pytest.raises(InvalidInput, match="longer than"):
        find_cluster(str(tmp_path / "long.toml"))
    with pytest.raises(InvalidInput, match="not a text file"):
        find_cluster("a\0.toml")
